"""The node thread: the one thread that owns node and connection. It drains the inbox, runs turns, hands effects over.

Own completions and timers go before askers, askers before peers. The inbox is bounded in bytes for peers: they wait
for room, completions never do. When there is nothing to do the thread blocks; it does not poll. Why a thread: a flush
on an SD card may take a second, and sockets and the watchdog must not wait for it.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence

from ..base.limits import BODY_SLICE_MS_MAX, INBOX_BYTES_MAX, TIMER_SLICE_MS_MAX, TURN_EVENTS_MAX
from ..node.effects import Turn
from ..node.events import AskerGone, Asked, Event, Heard, TimeCame, is_own
from ..node.node import Node
from ..node.store import StoreFailed
from ..node.turns import run_turn
from ..program.driver import BodyOverran
from .clock import Clock

# After a failed commit the same events are tried again so much later: a full disk may get room.
RETRY_S = 1.0
HEARD_BYTES = 256  # what a small message costs in the inbox besides its entries


class NodeThread:
    """Runs a node until `stop`.

    Args:
        make_node: called on the thread; builds the node over its own connection.
        perform: called on the loop with each turn's effects, after its commit.
        on_store_failed: called on the loop with the reason, once per failure.
    """

    def __init__(
        self, make_node: Callable[[], Node], clock: Clock, loop: asyncio.AbstractEventLoop,
        perform: Callable[[Turn], None], on_store_failed: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._make_node = make_node
        self._clock = clock
        self._loop = loop
        self._perform = perform
        self._on_store_failed = on_store_failed
        self._wake = threading.Condition()
        self._own: deque[Event] = deque()
        self._asked: deque[Event] = deque()
        self._heard: deque[Event] = deque()
        self._heard_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self._timer: asyncio.TimerHandle | None = None
        self._alarm_ms: int | None = None
        self._slice_began_ms = 0
        self._interrupted = False
        self._is_watched = False
        self.turns = 0  # for the watchdog: rises while the thread makes progress
        self.node: Node | None = None
        self.failure: BaseException | None = None

    def start(self) -> asyncio.Future[None]:
        """Start the thread; the future is done when the node stands, or has the error that kept it from it."""
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()
        return self._started

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits in the inbox."""
        return not (self._own or self._asked or self._heard)

    # --- Posting (from the loop) --------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Put an event into the inbox; never waits. From any thread."""
        with self._wake:
            if is_own(event):
                self._own.append(event)
            elif isinstance(event, (Asked, AskerGone)):
                self._asked.append(event)
            else:
                self._heard.append(event)
                self._heard_bytes += _size_of(event)
            self._wake.notify()
        if not self._is_watched:
            self._is_watched = True
            self._tell(self._watch)

    async def post_when_room(self, event: Event) -> None:
        """Put a peer's event into the inbox when it is within its bound: whoever reads the peer waits here."""
        while self._heard_bytes > INBOX_BYTES_MAX:
            self._room.clear()
            await self._room.wait()
        self.post(event)

    # --- The thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            node = self.node = self._make_node()
        except BaseException as error:
            self._tell(self._fail_start, error)
            return
        self._tell(self._started.set_result, None)
        try:
            self._work(node)
        except BaseException as error:
            self.failure = error
            self._tell(self._on_store_failed, f"the node thread ended: {type(error).__name__}: {error}")
        finally:
            node.parts.store.connection.close()

    def _fail_start(self, error: BaseException) -> None:
        if not self._started.done():
            self._started.set_exception(error)

    def _work(self, node: Node) -> None:
        while True:
            batch = self._take_batch()
            if batch is None:
                return
            try:
                turn, handled = self._turn(node, batch)
            except StoreFailed as error:
                self._put_back(batch)
                self._tell(self._on_store_failed, str(error))
                with self._wake:
                    if not self._is_stopping:
                        self._wake.wait(RETRY_S)
                continue
            if handled < len(batch):
                self._put_back(batch[handled:])
            self.turns += 1
            self._tell(self._hand_over, turn)

    def _turn(self, node: Node, batch: Sequence[Event]) -> tuple[Turn, int]:
        self._slice_began_ms = self._clock.read().boot_ms
        self._interrupted = False
        try:
            return run_turn(node, batch, self._clock.read)
        finally:
            self._slice_began_ms = 0

    def _take_batch(self) -> list[Event] | None:
        with self._wake:
            while not (self._own or self._asked or self._heard):
                if self._is_stopping:
                    return None
                self._wake.wait()
            batch: list[Event] = []
            for queue in (self._own, self._asked, self._heard):
                while queue and len(batch) < TURN_EVENTS_MAX:
                    event = queue.popleft()
                    if queue is self._heard:
                        self._heard_bytes -= _size_of(event)
                    batch.append(event)
            if not self._room.is_set() and self._heard_bytes <= INBOX_BYTES_MAX // 2:
                self._tell(self._room.set)
            return batch

    def _put_back(self, events: Sequence[Event]) -> None:
        with self._wake:
            for event in reversed(events):
                if is_own(event):
                    self._own.appendleft(event)
                elif isinstance(event, (Asked, AskerGone)):
                    self._asked.appendleft(event)
                else:
                    self._heard.appendleft(event)
                    self._heard_bytes += _size_of(event)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the loop; a loop that is closed already wants to hear nothing."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass

    # --- On the loop ----------------------------------------------------------------------------------------------

    def _hand_over(self, turn: Turn) -> None:
        self._perform(turn)
        self._arm(turn.alarm_boot_ms)

    def _arm(self, alarm_ms: int | None) -> None:
        """Keep one timer armed for the next due time; never longer than a slice, so that suspend is noticed."""
        self._alarm_ms = alarm_ms
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if alarm_ms is not None and not self._is_stopping:
            wait_ms = max(0, min(alarm_ms - self._clock.read().boot_ms, TIMER_SLICE_MS_MAX))
            self._timer = self._loop.call_later(wait_ms / 1000, self._ring)

    def _ring(self) -> None:
        self._timer = None
        alarm_ms = self._alarm_ms
        if alarm_ms is not None and self._clock.read().boot_ms < alarm_ms:
            self._arm(alarm_ms)  # a slice ended: the clocks were read again, without a turn
            return
        self.post(TimeCame())

    def _watch(self) -> None:
        """Look once a slice whether a body came back, for as long as there is work; then nothing ticks."""
        self._check_slice()
        if self._slice_began_ms or not self.is_idle:
            self._loop.call_later(BODY_SLICE_MS_MAX / 1000, self._watch)
        else:
            self._is_watched = False

    def _check_slice(self) -> None:
        """Interrupt a body that has not come back within its slice."""
        began_ms = self._slice_began_ms
        if not began_ms or self._interrupted or self._thread.ident is None:
            return
        if self._clock.read().boot_ms - began_ms > BODY_SLICE_MS_MAX and _is_in_body(self._thread.ident):
            self._interrupted = True
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(BodyOverran)
            )

    async def stop(self) -> None:
        """Handle what is in the inbox, then end the thread."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, 5)


def _size_of(event: Event) -> int:
    return HEARD_BYTES + event.bytes_size if isinstance(event, Heard) else HEARD_BYTES


def _is_in_body(thread_id: int) -> bool:
    """Say whether a thread is inside a handler's own code: only there may it be interrupted."""
    frame = sys._current_frames().get(thread_id)
    while frame is not None:
        if frame.f_code.co_name == "run_ready" and frame.f_code.co_filename.endswith("loop.py"):
            return True
        frame = frame.f_back
    return False
