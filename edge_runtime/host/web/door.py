"""The one thing that the runtime knows of the status page. Light: what serves is imported when it starts.

If the extra is not installed, or the port is taken, one line of the log says what to do and the daemon goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.errors import UsageError
from ...node import commands as c
from ...node.effects import Answer, Turn
from ...node.events import Asked, Event
from ..dialling import join_address
from ..thread import NodeThread
from ..web_config import WebConfig
from .asking import Questions
from .health import find_trouble

if TYPE_CHECKING:
    from .metrics import Tally
    from .server import Pages

log = logging.getLogger("edge_runtime")
URL_FILE = "web.url"


class Door:
    """Starts the page and stands between it and the runtime.

    Args:
        ask, gone: the runtime's, for (ticket, command) and for a ticket whose asker left.
        trouble: returns why the spool cannot be written, empty where it can.
    """

    def __init__(
        self, thread: NodeThread, state: Path, ask: Callable[[int, c.Command], None], gone: Callable[[int], None],
        trouble: Callable[[], str],
    ) -> None:  # fmt: skip
        self._thread = thread
        self._state = state
        self._questions = Questions(ask, gone)
        self._trouble = trouble
        self._loop = asyncio.get_running_loop()
        self._tally: Tally | None = None
        self._pages: Pages | None = None
        self._is_looked_at = self._is_told = False
        self.url = ""

    async def run(self, config: WebConfig) -> None:
        """Serve until cancelled. What keeps the page from it is logged, and is no reason to stop the daemon."""
        file = self._state / URL_FILE
        try:
            server = await asyncio.to_thread(import_module, f"{__package__}.server")
            metrics = await asyncio.to_thread(import_module, f"{__package__}.metrics")
        except ImportError as error:
            log.error(
                "[web] is on and %s is not installed. Run: pip install 'edge-runtime[web]', then start the daemon "
                "again; it goes on without the page.", error.name or error,
            )  # fmt: skip
            return
        try:
            listener = server.bind(config)
        except UsageError as error:
            log.error("%s", error.message)
            return
        host, port = listener.getsockname()[:2]
        self._tally = metrics.Tally()
        sources = server.Sources(self._questions, self._state / "spool.db", self._metrics, self._health)
        pages = self._pages = server.Pages(sources, self._look)
        self._thread.on_turn += (self._count,)
        self.url = f"http://{join_address(host, port)}/"
        try:
            file.write_text(self.url + "\n")
            log.info("status page at %s", self.url)
            await server.serve(listener, pages.make_app(config), pages.feed.close)
        finally:
            self.url = ""
            self._thread.on_turn = tuple(hear for hear in self._thread.on_turn if hear != self._count)
            listener.close()
            file.unlink(missing_ok=True)

    def answer(self, answer: Answer) -> None:
        """Hand on an answer of the node to a question of the page."""
        self._questions.answer(answer)

    # --- After each commit, on the node thread --------------------------------------------------------------------

    def _count(self, events: Sequence[Event], turn: Turn) -> None:
        assert self._tally is not None
        self._tally.count(events, turn.effects)
        if self._is_looked_at and not self._is_told and not all(_is_look(event) for event in events):
            self._is_told = True  # once until the loop has heard it
            try:
                self._loop.call_soon_threadsafe(self._notice)
            except RuntimeError:
                pass  # the loop is closed: nobody looks any more

    def _notice(self) -> None:
        self._is_told = False
        if self._pages is not None:
            self._pages.feed.notice()

    def _look(self, is_looked_at: bool) -> None:
        self._is_looked_at = is_looked_at

    # --- What the routes read -------------------------------------------------------------------------------------

    async def _health(self) -> str:
        return await find_trouble(self._thread, self._trouble)

    async def _metrics(self) -> bytes:
        from .metrics import Readings, render

        assert self._pages is not None and self._tally is not None
        status: dict[str, Any] | None = None
        peers: list[dict[str, Any]] = []
        try:
            status, peers = await asyncio.gather(self._questions.ask(c.Status()), self._questions.ask(c.Peers()))
        except UsageError:
            pass  # the scrape says so: `edge_runtime_up 0`
        onlookers = self._pages.feed.count
        readings = Readings(_version(), self._thread.turns, self._tally, onlookers, self._state, status, peers)
        return await asyncio.to_thread(render, readings)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("edge-runtime")
    except PackageNotFoundError:
        return "unknown"  # runs from its source, uninstalled


def _is_look(event: Event) -> bool:
    """Say whether an event is a question of the page itself: it changes nothing, and must not lead to another look."""
    return isinstance(event, Asked) and event.ticket < 0
