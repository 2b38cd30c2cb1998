"""The watch as a process and its pages as a server: who may press a button, what is sent, what a user's mistake is told."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_rig import PATIENCE_S, FakePump, served, stat_line, wait_for, watched
from starlette.requests import Request

from hil import auth, cli
from hil.live import server
from hil.live.server import Live, make_app
from hil.live.watcher import Bad, Watcher
from hil.tcp_line import listen

ALARM = 'id={} priority=HIGH cause=on acked=no since=1809302400s text="{}" count=1'


@pytest.fixture
def pump() -> Iterator[FakePump]:
    fake = FakePump()
    yield fake
    fake.close()


@pytest.fixture
def alarmed(pump: FakePump) -> FakePump:
    pump.alarms = [ALARM.format("PORT_OPEN", "it is open")]
    pump.answers["STAT?"] = stat_line(alarms="1", top="PORT_OPEN")
    return pump


@pytest.fixture
def page(alarmed: FakePump) -> Iterator[str]:
    """The address of a page with buttons."""
    yield from _serving([Watcher(alarmed.url, auth.default_keys(), look_s=0.05)])


def _serving(watchers: list[Watcher]) -> Iterator[str]:
    bound = listen("127.0.0.1", 0, "--port")
    live = Live(watchers)
    config = server.uvicorn.Config(make_app(live, "127.0.0.1"), log_level="error", timeout_graceful_shutdown=1, lifespan="off")
    running = server._Server(config, live)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]}, daemon=True)
    for watcher in watchers:
        watcher.start()
        wait_for(lambda watcher=watcher: watcher.snapshot()["connection"] == "answering", "an answer")
    thread.start()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    live.ending.set()
    running.should_exit = True
    thread.join(20)
    for watcher in watchers:
        watcher.stop()


def fetch(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(url, body, {name.replace("_", "-"): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def token_of(page: str) -> str:
    found = re.search(r'name="token" content="([^"]*)"', fetch(page + "/")[1])
    assert found is not None
    return found[1]


def first_news(page: str) -> dict[str, Any]:
    with urllib.request.urlopen(page + "/events", timeout=PATIENCE_S) as stream:
        found: dict[str, Any] = json.loads(stream.readline().decode().removeprefix("data: "))
    return found


ACK = json.dumps({"pump": 0, "act": "ack", "id": "PORT_OPEN"}).encode()


# ---- who may act


def test_every_answer_forbids_foreign_scripts_frames_and_sniffing(page: str) -> None:
    for path in ("/", "/page/live.js", "/page/vendor/uplot/uPlot.iife.min.js", "/nowhere"):
        _, _, headers = fetch(page + path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_loads_nothing_from_elsewhere(page: str) -> None:
    html = fetch(page + "/")[1]
    assert all(link.startswith("/page/") for link in re.findall(r'(?:src|href)="([^"]*)"', html))
    assert fetch(page + "/page/vendor/uplot/LICENSE")[1].startswith("The MIT License")


@pytest.mark.parametrize("token", ["", "wrong", "ü"])
def test_a_button_without_the_pages_token_does_nothing(page: str, alarmed: FakePump, token: str) -> None:
    assert fetch(page + "/act", ACK, X_Watch_Token=token.encode().decode("latin-1"))[0] == 403
    assert b"HELLO" not in alarmed.seen


def test_a_button_of_another_site_does_nothing_even_with_the_token(page: str, alarmed: FakePump) -> None:
    assert fetch(page + "/act", ACK, X_Watch_Token=token_of(page), Origin="http://evil.example")[0] == 403
    assert b"HELLO" not in alarmed.seen


def test_another_host_name_is_refused(page: str) -> None:
    """A name that a stranger lets point here (DNS rebinding) gets no page and so no token."""
    assert fetch(page + "/", Host="evil.example")[0] == 400


def test_from_another_machine_nobody_may_act(alarmed: FakePump) -> None:
    live = Live([Watcher(alarmed.url, auth.default_keys())])

    def asked_from(client: str) -> str:
        headers = [(b"host", b"bench7:8787"), (b"x-watch-token", live.token.encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "client": (client, 5), "headers": headers, "query_string": b""}
        answer = asyncio.run(live.index(Request(scope)))
        return bytes(answer.body).decode()

    assert live.token in asked_from("127.0.0.1") and live.token in asked_from("::1")
    assert live.token not in asked_from("192.168.1.5") and live.token not in asked_from("")


BAD_BODIES = [
    b"", b"{", b"[]", b"3", b'{"pump": 0}', b'{"pump": "0", "act": "mute"}', b'{"pump": true, "act": "mute"}',
    b'{"pump": -1, "act": "mute"}', b'{"pump": 9, "act": "mute"}', b'{"pump": 0, "act": "stop"}', b'{"pump": 0, "act": "ack", "id": 3}',
    b" " * 2000, b"\xff\xfe",
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES)
def test_what_is_no_request_of_the_page_is_refused_and_the_watch_goes_on(page: str, alarmed: FakePump, body: bytes) -> None:
    assert fetch(page + "/act", body, X_Watch_Token=token_of(page))[0] == 400
    assert fetch(page + "/")[0] == 200 and b"HELLO" not in alarmed.seen


@pytest.mark.parametrize("code", ["LATE", "PORT_OPEN x=1", "PORT_OPEN\nSTOP", "", "port_open", "A" * 300])
def test_only_an_alarm_that_is_on_can_be_acknowledged(page: str, alarmed: FakePump, code: str) -> None:
    body = json.dumps({"pump": 0, "act": "ack", "id": code}).encode()
    assert fetch(page + "/act", body, X_Watch_Token=token_of(page))[0] == 409
    assert b"HELLO" not in alarmed.seen


def test_read_only_there_is_no_token_and_no_button_works_and_not_one_frame_is_sent(alarmed: FakePump) -> None:
    for page in _serving([Watcher(alarmed.url, None, look_s=0.02)]):
        assert token_of(page) == "" and fetch(page + "/act", ACK, X_Watch_Token="")[0] == 403
        assert first_news(page)["can_act"] is False
        wait_for(lambda: alarmed.seen.count(b"STAT?\r") > 20, "looks")
    assert b">" not in alarmed.seen and b"STOP" not in alarmed.seen


def test_without_a_key_the_watcher_itself_refuses(alarmed: FakePump) -> None:
    with pytest.raises(Bad, match="read-only"):
        Watcher(alarmed.url, None).mute()


# ---- news


def test_the_first_news_has_everything_and_times_are_those_of_the_pumps_clock(page: str) -> None:
    news = first_news(page)
    assert news["stat"]["state"] == "running" and news["evidence"] == "SIMULATED"
    assert news["alarms"][0]["id"] == "PORT_OPEN" and news["now"] == "2027-05-03 02:00:00"
    assert news["again"] is True and news["points"][0][0] == 1_809_302_400


def test_a_pump_that_goes_silent_and_one_whose_line_goes_are_told_and_come_back(pump: FakePump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.live.typed.WAIT_S", 0.1)
    monkeypatch.setattr("hil.live.watcher.BACK_OFF_S", 0.05)
    watcher = Watcher(pump.url, None, look_s=0.05)
    watcher.start()
    connection = lambda: watcher.snapshot()["connection"]  # noqa: E731
    wait_for(lambda: connection() == "answering", "an answer")
    kept = pump.answers.pop("STAT?")
    pump.answers["STAT?"] = ""
    wait_for(lambda: connection() == "silent", "silence")
    pump.answers["STAT?"] = kept
    wait_for(lambda: connection() == "answering", "an answer again")
    watcher.stop()


def test_another_pump_on_the_same_line_begins_the_curves_again(pump: FakePump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.live.typed.WAIT_S", 0.1)
    watcher = Watcher(pump.url, None, look_s=0.05)
    watcher.start()
    wait_for(lambda: watcher.points()[1], "a point")
    generation, _ = watcher.points()
    pump.answers["*IDN?"] = pump.answers["*IDN?"].replace("unix-1", "unix-2")  # who it is is asked after a silence
    pump.answers["STAT?"] = ""
    wait_for(lambda: watcher.snapshot()["connection"] == "silent", "silence")
    pump.answers["STAT?"] = stat_line()
    wait_for(lambda: watcher.points()[0] > generation, "a new generation")
    watcher.stop()


# ---- the command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "/dev/nowhere"], "no such serial port"),
        (["--target", "unix"], "hil serve --link"),
        (["--target", "socket://127.0.0.1:1"], "socket://127.0.0.1:1"),
        (["--target", "{pump}", "--target", "{pump}"], "named twice"),
        (["--target", "{pump}", "--default-key", "--key-file", "x"], "one of both"),
        (["--target", "{pump}", "--key-file", "/nowhere/keys.toml"], "no such file"),
        (["--target", "{pump}", "--key-file", "pyproject.toml"], "64 hex digits"),
        (["--target", "{pump}", "--port", "{busy}"], "choose another with --port"),
        (["--target", "{pump}", "--host", "192.0.2.77", "--port", "0"], "cannot listen"),
        (["--target", "{pump}", "--host", "no such host", "--port", "0"], "cannot listen"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_with_exit_2(
    words: list[str], said: str, pump: FakePump, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        given = [word.format(pump=pump.url, busy=busy.getsockname()[1]) for word in words]
        assert cli.main(["watch", *given]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and "bench itself" not in error


@pytest.mark.parametrize("port", ["-1", "70000", "x", "８787"])
def test_what_is_no_port_is_told_with_exit_2(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["watch", "--target", "x", f"--port={port}"])
    assert ended.value.code == 2 and "is no port" in capsys.readouterr().err


def test_two_pumps_on_one_page_and_a_clean_end(tmp_path: Path) -> None:
    links = [tmp_path / "a", tmp_path / "b"]
    watching = ("--target", str(links[0]), "--target", str(links[1]), "--port", "0")
    with served(links[0], "--scenario", "night-flex-spinal"), served(links[1]), watched(*watching) as (process, url):
        seen: dict[int, str] = {}
        with urllib.request.urlopen(url + "events", timeout=PATIENCE_S) as stream:
            while seen != {0: "running", 1: "idle"}:
                line = stream.readline().decode()
                assert line, "the stream ended"
                if line.startswith("data: "):
                    news = json.loads(line.removeprefix("data: "))
                    seen[news["pump"]] = news["stat"].get("state", "")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
