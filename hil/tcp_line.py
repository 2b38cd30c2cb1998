"""A serial line of this machine offered on TCP as RFC 2217 (telnet with serial port control), to one client at a time.

A client holds the line as a program here would: while it is connected the path is busy, and while a program here has the path open a
client is let go at once. A client that vanishes without a word is found by TCP's own questions and the line is free again.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Mapping
from typing import Any

import serial
from serial.rfc2217 import PortManager

from hil.channel import open_serial
from hil.errors import BenchError, LinkError

LOOPBACK = "127.0.0.1"
MOST_WAITING = 65_536  # bytes either way before the other side must take some
PIECE = 4096
LONGEST_OPTION = 64  # bytes of a telnet subnegotiation; those of RFC 2217 have at most 5
# Seconds without a byte, seconds between questions, questions: a client whose cable was pulled is gone after 30 s.
KEEPALIVE: Mapping[str, int] = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


def listen(host: str, port: int, options: str) -> socket.socket:
    """A listening socket; BenchError where that cannot be names the options that choose another."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BenchError(f"cannot listen on {host} port {port} ({why}): choose another with {options} (0: any free one)") from None
    except OverflowError:
        raise BenchError(f"{port} is no port: 0 to 65535") from None


class TcpLine:
    """Listens from the start; `url` is what a bench calls the line. A thread of its own carries the bytes."""

    def __init__(self, path: str, host: str = LOOPBACK, port: int = 0) -> None:
        self._path = path
        self._server = listen(host, port, "--tcp, --balance-tcp or --host")
        shown = f"[{host}]" if ":" in host else host
        self.url = f"rfc2217://{shown}:{self._server.getsockname()[1]}"
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, name=self.url, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the client go and listen no more; safe to call twice."""
        if self._thread.is_alive():
            os.write(self._wake_write, b"x")
            self._thread.join()

    def _serve(self) -> None:
        try:
            while (client := self._next_client()) is not None:
                with client:
                    self._attend(client)
        finally:
            self._server.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _next_client(self) -> socket.socket | None:
        """None once it is to end."""
        waited: list[Any] = [self._server, self._wake_read]
        while True:
            if self._wake_read in select.select(waited, [], [])[0]:
                return None
            with contextlib.suppress(OSError):  # it went away before it was served
                return self._server.accept()[0]

    def _attend(self, client: socket.socket) -> None:
        """Carry bytes until one side is gone or another thing than telnet comes."""
        try:
            port = open_serial(self._path)
        except LinkError:  # a program of this machine has it
            return
        try:
            bridge = Bridge(client, port)
            while bridge.turn(self._server, self._wake_read):
                pass
        except Exception:  # a client may send anything, and pyserial's parser raises what it likes: it is let go, the line stays
            return
        finally:
            port.close()

    def __enter__(self) -> TcpLine:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class Bridge:
    """Bytes between one client and one port, with telnet taken out and put in by pyserial's PortManager."""

    def __init__(self, client: socket.socket, port: Any) -> None:
        _never_delay(client)
        self._client = client
        self._port = port
        self._to_client = bytearray()
        self._to_port = bytearray()
        make: Any = PortManager  # its stubs want more of both than it uses
        self._telnet = make(Settings(port, self._to_port), self)

    def write(self, data: bytes) -> None:
        """What the telnet side has to say by itself."""
        self._to_client += data

    def turn(self, server: socket.socket, wake: int) -> bool:
        """Wait for something and do it; False once a side is gone or it is to end."""
        client, port = self._client.fileno(), self._port.fileno()
        reading = [server.fileno(), wake]
        reading += [client] if len(self._to_port) < MOST_WAITING else []
        reading += [port] if len(self._to_client) < MOST_WAITING else []
        writing = [fd for fd, waiting in ((client, self._to_client), (port, self._to_port)) if waiting]
        readable, writable, _ = select.select(reading, writing, [])
        if wake in readable:
            return False
        if server.fileno() in readable:
            _turn_away(server)
        return self._carry(client in readable, port in readable, client in writable, port in writable)

    def _carry(self, from_client: bool, from_port: bool, to_client: bool, to_port: bool) -> bool:
        if from_client:
            came = self._client.recv(PIECE)
            if not came:
                return False
            self._to_port += b"".join(self._telnet.filter(came))
            if len(self._telnet.suboption or b"") > LONGEST_OPTION:
                return False
        if from_port:
            came = os.read(self._port.fileno(), PIECE)
            if not came:
                return False
            self._to_client += b"".join(self._telnet.escape(came))
        if to_client:
            del self._to_client[: self._client.send(self._to_client)]
        if to_port:
            del self._to_port[: os.write(self._port.fileno(), self._to_port)]
        return True


def _never_delay(client: socket.socket) -> None:
    """Lines are short and waited for; and a client that is gone must be found out."""
    client.setblocking(False)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _turn_away(server: socket.socket) -> None:
    """A second client: the line has one owner."""
    with contextlib.suppress(OSError):
        server.accept()[0].close()


class Settings:
    """What PortManager asks of a port. A pty has no baud rate and no modem lines: what the client sets is kept and told back."""

    def __init__(self, port: Any, waiting: bytearray) -> None:
        self._port = port
        self._waiting = waiting  # bytes on their way to the port
        self.baudrate = 115_200
        self.bytesize = serial.EIGHTBITS
        self.parity = serial.PARITY_NONE
        self.stopbits = serial.STOPBITS_ONE
        self.xonxoff = self.rtscts = self.break_condition = False
        self.dtr = self.rts = True
        self.cts = self.dsr = self.cd = True  # somebody is there and listens
        self.ri = False

    def reset_input_buffer(self) -> None:
        self._port.reset_input_buffer()

    def reset_output_buffer(self) -> None:
        self._waiting.clear()
        self._port.reset_output_buffer()
