"""What onlookers see, kept for as long as there are any: read anew after a commit, and only what changed is told.

No queue can grow: each onlooker has what it was told last, and gets the difference to what stands now when it is ready
for more. While nobody looks nothing is read, and the node's thread is not even asked to say that something happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from msgspec import Struct, field, json

from ...base.errors import UsageError
from ...base.limits import WEB_ONLOOKERS_MAX
from ..clock import boot_ms
from .anchors import settle

log = logging.getLogger("edge_runtime")
Section: TypeAlias = dict[str, dict[str, Any]]
View: TypeAlias = dict[str, Section]

PAUSE_S = 0.2  # between two readings at the least: a person sees no more
PAUSE_TIMES = 10  # and this many times what the last reading took: about a tenth of the node's time
PAUSE_S_LONGEST = 1.0  # but a page is not older than this where something happens
AGAIN_S = 15.0  # without any sign: what changes by time alone, and a word that keeps the connection known
_encoder = json.Encoder()


class Onlooker(Struct, eq=False):
    """One live page. `object` is what it has opened, empty for nothing."""

    object: str
    told: View = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Feed:
    """Keeps the view for its onlookers.

    Args:
        read: returns the view of everything. read_object: returns the view of one object, given what was read before.
        on_looked: told whether anybody looks, when that changes.
    """

    def __init__(
        self, read: Callable[[], Awaitable[View]], read_object: Callable[[str, View], Awaitable[View]],
        on_looked: Callable[[bool], None],
    ) -> None:  # fmt: skip
        self._read = read
        self._read_object = read_object
        self._on_looked = on_looked
        self._onlookers: list[Onlooker] = []
        self._view: View = {}
        self._objects: dict[str, View] = {}
        self._is_changed = asyncio.Event()
        self._has_joined = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._is_closed = False
        self._trouble: str | None = None  # why the view is not of now

    @property
    def count(self) -> int:
        """How many onlookers there are."""
        return len(self._onlookers)

    @contextmanager
    def join(self, reference: str) -> Iterator[Onlooker]:
        """Be an onlooker for as long as the context lasts.

        Raises:
            UsageError: there are WEB_ONLOOKERS_MAX already; try again when one has left.
        """
        if len(self._onlookers) >= WEB_ONLOOKERS_MAX or self._is_closed:
            raise UsageError(f"{WEB_ONLOOKERS_MAX} pages are open already. Close one; this one tries again.")
        onlooker = Onlooker(reference)
        self._onlookers.append(onlooker)
        self._is_changed.set()
        self._has_joined.set()
        if self._keeper is None:
            self._on_looked(True)
            self._keeper = asyncio.create_task(self._keep(), name="status page")
            self._keeper.add_done_callback(_say_failure)
        try:
            yield onlooker
        finally:
            self._onlookers.remove(onlooker)
            if not self._onlookers and self._keeper is not None:
                self._keeper.cancel()
                self._keeper = None
                self._on_looked(False)
                self._view, self._objects = {}, {}

    def notice(self) -> None:
        """Something was committed."""
        self._is_changed.set()

    async def events(self, onlooker: Onlooker) -> AsyncIterator[bytes]:
        """Yield server-sent events: what changed since the last one, or a comment when nothing did for a while.

        Source: HTML Living Standard, section 9.2 "Server-sent events".
        """
        while not self._is_closed:
            await onlooker.news.wait()
            onlooker.news.clear()
            now = {**self._view, **self._objects.get(onlooker.object, {})}
            changed = changes(onlooker.told, now)
            onlooker.told = now
            told = _encoder.encode({"now_ms": boot_ms(), "changed": changed, "trouble": self._trouble})
            yield b"data: " + told + b"\n\n"

    def close(self) -> None:
        """Let every onlooker go."""
        self._is_closed = True
        for onlooker in self._onlookers:
            onlooker.news.set()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._is_changed.clear()
            began_s = loop.time()
            try:
                await self._read_all()
                self._trouble = None
            except UsageError as error:
                self._trouble = error.message  # the node is busy, say: the page keeps its picture and says so
            for onlooker in self._onlookers:
                onlooker.news.set()
            pause_s = min(PAUSE_S_LONGEST, PAUSE_TIMES * (loop.time() - began_s))
            await asyncio.sleep(PAUSE_S)
            await _wait(self._has_joined, pause_s - PAUSE_S)  # who has just come does not wait for the rest of it
            self._has_joined.clear()
            await _wait(self._is_changed, AGAIN_S)

    async def _read_all(self) -> None:
        self._view = _kept(self._view, await self._read())
        wanted = dict.fromkeys(onlooker.object for onlooker in self._onlookers if onlooker.object)
        had, found = self._objects, dict[str, View]()
        for reference in wanted:
            before = had.get(reference, {})
            found[reference] = _kept(before, await self._read_object(reference, before))
        self._objects = found


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        pass


def _say_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the status page shows nothing new: %s: %s", type(error).__name__, error)


def _kept(old: View, new: View) -> View:
    """Return the new view, with the very rows of the old one where they say the same."""
    return {
        name: {key: settle(old.get(name, {}).get(key), row) for key, row in section.items()}
        for name, section in new.items()
    }


def changes(old: View, new: View) -> dict[str, dict[str, Any]]:
    """Return by section what to `set` (key and row, in order) and what to `drop`; only sections that changed."""
    found: dict[str, dict[str, Any]] = {}
    for name in {**old, **new}:
        was, now = old.get(name, {}), new.get(name, {})
        is_set = [[key, row] for key, row in now.items() if was.get(key) is not row]
        drop = [key for key in was if key not in now]
        if is_set or drop:
            found[name] = {"set": is_set, "drop": drop}
    return found
