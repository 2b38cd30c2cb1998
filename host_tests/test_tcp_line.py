"""Lines over the network: a served line as RFC 2217, a pump and a balance behind one, cables that are pulled, addresses that are wrong."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st
from live_rig import PATIENCE_S, process, wait_for
from serial.rfc2217 import SERVER_SET_CONTROL, PortManager
from test_bench_end_to_end import run, written

from hil import cli, tcp_line
from hil.bench import Bench, BenchConfig
from hil.channel import open_serial
from hil.errors import BenchError, LinkError
from hil.instruments import BalanceError, BalanceGone, MtSicsBalance, SimulatedBalance
from hil.live.watcher import Watcher
from hil.plant import Rig
from hil.targets.process import PtyPair
from hil.tcp_line import Bridge, TcpLine

URL = r"pump: (rfc2217://127\.0\.0\.1:\d+)"
BALANCE_URL = r"balance: (rfc2217://127\.0\.0\.1:\d+)"
IAC, SB, SE = b"\xff", b"\xfa", b"\xf0"


def patient(url: str) -> str:
    """Where it must succeed: pyserial gives a server 3 s to answer, and a machine may have much else to do."""
    return f"{url}?timeout={PATIENCE_S:g}"


def opened(url: str) -> Any:
    return serial.serial_for_url(patient(url), timeout=PATIENCE_S)


def place(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("rfc2217://").rpartition(":")
    return host, int(port)


@pytest.fixture
def line() -> Iterator[tuple[PtyPair, TcpLine]]:
    pty = PtyPair()
    with TcpLine(pty.path) as offered:
        yield pty, offered
    pty.close()


def read_all(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(fd, size - len(data))
    return data


# ---- the line itself


def test_any_bytes_go_through_unchanged_both_ways(line: tuple[PtyPair, TcpLine]) -> None:
    pty, offered = line
    client = opened(offered.url)

    @settings(max_examples=40)
    @given(st.binary(min_size=1, max_size=600))
    def unchanged(data: bytes) -> None:
        client.write(data)
        assert read_all(pty.master, len(data)) == data
        os.write(pty.master, data)
        assert client.read(len(data)) == data

    unchanged()
    unchanged_codes = bytes(range(256)) * 2 + IAC * 5
    client.write(unchanged_codes)
    assert read_all(pty.master, len(unchanged_codes)) == unchanged_codes
    client.close()


def test_what_the_pump_does_not_take_is_kept_back_and_not_lost() -> None:
    """Nobody reads at first: the bridge takes no more than it may keep, the rest waits with the client."""
    ours, theirs = _tcp_pair()
    pty = PtyPair()
    port = open_serial(pty.path)
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as server:
        wake, waker = os.pipe()
        bridge = Bridge(ours, port)
        data = bytes(n * 7 % 251 for n in range(3 * tcp_line.MOST_WAITING))
        sender = threading.Thread(target=theirs.sendall, args=(data,), daemon=True)
        sender.start()
        while len(bridge._to_port) < tcp_line.MOST_WAITING:
            assert bridge.turn(server, wake)
        for _ in range(40):
            socket.create_connection(server.getsockname()).close()  # somebody knocks, so that it looks again
            assert bridge.turn(server, wake) and len(bridge._to_port) < tcp_line.MOST_WAITING + tcp_line.PIECE
        heard = b""
        while len(heard) < len(data):
            while bridge._to_port and not select.select([pty.master], [], [], 0)[0]:
                assert bridge.turn(server, wake)
            if not bridge._to_port and not select.select([pty.master], [], [], 0)[0]:
                assert bridge.turn(server, wake)  # the next piece comes from the client
                continue
            heard += os.read(pty.master, 65536)
        assert heard == data
        sender.join(PATIENCE_S)
        os.close(wake)
        os.close(waker)
    port.close()
    pty.close()


telnet = st.one_of(
    st.binary(max_size=40),
    st.tuples(st.sampled_from(list(b"\xfb\xfc\xfd\xfe")), st.integers(0, 255)).map(lambda two: IAC + bytes(two)),
    st.binary(max_size=8).map(lambda body: IAC + SB + b"\x2c" + body + IAC + SE),
    st.sampled_from([IAC, IAC + SB, IAC + SE, IAC + SB + b"x" * 5000]),
)


def test_whatever_a_client_says_the_next_one_is_served(line: tuple[PtyPair, TcpLine]) -> None:
    pty, offered = line

    @settings(max_examples=8)
    @given(st.lists(st.lists(telnet, max_size=6).map(b"".join), min_size=1, max_size=8))
    def served_again(hostile: list[bytes]) -> None:
        for words in hostile:
            with contextlib.suppress(OSError), socket.create_connection(place(offered.url), PATIENCE_S) as client:
                client.sendall(words)
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass
        client = opened(offered.url)
        drained = client.read(client.in_waiting)
        assert isinstance(drained, bytes)
        client.write(b"\x00there\n")
        heard = b""
        while not heard.endswith(b"\x00there\n"):  # what a client before it sent may still lie on the line
            heard += os.read(pty.master, 4096)
        client.close()

    served_again()


def test_an_option_without_an_end_is_not_collected_for_ever(line: tuple[PtyPair, TcpLine]) -> None:
    _, offered = line
    with socket.create_connection(place(offered.url), PATIENCE_S) as client:
        client.sendall(IAC + SB + b"x" * (tcp_line.LONGEST_OPTION + 1))
        with contextlib.suppress(ConnectionResetError):
            while client.recv(4096):  # ends when it is let go
                pass


def test_a_line_has_one_owner_over_the_network_and_here(line: tuple[PtyPair, TcpLine]) -> None:
    pty, offered = line
    owner = opened(offered.url)
    with socket.create_connection(place(offered.url), PATIENCE_S) as second:
        assert second.recv(1) == b""  # let go at once, not kept waiting
    with pytest.raises(LinkError, match="close the program that has this line"):
        open_serial(offered.url)
    with pytest.raises(LinkError, match="busy"):
        open_serial(pty.path)
    owner.write(b"still mine\n")
    assert read_all(pty.master, 11) == b"still mine\n"
    owner.close()
    wait_for(lambda: _opens(pty.path), "the line is free again")
    here = open_serial(pty.path)
    with pytest.raises(LinkError, match="close the program that has this line"):
        open_serial(offered.url)
    here.close()
    opened(offered.url).close()


def _opens(url: str) -> bool:
    try:
        open_serial(url).close()
    except LinkError:
        return False
    return True


def test_a_client_that_is_cut_off_leaves_the_line_free(line: tuple[PtyPair, TcpLine]) -> None:
    _, offered = line
    for _ in range(3):
        client = socket.create_connection(place(offered.url), PATIENCE_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset, no farewell
        client.close()
        wait_for(lambda: _opens(offered.url), "the line is free again")


def test_a_client_that_vanishes_without_a_word_is_asked_for() -> None:
    """Its cable was pulled: no packet will ever come from it."""
    ours, theirs = _tcp_pair()
    with ours, theirs:
        tcp_line._never_delay(ours)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        limit_s = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        limit_s += ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert limit_s <= 30


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        return server.accept()[0], theirs


def test_it_listens_on_this_machine_alone_unless_asked(line: tuple[PtyPair, TcpLine]) -> None:
    assert place(line[1].url)[0] == "127.0.0.1" and line[1]._server.getsockname()[0] == "127.0.0.1"
    words = cli._parser().parse_args(["serve", "--tcp", "0"])
    assert words.host == "127.0.0.1"


def test_an_address_that_is_taken_or_not_of_this_machine_is_named(line: tuple[PtyPair, TcpLine]) -> None:
    pty, offered = line
    for host, port in (place(offered.url), ("203.0.113.7", 0), ("no such host", 0)):
        with pytest.raises(BenchError, match=r"cannot listen on .* choose another with --tcp"):
            TcpLine(pty.path, host, port)


def test_a_line_that_was_closed_listens_no_more(line: tuple[PtyPair, TcpLine]) -> None:
    _, offered = line
    client = opened(offered.url)
    offered.close()
    offered.close()
    with pytest.raises(OSError):
        socket.create_connection(place(offered.url), PATIENCE_S)
    with pytest.raises(serial.SerialException):
        while client.read(1) == b"":
            pass
    client.close()


# ---- a pump behind it


def test_a_pump_over_the_network_is_asked_commanded_and_stopped(tmp_path: Path) -> None:
    with process("serve", "--scenario", "night-flex-spinal", "--tcp", "0", until=URL) as (_, said):
        config = BenchConfig(target=patient(said.removeprefix("pump: ")))
        with Bench(config, tmp_path) as bench:
            assert bench.evidence == "SIMULATED" and bench.pump.identity()["maker"] == "doseloop"
            assert bench.pump.stat()["state"] == "running"
            bench.link.command("STOP")
            assert bench.pump.stat()["state"] == "stopped" and bench.link.damaged == 0


def test_a_scenario_runs_and_passes_over_the_network(tmp_path: Path) -> None:
    story = Path(written(tmp_path, "3 s", "1 s"))
    story.write_text(story.read_text().replace("350 mcg/day", "24 mcg/day"))  # so slow that a machine under load is not a step late
    with process("serve", "--tcp", "0", until=URL) as (_, said):
        code, found = run(tmp_path, str(story), "--target", patient(said.removeprefix("pump: ")))
    assert (code, found["evidence"], found["reason"]) == (0, "SIMULATED", "")


class Cable:
    """Carries bytes from a port of its own to a served line, until it is pulled."""

    def __init__(self, url: str) -> None:
        self._to = place(url)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._join, daemon=True).start()

    def _join(self) -> None:
        here = self._server.accept()[0]
        there = socket.create_connection(self._to)
        self._ends = [here, there]
        for a, b in ((here, there), (there, here)):
            threading.Thread(target=_carry, args=(a, b), daemon=True).start()

    def pull(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._server.close()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            sink.sendall(data)


def test_a_cable_pulled_in_mid_run_is_exit_2_with_what_was_measured_and_the_pump_is_free_and_runs(tmp_path: Path) -> None:
    with process("serve", "--tcp", "0", until=URL) as (_, said):
        url = said.removeprefix("pump: ")
        cable = Cable(url)
        puller = threading.Thread(target=_pull_once_measured, args=(cable, tmp_path / "out" / "serial.log"), daemon=True)
        puller.start()
        code, found = run(tmp_path, written(tmp_path, "600 s", "1 s"), "--target", patient(cable.url))
        assert (code, found["verdict"]) == (2, "unusable") and found["expected_nl"] > 0
        assert "went away" in found["reason"] and "its host still on the network" in found["reason"]
        wait_for(lambda: _opens(url), "the line is free again")
        with Bench(BenchConfig(target=patient(url)), tmp_path / "after") as bench:
            assert bench.pump.stat()["state"] == "running"


def _pull_once_measured(cable: Cable, log: Path) -> None:
    """After some seconds of delivery: the account is asked for with every sample."""
    wait_for(lambda: log.exists() and log.read_text("ascii").partition(" RUN ")[2].count("part=account") > 5, "the run is under way")
    cable.pull()


def test_the_watch_finds_a_pump_again_that_went_away_and_came_back(tmp_path: Path) -> None:
    with process("serve", "--tcp", "0", until=URL) as (running, said):
        url = said.removeprefix("pump: ")
        watcher = Watcher(patient(url), None, look_s=0.05)
        watcher.start()
        wait_for(lambda: watcher.snapshot()["connection"] == "answering", "an answer")
        running.send_signal(signal.SIGKILL)
        wait_for(lambda: watcher.snapshot()["connection"] != "answering", "it is missed")
    with process("serve", "--tcp", url.rpartition(":")[2], until=URL):
        wait_for(lambda: watcher.snapshot()["connection"] == "answering", "it is found again")
        watcher.stop()


# ---- a balance behind it


@pytest.fixture
def scale() -> Iterator[tuple[SimulatedBalance, str]]:
    with SimulatedBalance(Rig().load) as simulated, TcpLine(simulated.path) as offered:
        yield simulated, offered.url


def test_a_balance_over_the_network_is_asked_tared_and_streamed(scale: tuple[SimulatedBalance, str]) -> None:
    with MtSicsBalance(patient(scale[1]), timeout_s=PATIENCE_S) as balance:
        assert balance.identify().serial_number == "D000000001"
        balance.zero()
        assert abs(balance.read().mass_g) < 0.01
        stream = balance.stream()
        assert all(abs(next(stream).mass_g) < 0.01 for _ in range(3))
        stream.close()
        assert balance.read(stable=True).stable


def test_a_balance_over_the_network_that_goes_away_says_so(scale: tuple[SimulatedBalance, str]) -> None:
    with MtSicsBalance(scale[1], timeout_s=1.0) as balance:
        balance.read()
        scale[0].unplug()
        with pytest.raises(BalanceError):
            balance.read()
        with pytest.raises(BalanceGone, match=r"went away.*its host still on the network"):
            balance.read()


def test_what_a_served_pump_delivers_lies_on_the_served_balance(tmp_path: Path) -> None:
    words = ("--scenario", "night-flex-spinal", "--speed", "600", "--tcp", "0", "--balance-tcp", "0")
    with process("serve", *words, until=BALANCE_URL) as (_, said), MtSicsBalance(patient(said.removeprefix("balance: "))) as balance:
        before = balance.read().mass_g
        wait_for(lambda: balance.read().mass_g > before + 0.005, "5 uL more on the balance")  # 40 min of it


# ---- addresses that lead nowhere


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


WRONG = {
    "rfc2217://127.0.0.1:FREE": "nobody listens there: start what serves the line",
    "socket://127.0.0.1:FREE": "nobody listens there: start what serves the line",
    "RFC2217://127.0.0.1:FREE": "nobody listens there: start what serves the line",
    "rfc2217://127.0.0.1": "names no host and port: write it like rfc2217://bench7:4000",
    "rfc2217://:4000": "names no host and port",
    "rfc2217://bench7:port": "names no host and port",
    "rfc2217://bench7:70000": "names no host and port",
    "socket://bench7": "names no host and port",
    "rfc2217://no-such-host.invalid:4000": "there is no such host: correct its name",
}


@pytest.mark.parametrize("url", sorted(WRONG))
def test_an_address_that_leads_nowhere_is_told_with_what_to_do(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = url.replace("FREE", str(_free_port()))
    for words in (["key", "check", str(_keys(tmp_path)), "--target", there], ["balance", there]):
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert WRONG[url] in said and "itself failed" not in said and "Errno" not in said


def _keys(folder: Path) -> Path:
    path = folder / "keys.toml"
    if not path.exists():
        assert cli.main(["key", "make", str(path)]) == 0
    return path


def test_a_server_that_is_none_of_rfc_2217_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(LinkError, match=r"does not speak RFC 2217.*socket://"):
        open_serial(f"rfc2217://127.0.0.1:{server.getsockname()[1]}?timeout=0.2")


def test_a_server_that_does_not_confirm_modem_lines_is_told_with_the_option_that_helps(
    line: tuple[PtyPair, TcpLine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ser2net over a port that has none."""
    send = PortManager.rfc2217_send_subnegotiation
    silent = lambda manager, option, value=b"": None if option == SERVER_SET_CONTROL else send(manager, option, value)  # noqa: E731
    monkeypatch.setattr(PortManager, "rfc2217_send_subnegotiation", silent)
    with pytest.raises(LinkError, match=r"does not confirm.*write \?ign_set_control behind"):
        open_serial(f"{line[1].url}?timeout=1")
    wait_for(lambda: _opens(f"{line[1].url}?ign_set_control"), "it opens with that option")
