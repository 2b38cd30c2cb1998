"""The pages of `python -m hil watch`: one for all pumps, news as server-sent events, two buttons where a key was given.

Whatever a pump says is data: it goes to the browser as JSON and onto the page as text, never as markup, and the page may run no script
but its own (Content-Security-Policy). A button's request carries a token that only this page was given, and comes from this machine.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hil.live.watcher import ACT_WAIT_S, Bad, Watcher
from hil.report import NOT_MEDICAL, environment

PAGE = Path(__file__).resolve().parent / "page"
PACE_S = 0.25  # how often news is looked for
BEAT_S = 5.0  # something is sent at least so often: the page knows that the watch lives
OURS, NOBODY = ("script-src", "style-src", "connect-src"), ("default-src", "base-uri", "form-action", "frame-ancestors")
POLICY = "; ".join([f"{what} 'none'" for what in NOBODY] + [f"{what} 'self'" for what in OURS])
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
TOKEN_HEADER = "X-Watch-Token"
MOST_BODY = 1000


class Live:
    """What the pages show, and the token for their buttons."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers
        self.token = secrets.token_urlsafe(24)
        self.ending = threading.Event()

    # ---- pages

    async def index(self, request: Request) -> Response:
        token = self.token if self._may_act(request) else ""
        html = environment().get_template("live.html.j2").render(token=token, not_medical=NOT_MEDICAL, count=len(self.watchers))
        return HTMLResponse(html)

    async def events(self, request: Request) -> Response:
        return StreamingResponse(self._stream(request), media_type="text/event-stream")

    async def act(self, request: Request) -> Response:
        """POST {"pump": n, "act": "ack" | "mute", "id": CODE}."""
        if not self._may_act(request) or not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            return JSONResponse({"said": "not allowed: reload the page, on the machine that runs the watch"}, 403)
        try:
            done = self._ordered(await _body(request))
        except Bad as error:
            return JSONResponse({"said": str(error)}, 409)
        except (ValueError, KeyError, TypeError, IndexError):
            return JSONResponse({"said": "that is no request of this page"}, 400)
        try:
            return JSONResponse({"said": await asyncio.wait_for(asyncio.wrap_future(done), ACT_WAIT_S)})
        except asyncio.TimeoutError:
            return JSONResponse({"said": "not known whether it was done: the pump is slow; look at its alarms"}, 504)

    def _ordered(self, wanted: dict[str, Any]) -> Any:
        pump = wanted["pump"]
        if not isinstance(pump, int) or isinstance(pump, bool) or pump < 0:
            raise ValueError
        watcher = self.watchers[pump]
        if wanted["act"] == "mute":
            return watcher.mute()
        if wanted["act"] == "ack" and isinstance(wanted["id"], str):
            return watcher.acknowledge(wanted["id"])
        raise ValueError

    def _may_act(self, request: Request) -> bool:
        """Only where a key was given, and only from this machine, from a page of ours."""
        origin = request.headers.get("origin")
        ours = origin is None or origin == f"http://{request.headers.get('host', '')}"
        return ours and any(watcher.can_act for watcher in self.watchers) and _is_loopback(request.client.host if request.client else "")

    # ---- news

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        """Everything at first, then what is new."""
        told: list[tuple[int, int, int]] = [(-1, -1, 0)] * len(self.watchers)  # version, generation, points
        since_s = BEAT_S
        while not self.ending.is_set() and not await request.is_disconnected():
            for i, watcher in enumerate(self.watchers):
                if watcher.version != told[i][0] or since_s >= BEAT_S:
                    told[i], news = _news(i, watcher, told[i])
                    yield f"data: {json.dumps(news)}\n\n"
            since_s = 0.0 if since_s >= BEAT_S else since_s + PACE_S
            await asyncio.sleep(PACE_S)


def _news(number: int, watcher: Watcher, told: tuple[int, int, int]) -> tuple[tuple[int, int, int], dict[str, Any]]:
    version, (_, generation, count) = watcher.version, told
    now, rows = watcher.points(count)
    again = now != generation
    if again:
        now, rows = watcher.points()
        count = 0
    news = {"pump": number, "again": again, "points": rows, **watcher.snapshot()}
    return (version, now, count + len(rows)), news


async def _body(request: Request) -> dict[str, Any]:
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MOST_BODY:
            raise ValueError
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guarded:
    """Puts HEADERS on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await self._app(scope, receive, sealed)


def make_app(live: Live, host: str) -> Starlette:
    """`host` is what the pages are reached by besides this machine's own names; another name in a request is refused (DNS rebinding)."""
    names = ["*"] if host in ("0.0.0.0", "::", "") else ["127.0.0.1", "localhost", "[::1]", host]
    return Starlette(
        routes=[
            Route("/", live.index),
            Route("/events", live.events),
            Route("/act", live.act, methods=["POST"]),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        middleware=[Middleware(Guarded), Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)],
    )


def run(watchers: Sequence[Watcher], host: str, bound: socket.socket) -> None:
    """Until Ctrl-C or SIGTERM."""
    live = Live(watchers)
    config = uvicorn.Config(make_app(live, host), log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="off")
    server = _Server(config, live)
    for watcher in watchers:
        watcher.start()
    try:
        server.run(sockets=[bound])
    finally:
        for watcher in watchers:
            watcher.stop()


class _Server(uvicorn.Server):
    """Ends the streams before it waits for them."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    def handle_exit(self, sig: int, frame: Any) -> None:
        """A signal to end is obeyed, and not raised again: it is the usual way to stop."""
        self._live.ending.set()
        self.should_exit = True
