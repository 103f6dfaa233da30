"""The HTTP side of the status page: the socket, the routes, uvicorn inside the daemon's own loop. Read-only.

Every route is a GET of what `show`, `ls`, `trace`, `explain`, `peers`, `contacts` and `status` say, of a file of the
page, or of the feed. Imported only where `[web]` is configured.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...base.errors import Exit, UsageError
from ...base.limits import (
    NAME_BYTES_MAX, WEB_CONNECTIONS_MAX, WEB_HEAD_BYTES_MAX, WEB_ROWS_FIRST, WEB_ROWS_MAX, WEB_SEND_MS_MAX,
)  # fmt: skip
from ...node import commands as c
from ..clock import boot_ms
from ..web_config import WebConfig, is_loopback
from .anchors import anchor
from .asking import Questions
from .feed import Feed, View
from .guard import Guard
from .shelf import read_rows, read_shelf

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}  # fmt: skip
CONTACTS_SHOWN = 200
TRACE_SHOWN = 400  # newest records of the opened object; `edge-runtime trace` has all
# Of `status`: what changes at every look and that nobody reads on a page stands in /metrics alone.
COUNTED = ("evaluations", "queued")
STATUS_OF = {Exit.NOT_FOUND: 404, Exit.USAGE: 400}
_encoder = msgspec.json.Encoder()
Answerer = Callable[[Request], Awaitable[Response]]


class Sources(Struct):
    """What the routes read from. `metrics` and `health` return a page, and why not all is well."""

    questions: Questions
    spool: Path
    metrics: Callable[[], Awaitable[bytes]]
    health: Callable[[], Awaitable[str]]


class PageServer(uvicorn.Server):
    """uvicorn without its own signal handlers (they are the daemon's) and without its ten ticks a second.

    `on_stop` ends the streams, which else would hold the stop up.
    """

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield

    async def main_loop(self) -> None:
        """Serve until the task is cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            self._on_stop()
            await self.shutdown()


def bind(config: WebConfig) -> socket.socket:
    """Return the listening socket.

    Raises:
        UsageError: the port is taken, or the address is not one of this machine.
    """
    host, port = config.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Who does not take what it is sent is hung up on by the kernel. Source: tcp(7); connections inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, WEB_SEND_MS_MAX)
        listener.bind(("127.0.0.1" if host == "localhost" else host, port))
        listener.listen(WEB_CONNECTIONS_MAX)  # who comes before uvicorn does waits for it
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"The status page cannot listen on {config.listen}: {error.strerror or error}. Choose another `listen` "
            "under [web], or port 0 for a free one; the daemon runs without it.",
            Exit.FAILED,
        ) from None
    return listener


class Pages:
    """The routes. `feed` is what live pages hang on."""

    def __init__(self, sources: Sources, on_looked: Callable[[bool], None]) -> None:
        self._sources = sources
        self.feed = Feed(self._read_view, self._read_object, on_looked)
        self._files = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in TYPES}

    def make_app(self, config: WebConfig) -> Guard:
        """Return the whole application behind its guard."""
        host, _ = config.address
        routes = [
            Route("/", self._index), Route("/static/{name}", self._file), Route("/events", self._events),
            Route("/api/now", _json(self._now)), Route("/api/objects", _json(self._objects)),
            Route("/api/objects/{reference}", _json(self._object)), Route("/metrics", self._metrics),
            Route("/healthz", self._healthz),
        ]  # fmt: skip
        names = [*config.hosts] if is_loopback(host) else [host, *config.hosts]
        return Guard(Starlette(routes=routes), names, is_loopback(host))

    # --- Routes ---------------------------------------------------------------------------------------------------

    async def _index(self, request: Request) -> Response:
        return Response(self._files["index.html"], media_type=TYPES[".html"])

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        found = self._files.get(name)
        if found is None:
            return PlainTextResponse("There is no such file.\n", 404)
        return Response(found, media_type=TYPES[Path(name).suffix])

    async def _now(self, request: Request) -> Any:
        return {"now_ms": boot_ms(), **{name: list(rows.values()) for name, rows in (await self._read_view()).items()}}

    async def _objects(self, request: Request) -> Any:
        query = request.query_params
        most = _number(query.get("most", str(WEB_ROWS_FIRST)), "most")
        before = _number(query["before"], "before") if "before" in query else None
        status = query.get("status", "dormant")
        return await asyncio.to_thread(read_rows, self._sources.spool, status, before, min(max(most, 1), WEB_ROWS_MAX))

    async def _object(self, request: Request) -> Any:
        view = await self._read_object(_reference(request.path_params["reference"]), {})
        error = view["chosen"].get("error")
        if error is not None:
            raise UsageError(error["error"], Exit.NOT_FOUND)
        chosen = view["chosen"]
        return {"now_ms": boot_ms(), "show": chosen["show"], "explain": chosen["explain"],
                "trace": list(view["trace"].values())}  # fmt: skip

    async def _metrics(self, request: Request) -> Response:
        from .metrics import CONTENT_TYPE

        return Response(await self._sources.metrics(), headers={"content-type": CONTENT_TYPE})

    async def _healthz(self, request: Request) -> Response:
        trouble = await self._sources.health()
        return PlainTextResponse(f"{trouble or 'ok'}\n", 503 if trouble else 200)

    async def _events(self, request: Request) -> Response:
        try:
            reference = _reference(request.query_params.get("object", ""))
        except UsageError as error:
            return PlainTextResponse(error.message + "\n", 400)
        return _EventStream(self.feed, reference)

    # --- Reading --------------------------------------------------------------------------------------------------

    async def _read_view(self) -> View:
        ask = self._sources.questions.ask
        shelf, status, peers, contacts = await asyncio.gather(
            asyncio.to_thread(read_shelf, self._sources.spool, WEB_ROWS_FIRST),
            ask(c.Status()), ask(c.Peers()), ask(c.Contacts(CONTACTS_SHOWN)),
        )  # fmt: skip
        now_ms = boot_ms()
        return {
            "device": {"": {name: value for name, value in status.items() if name not in COUNTED}},
            "custody": shelf["custody"],
            "peers": {row["device"]: _peer(anchor(row, now_ms)) for row in peers},
            "contacts": {f"{row['device']} {row['at_ms']}": anchor(row, now_ms) for row in contacts},
            "objects": {row["object"]: row for row in shelf["rows"]},
            "due": {row["object"]: row for row in shelf["due"]},
        }

    async def _read_object(self, reference: str, before: View) -> View:
        """Return what is shown of one object; its records are read only when it has others than before."""
        ask = self._sources.questions.ask
        try:
            show, explain = await asyncio.gather(ask(c.Show(reference)), ask(c.Explain(reference)))
            had = before.get("chosen", {}).get("show", {})
            if had.get("heads") == show["heads"] and had.get("object") == show["object"]:
                trace = before["trace"]
            else:
                rows = (await ask(c.Trace(reference)))[-TRACE_SHOWN:]
                trace = {f"{row['entry']} {number}": row for number, row in enumerate(rows)}
        except UsageError as error:
            if error.exit in (Exit.NOT_FOUND, Exit.USAGE):
                return {"chosen": {"error": {"error": error.message}}, "trace": {}}
            raise
        now_ms = boot_ms()
        # An object's own age is the one `age_ms` that is not about a moment of this device.
        show = {**anchor({name: value for name, value in show.items() if name != "age_ms"}, now_ms),
                "made_at": now_ms - show["age_ms"]}  # fmt: skip
        return {"chosen": {"show": show, "explain": anchor(explain, now_ms)}, "trace": trace}


class _EventStream(Response):
    """One onlooker's connection. An ASGI response of its own: it ends when either side does."""

    def __init__(self, feed: Feed, reference: str) -> None:
        super().__init__()
        self._feed = feed
        self._reference = reference

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._feed.join(self._reference) as onlooker:
                await self._stream(self._feed.events(onlooker), receive, send)
        except UsageError as error:
            await PlainTextResponse(error.message + "\n", 503, {"retry-after": "5"})(scope, receive, send)

    async def _stream(self, events: Any, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def tell() -> None:
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})

        telling = asyncio.ensure_future(tell())
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((telling, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            telling.cancel()
            leaving.cancel()
            await asyncio.wait((telling, leaving))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _peer(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "last_at": None} if row["connected"] else row


def _json(answer: Callable[[Request], Awaitable[Any]]) -> Answerer:
    return partial(_answer_json, answer)


async def _answer_json(answer: Callable[[Request], Awaitable[Any]], request: Request) -> Response:
    try:
        value, status = await answer(request), 200
    except UsageError as error:
        value, status = {"error": error.message, "exit": int(error.exit)}, STATUS_OF.get(error.exit, 503)
    return Response(_encoder.encode(value), status, media_type="application/json")


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise UsageError(f"{name}={text[:40]!r} is no number.")
    return int(text)


def _reference(text: str) -> str:
    if len(text.encode()) > NAME_BYTES_MAX:
        raise UsageError(f"An object is named by at most {NAME_BYTES_MAX} bytes.")
    return text


async def serve(listener: socket.socket, app: Guard, on_stop: Callable[[], None]) -> None:
    """Serve on a listening socket until cancelled."""
    server = PageServer(
        uvicorn.Config(
            app, loop="none", http="h11", ws="none", lifespan="off", log_config=None, log_level="error",
            access_log=False, proxy_headers=False, server_header=False, date_header=False,
            limit_concurrency=WEB_CONNECTIONS_MAX, h11_max_incomplete_event_size=WEB_HEAD_BYTES_MAX,
            timeout_keep_alive=15, timeout_graceful_shutdown=1, backlog=WEB_CONNECTIONS_MAX,
        ),
        on_stop,
    )  # fmt: skip
    await server.serve([listener])
