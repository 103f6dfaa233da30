"""The node thread: the one thread that owns node and connection. It drains the inbox, runs turns, hands effects over.

Own completions and timers go before askers, askers before peers. The inbox is bounded in bytes for peers: they wait
for room, completions never do. When there is nothing to do the thread blocks; it does not poll. Why a thread: a flush
on an SD card may take a second, and sockets and the watchdog must not wait for it.
"""

from __future__ import annotations

import asyncio
import ctypes
import queue
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType

from ..base.errors import EdgeError
from ..base.limits import BODY_SLICE_MS_MAX, CLOCK_SAVE_MS, INBOX_BYTES_MAX, TIMER_SLICE_MS_MAX, TURN_EVENTS_MAX
from ..node.effects import Effect, MembershipChanged, Turn
from ..node.events import AskerGone, Asked, Called, ContactEnded, Drained, Event, FactRead, Heard, TimeCame, is_own
from ..node.membership import Membership
from ..node.node import Node
from ..node.serving import say_broken, serve
from ..node.store import StoreFailed
from ..node.turns import run_turn
from ..program.driver import BodyOverran
from ..program.loop import BodyLoop
from .clock import Clock
from .storage import Disk, Storage

# After a failed commit the next one is tried so much later: the disk may be writable again.
RETRY_S = 1.0
SETTLE_S = 3.0  # at the end: for turns whose effects lead to further events
HEARD_BYTES = 256  # what a small message costs in the inbox besides its entries
# Where a handler's own code runs: its tasks, and its `finally` blocks when it is freed.
BODY_CODES = (BodyLoop.run_ready.__code__, BodyLoop._close.__code__)
WATCH_S = BODY_SLICE_MS_MAX / 2_000  # between two looks at a thread that works; an idle one is not looked at


class NodeThread:
    """Runs a node until `stop`.

    Args:
        make_node: called on the thread; builds the node over its own connection.
        perform: called on the loop with each turn's effects, after its commit.
        on_trouble: called on the loop with what is wrong with the disk, and with nothing when that is over; also with
            what ended the thread.
        perform_here: called on the thread with each effect, after the commit and before `perform`: True if nothing is
            left to do. A turn of which nothing is left does not wake the loop: a step's outcome that starts the next
            step costs two changes of thread instead of three.
    """

    def __init__(
        self, make_node: Callable[[], Node], clock: Clock, loop: asyncio.AbstractEventLoop,
        perform: Callable[[Turn], None], on_trouble: Callable[[str], None],
        perform_here: Callable[[Effect], bool] = lambda effect: False, storage: Storage | None = None,
    ) -> None:  # fmt: skip
        self._make_node = make_node
        self._clock = clock
        self._loop = loop
        self._perform = perform
        self._on_trouble = on_trouble
        self._storage = storage or Storage()
        self._trouble = ""
        self._perform_here = perform_here
        self._lock = threading.Lock()  # around the queues
        # A queue in C wakes a thread in a third of the time of a Condition.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_waiting = False
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
        self._told_alarm_ms: int | None = None
        self._kept_ms = clock.read().boot_ms  # when the clock was surely written last
        self._has_failed = False  # since the loop was told of a turn
        self._is_turning = False
        self._is_watched = False
        self._body: FrameType | None = None  # the body that the last look saw, and since when
        self._body_since_s = 0.0
        self._told = self._handed = 0  # turns given to the loop, and taken by it
        self.on_turn: tuple[Callable[[Sequence[Event], Turn], None], ...] = ()  # on the thread, after each commit
        self.turns = 0  # for the watchdog: rises while the thread makes progress
        self.node: Node | None = None
        self.membership: Membership | None = None  # as of the newest turn that changed it
        self.failure: BaseException | None = None

    def start(self) -> asyncio.Future[None]:
        """Start the thread; the future is done when the node stands, or has the error that kept it from it."""
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()
        return self._started

    @property
    def is_idle(self) -> bool:
        """Whether no turn is under way and nothing waits in the inbox."""
        return not (self._is_turning or self._own or self._asked or self._heard)

    # --- Posting (from the loop) --------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Put an event into the inbox; never waits. From any thread."""
        with self._lock:
            inbox = self._queue_of(event)
            inbox.append(event)
            if inbox is self._heard:
                self._heard_bytes += _size_of(event)
            is_waiting, self._is_waiting = self._is_waiting, False
        if is_waiting:
            self._bell.put(None)
        if not self._is_watched:
            self._is_watched = True
            self._tell(self._watch)

    def offer(self, event: Event) -> bool:
        """Put an event into the inbox unless that is beyond its bound; return whether it was taken."""
        if self._heard_bytes > INBOX_BYTES_MAX:
            return False
        self.post(event)
        return True

    async def post_when_room(self, event: Event) -> None:
        """Put a peer's event into the inbox when it is within its bound: whoever reads the peer waits here."""
        while self._is_full():
            await self._room.wait()
        self.post(event)

    def _is_full(self) -> bool:
        with self._lock:  # or the thread makes room between the look and the clearing, and nobody is told
            if self._heard_bytes > INBOX_BYTES_MAX:
                self._room.clear()
            return not self._room.is_set()

    def _queue_of(self, event: Event) -> deque[Event]:
        # The end of a contact goes behind what was heard in it: else all of that would be dropped as unknown.
        if is_own(event) and not isinstance(event, ContactEnded):
            return self._own
        return self._asked if isinstance(event, (Asked, AskerGone)) else self._heard

    # --- The thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._storage.begin()
            node = self.node = self._make_node()
            self.membership = node.membership()
        except (EdgeError, OSError, sqlite3.Error) as error:
            self._tell(self._fail_start, error)
            return
        finally:
            self._fail()
        self._tell(self._started.set_result, None)
        try:
            self._work(node)
        finally:
            self._fail()
            node.parts.store.connection.close()

    def _fail(self) -> None:
        """If the thread is ending by what should not happen: say so on the loop; Python prints where it came from."""
        error = sys.exception()
        if error is not None:
            self.failure = error
            self._tell(self._fail_start, error)
            self._tell(self._on_trouble, f"the node thread ended: {type(error).__name__}: {error}")

    def _fail_start(self, error: BaseException) -> None:
        if not self._started.done():
            self._started.set_exception(error)

    def _work(self, node: Node) -> None:
        while True:
            batch = [] if self._storage.has_news else self._take_batch()
            if batch is None:
                return
            self._storage.look()
            news: list[Event] = [Called(say) for say in self._news(node)]
            if not batch and not news:
                continue
            try:
                turn, handled = self._turn(node, [*news, *batch])
            except StoreFailed as error:
                self._put_back([*news, *batch])
                self.turns += 1  # it tried, and it will again: no reason to be killed
                if not self._storage.fail(error):
                    self._hold_out(node)
                    if self._is_stopping and self._storage.disk is Disk.BROKEN:
                        return
                continue
            handled -= len(news)
            if handled < len(batch):
                self._put_back(batch[handled:])
            if any(isinstance(effect, MembershipChanged) for effect in turn.effects):
                self.membership = node.membership()
            self.turns += 1
            for hear in self.on_turn:
                hear(batch[:handled], turn)
            turn.effects = [effect for effect in turn.effects if not self._perform_here(effect)]
            is_rung = any(isinstance(event, TimeCame) for event in batch)
            if turn.effects or self._has_failed or is_rung or turn.alarm_boot_ms != self._told_alarm_ms:
                self._has_failed, self._told_alarm_ms = False, turn.alarm_boot_ms
                self._told += 1
                self._tell(self._hand_over, turn)

    def _news(self, node: Node) -> list[Callable[[], None]]:
        """Return how the node is told what changed with the disk; people are told here."""
        found: list[Callable[[], None]] = [partial(node.hearing.say_room, *item) for item in self._storage.news()]
        if self._trouble != self._storage.trouble:
            self._trouble = self._storage.trouble
            self._tell(self._on_trouble, self._trouble)
        return found

    def _hold_out(self, node: Node) -> None:
        """Serve what needs no commit until one succeeds. Completions, timers and facts wait, in the order they came."""
        waiting: list[Event] = []
        next_try_s = time.monotonic() + RETRY_S
        while not self._is_stopping:
            for say in self._news(node):
                self._serve(say_broken(node, say))
            batch = self._take_served(next_try_s - time.monotonic())
            if batch:
                turn, kept = serve(node, batch, self._clock.read, self._trouble)
                waiting = _newest_facts([*waiting, *kept])
                self._serve(turn)
            self.turns += 1
            if time.monotonic() >= next_try_s:
                next_try_s = time.monotonic() + RETRY_S
                try:
                    run_turn(node, (), self._clock.read, must_write=True)
                except StoreFailed as error:
                    self._storage.fail(error)
                else:
                    self._storage.succeed()
                    break
        self._has_failed = True
        self._put_back(waiting)

    def _serve(self, turn: Turn) -> None:
        if turn.effects:
            self._told += 1
            self._tell(self._hand_over, turn)

    def _take_served(self, wait_s: float) -> list[Event]:
        """Return what asks, and what peers say, waiting so long at most; completions but for `Drained` stay."""
        with self._lock:
            if not (self._asked or self._heard) and not any(isinstance(event, Drained) for event in self._own):
                self._is_waiting = True
        if self._is_waiting:
            self._listen(wait_s)
        with self._lock:
            batch: list[Event] = [event for event in self._own if isinstance(event, Drained)]
            self._own = deque(event for event in self._own if not isinstance(event, Drained))
            batch.extend(self._asked)
            batch.extend(self._heard)
            self._asked.clear()
            self._heard.clear()
            self._heard_bytes = 0
            if not self._room.is_set():
                self._tell(self._room.set)
        return batch

    def _listen(self, wait_s: float | None) -> None:
        """Wait for the bell, so long at most."""
        try:
            self._bell.get(timeout=None if wait_s is None else max(0.0, wait_s))
        except queue.Empty:
            with self._lock:
                self._is_waiting = False

    def _turn(self, node: Node, batch: Sequence[Event]) -> tuple[Turn, int]:
        self._is_turning = True
        try:
            return run_turn(node, batch, self._clock.read)
        finally:
            self._is_turning = False

    def _take_batch(self) -> list[Event] | None:
        while True:
            with self._lock:
                batch: list[Event] = []
                for inbox in (self._own, self._asked, self._heard):
                    while inbox and len(batch) < TURN_EVENTS_MAX:
                        event = inbox.popleft()
                        if inbox is self._heard:
                            self._heard_bytes -= _size_of(event)
                        batch.append(event)
                if not self._room.is_set() and self._heard_bytes <= INBOX_BYTES_MAX // 2:
                    self._tell(self._room.set)
                if batch:
                    return batch
                if self._is_stopping:
                    return None
                self._is_waiting = True
            self._listen(self._storage.look_s)
            if self._storage.look_s is not None:
                return []

    def _put_back(self, events: Sequence[Event]) -> None:
        with self._lock:
            for event in reversed(events):
                inbox = self._queue_of(event)
                inbox.appendleft(event)
                if inbox is self._heard:
                    self._heard_bytes += _size_of(event)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the loop; a loop that is closed already wants to hear nothing."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass

    # --- On the loop ----------------------------------------------------------------------------------------------

    def _hand_over(self, turn: Turn) -> None:
        self._handed += 1
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
        alarm_ms, now_ms = self._alarm_ms, self._clock.read().boot_ms
        if alarm_ms is not None and now_ms < min(alarm_ms, self._kept_ms + CLOCK_SAVE_MS):
            self._arm(alarm_ms)  # a slice ended: the clocks were read again, without a turn
            return
        self._kept_ms = now_ms
        self.post(TimeCame())  # due, or a turn that writes the clock alone: a power cut takes no more than that

    def _watch(self) -> None:
        """Look twice a slice whether a body came back, for as long as there is work; then nothing ticks."""
        ident = self._thread.ident
        body = _body_in(ident) if self._is_turning and ident is not None else None
        now_s = time.monotonic()
        if body is None or body is not self._body:
            self._body, self._body_since_s = body, now_s
        elif ident is not None and now_s - self._body_since_s >= BODY_SLICE_MS_MAX / 1000:
            # Another body of a long turn is another frame, and has a slice of its own.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(BodyOverran))
            self._body_since_s = now_s
        self._is_watched = False  # before the look at the inbox: whoever posts after it starts the watch anew
        if not self.is_idle:
            self._is_watched = True
            self._loop.call_later(WATCH_S, self._watch)
        else:
            self._body = None

    async def stop(self) -> None:
        """Handle what is in the inbox and what that leads to, then end the thread; within seconds."""
        until_s = time.monotonic() + SETTLE_S
        while self._thread.is_alive() and time.monotonic() < until_s:
            if self.is_idle and self._handed == self._told:
                break
            await asyncio.sleep(0.005)
        with self._lock:
            self._is_stopping = True
        self._bell.put(None)
        if self._timer is not None:
            self._timer.cancel()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, 5)


def _size_of(event: Event) -> int:
    return HEARD_BYTES + event.bytes_size if isinstance(event, Heard) else HEARD_BYTES


def _newest_facts(events: Sequence[Event]) -> list[Event]:
    """Leave out readings of facts that newer ones replace: as many as there are facts may wait."""
    newest = {event.name: at for at, event in enumerate(events) if isinstance(event, FactRead)}
    return [event for at, event in enumerate(events) if not isinstance(event, FactRead) or newest[event.name] == at]


def _body_in(thread_id: int) -> FrameType | None:
    """Return the frame that drives a handler on a thread; None outside: only there may it be interrupted."""
    frame = sys._current_frames().get(thread_id)
    while frame is not None and frame.f_code not in BODY_CODES:
        frame = frame.f_back
    return frame
