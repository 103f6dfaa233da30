"""What one body asked for in one run: the calls that wait, what it learned and made, and whether it differs.

The context (`context`) asks, the driver (`driver`) settles. On replay a read finds its record by call path and is
not made again; a call whose record says something else is a `Nondeterminism`, shown with both sides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

from ..base.errors import UsageError
from ..base.limits import POLLED_PROBES_MAX, PUBLISHED_NAMES_MAX
from ..judge.outcomes import Outcome
from ..objects.script import Resumed, Resumption, Script
from .calls import (
    AdviceWait,
    Again,
    ChildWait,
    ConditionWait,
    Delegated,
    Ended,
    InputWait,
    Learned,
    Made,
    PollWait,
    Published,
    Refined,
    Start,
    StateSet,
    StepCall,
    Wait,
    World,
    may_expire,
)
from .errors import BodyFreed, Nondeterminism, StepFailed
from .loop import BodyLoop
from .payloads import decode_payload
from .scopes import BodyFuture

W = TypeVar("W", InputWait, ConditionWait, AdviceWait, PollWait, ChildWait)

CALL_BYTES, PAST_CALL_BYTES = 1_000, 150  # of a call that waits, of one that is over; see `driver.BODY_BYTES`
SHOWN = 5  # of the calls that wait, in the text of a difference


class Pending(Struct):
    """A call whose coming true the body awaits; a future that is done here was abandoned by the body."""

    asked: Wait
    future: BodyFuture
    is_promise: bool = False


class Ledger:
    """Everything a body asked for, by call path.

    Attributes:
        world: what can be read, while the body is driven.
        difference: the first difference from the records; the driver raises it.
        rebind: returns the intent's arguments with another value in them.
        ended: set by `ctx.again` here, by the driver else.
        wall_ms: wall clock of the newest resumption.
    """

    def __init__(
        self, loop: BodyLoop, start: Start, script: Script, rebind: Callable[[bytes, object], bytes]
    ) -> None:
        self.loop = loop
        self.start = start
        self.world: World | None = None
        self.rebind = rebind
        self.difference: str | None = None
        self.ended: Ended | None = None
        self.wall_ms = script.wall_ms
        self.asked = script.asked.copy()
        self._script = script
        self._unread = dict.fromkeys(script.learned)
        self._unpublished = dict(script.published)
        self._pending: dict[str, Pending] = {}
        self._past: dict[str, Resumed] = {}
        self._promises: dict[str, bytes] = {}
        self._published_names: dict[str, None] = {}
        self._probes: dict[str, None] = {}
        self._made: list[Made] = []
        self.children = 0  # made in this run

    # --- The context asks -------------------------------------------------------------------------------------

    def path_for(self, name: str) -> str:
        """Return the path of a call that begins now, in the running task's scope.

        Raises:
            BodyFreed: the run is over, or the body is being freed.
            UsageError: asked from outside the body, such as in a step.
        """
        if self.loop.is_halted:
            raise BodyFreed("this run is over: nothing is recorded any more")
        if asyncio._get_running_loop() is not self.loop:
            raise UsageError("a context works only in its body: give the step what it needs as arguments")
        return self.loop.current_scope().path(name)

    def ask(self, asked: Wait, is_promise: bool = False) -> BodyFuture:
        """Register a call that waits, and return the future that it waits for."""
        self._check_kind(asked)
        future = self.loop.create_future()
        if is_promise and isinstance(asked, InputWait) and asked.name in self._promises:
            self._past[asked.path] = Resumed.INPUT
            future.set_result(_value_of(self._promises[asked.name]))
        else:
            self._pending[asked.path] = Pending(asked, future, is_promise)
        return future

    def ask_poll(self, asked: PollWait) -> BodyFuture:
        """Register a wait that polls.

        Raises:
            UsageError: another wait polls that probe, or this run has named too many: each is remembered.
        """
        self._probes[asked.probe] = None
        if len(self._probes) > POLLED_PROBES_MAX:
            raise UsageError(f"at most {POLLED_PROBES_MAX} probes can be polled in one run: watch fewer")
        if any(wait.probe == asked.probe for wait in self.waits(PollWait)):
            raise UsageError(f"the probe {asked.probe!r} is polled already: let one task poll and share what it reads")
        return self.ask(asked)

    def learn(
        self, path: str, what: str, read: Callable[[World], bytes], make: Callable[[str, bytes], Made] = Learned
    ) -> bytes:
        """Return what was read at this path: from its record, or now and for the records, as `make` says it."""
        recorded = self._script.learned.get(path)
        if recorded is not None:
            self._unread.pop(path, None)
            return recorded
        if path in self._script.published:
            raise self.differ(f"publish {self._script.published[path]!r} at {path}", f"{what} at {path}")
        assert self.world is not None, "a body runs only while it is driven"
        value = read(self.world)
        self._made.append(make(path, value))
        return value

    def publish(self, path: str, name: str, value: bytes) -> None:
        """Make a value for onlookers, unless its record is there."""
        if path in self._script.learned:
            raise self.differ(f"something read at {path}", f"publish {name!r} at {path}")
        if name not in self._published_names and len(self._published_names) >= PUBLISHED_NAMES_MAX:
            raise UsageError(f"at most {PUBLISHED_NAMES_MAX} names can be published: use fewer, with more in each")
        self._published_names[name] = None
        if path in self._script.published:
            self._unpublished.pop(path, None)
            if self._script.published[path] != name:
                recorded = f"publish {self._script.published[path]!r} at {path}"
                raise self.differ(recorded, f"publish {name!r} at {path}")
            return
        self._made.append(Published(path, name, value))

    def refine(self, path: str, arguments: bytes, reason: str, is_allowed: bool) -> None:
        """Make a refinement of the intent, unless its record is there."""
        recorded = self._script.learned.get(path)
        if recorded is not None:
            self._unread.pop(path, None)
            if recorded != arguments:
                raise self.differ(f"intent refined at {path} to other arguments", "refined to these")
        elif path in self._script.published:
            raise self.differ(f"publish {self._script.published[path]!r} at {path}", f"refine at {path}")
        body = self.asked.record(path, arguments, reason)
        if recorded is None:
            self._made.append(Refined(body))
        counts = self.asked.take(body, is_allowed)
        assert counts, "checked by the caller"

    def set_state(self, path: str, name: str, value: bytes) -> None:
        """Make a value of the keyed state, unless its record is there."""
        recorded = self._script.learned.get(path)
        if recorded is not None:
            self._unread.pop(path, None)
            if recorded != value:
                raise self.differ(f"state {name!r} at {path} set to another value", "set to this one")
            return
        if path in self._script.published:
            raise self.differ(f"publish {self._script.published[path]!r} at {path}", f"state set at {path}")
        self._made.append(StateSet(path, name, value))

    def state_made(self, name: str) -> bytes | None:
        """Return what this turn has set a state to and the store does not have yet."""
        for made in reversed(self._made):
            if isinstance(made, StateSet) and made.name == name:
                return made.value
        return None

    def end_run(self, state: bytes) -> None:
        """End the run: the next begins with the state."""
        self.ended = Again(state)
        self.loop.is_halted = True

    def differ(self, recorded: str, now: str) -> Nondeterminism:
        """Note a difference, stop the body, and return the error to raise; the body cannot swallow it."""
        self.difference = self.difference or f"recorded: {recorded}; now: {now}"
        self.loop.is_halted = True
        return Nondeterminism(self.difference)

    def _check_kind(self, asked: Wait) -> None:
        script = self._script
        if asked.path in script.learned:
            raise self.differ(f"something read at {asked.path}", _describe(asked))
        if asked.path in script.published:
            raise self.differ(f"publish {script.published[asked.path]!r} at {asked.path}", _describe(asked))

    # --- The driver settles -----------------------------------------------------------------------------------

    def settle(self, resumption: Resumption) -> None:
        """Let the call at the resumption's path go on; one that nobody awaits any more is let be.

        Raises:
            Nondeterminism: the body made no such call, or one of another kind or fingerprint.
        """
        path, what = resumption.path, resumption.what
        pending = self._pending.pop(path, None)
        if pending is None:
            if self._past.get(path) is not what:
                raise self.differ(_recorded(resumption), self._waiting())
            return
        self._past[path] = what
        asked, future = pending.asked, pending.future
        match asked:
            case StepCall() if what is Resumed.STEP:
                if resumption.fingerprint and resumption.fingerprint != asked.fingerprint:
                    raise self.differ(_recorded(resumption), _describe(asked))
                if not future.done():
                    self._finish_step(asked, future, resumption)
            case InputWait() if what is Resumed.INPUT:
                if not future.done():
                    self._finish_input(asked, pending, resumption.value)
            case ConditionWait() | AdviceWait() | ChildWait() if what is KIND[type(asked)]:
                if not future.done():
                    future.set_result(None)
            case InputWait() | ConditionWait() if what is Resumed.TIMER and may_expire(asked):
                if not future.done():
                    future.set_exception(TimeoutError(f"{_describe(asked)}: the sleep expired"))
            case PollWait() if what is Resumed.POLL:
                if not future.done():
                    future.set_result(_value_of(resumption.value))
            case _:
                raise self.differ(_recorded(resumption), _describe(asked))

    def _finish_step(self, asked: StepCall, future: BodyFuture, resumption: Resumption) -> None:
        if resumption.outcome not in (Outcome.OK, Outcome.SLOW):
            outcome = Outcome(resumption.outcome)
            future.set_exception(StepFailed(outcome, resumption.error, resumption.error_type))
            return
        if not resumption.value:  # an operator says that it happened: nobody knows its result
            future.set_result(None)
            return
        try:
            value = decode_payload(resumption.value, asked.result_type, "the recorded result")
        except UsageError as error:
            raise self.differ(f"{_recorded(resumption)}: {error}", _describe(asked)) from None
        future.set_result(value)

    def _finish_input(self, asked: InputWait, pending: Pending, value: bytes) -> None:
        if not pending.is_promise:
            pending.future.set_result(_value_of(value))
            return
        # A promise has one value: whoever else awaits it, now or later in this run, gets the same.
        self._promises[asked.name] = value
        pending.future.set_result(_value_of(value))
        for path, other in list(self._pending.items()):
            if other.is_promise and isinstance(other.asked, InputWait) and other.asked.name == asked.name:
                del self._pending[path]
                self._past[path] = Resumed.INPUT
                if not other.future.done():
                    other.future.set_result(_value_of(value))

    def check_all_read(self) -> None:
        """Check, when the records are exhausted, that the body asked for everything they hold.

        Raises:
            Nondeterminism: something recorded was not asked for.
        """
        if self._unread:
            path = next(iter(self._unread))
            raise self.differ(f"something read at {path}", self._waiting())
        if self._unpublished:
            path, name = next(iter(self._unpublished.items()))
            raise self.differ(f"publish {name!r} at {path}", self._waiting())

    def _waiting(self) -> str:
        if self.ended is not None:
            return "the run has ended without it"
        shown = [_describe(pending.asked) for pending in self._pending.values() if not pending.future.done()]
        shown += [f"timer at {timer.path}" for timer in self.loop.timers()]
        more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        listed = ", ".join(shown[:SHOWN]) or "nothing"
        return f"the body has not asked for it, and waits for {listed}{more}"

    # --- The node looks ---------------------------------------------------------------------------------------

    def steps(self) -> tuple[StepCall, ...]:
        """Return the steps awaited and without outcome, in the order of their calls."""
        return tuple(
            pending.asked
            for pending in self._pending.values()
            if isinstance(pending.asked, StepCall) and not pending.future.done()
        )

    def abandoned_steps(self) -> tuple[str, ...]:
        """Return the paths of steps without outcome that the body no longer awaits."""
        return tuple(
            path
            for path, pending in self._pending.items()
            if isinstance(pending.asked, StepCall) and pending.future.done()
        )

    def waits(self, kind: type[W]) -> tuple[W, ...]:
        """Return the awaited calls of one kind that is no step, in their order."""
        if all(isinstance(pending.asked, StepCall) for pending in self._pending.values()):
            return ()  # as nearly always: it is asked several times a turn
        self._drop_abandoned_waits()
        return tuple(pending.asked for pending in self._pending.values() if isinstance(pending.asked, kind))

    def delegated(self) -> list[Delegated]:
        """Return what children are to be recorded."""
        return [made for made in self._made if isinstance(made, Delegated)]

    def take_made(self) -> list[Made]:
        """Return what is to be recorded, in order, and forget it."""
        made, self._made = self._made, []
        return made

    def bytes_held(self) -> int:
        """Return roughly how many bytes the calls and the script keep; see `Body.size_hint`."""
        script = self._script
        held = sum(len(value) + len(path) + 100 for path, value in script.learned.items())
        held += sum(len(resumption.value) + 200 for resumption in script.resumptions)
        return held + CALL_BYTES * len(self._pending) + PAST_CALL_BYTES * len(self._past)

    def forget(self) -> None:
        """Drop every reference, so that nothing of the body stays in memory."""
        self._pending.clear()
        self._past.clear()
        self.world = None

    def _drop_abandoned_waits(self) -> None:
        for path, pending in list(self._pending.items()):
            if pending.future.done() and not isinstance(pending.asked, StepCall):
                del self._pending[path]
                self._past[path] = KIND[type(pending.asked)]


KIND: dict[type, Resumed] = {
    StepCall: Resumed.STEP,
    InputWait: Resumed.INPUT,
    ConditionWait: Resumed.CONDITION,
    AdviceWait: Resumed.CONDITION,
    PollWait: Resumed.POLL,
    ChildWait: Resumed.OBJECT,
}
VERBS = {
    Resumed.STEP: "run",
    Resumed.INPUT: "wait for input",
    Resumed.CONDITION: "until",
    Resumed.TIMER: "timer",
    Resumed.OBJECT: "wait for object",
    Resumed.CANCEL: "cancellation",
    Resumed.POLL: "poll",
}


def _value_of(data: bytes) -> Any:
    return decode_payload(data, Any, "the recorded input")


def _describe(asked: Wait) -> str:
    text = f"{VERBS[KIND[type(asked)]]} {_name_in(asked.path)!r} at {asked.path}"
    return f"{text} with fingerprint {asked.fingerprint.hex()}" if isinstance(asked, StepCall) else text


def _recorded(resumption: Resumption) -> str:
    text = f"{VERBS[resumption.what]} {_name_in(resumption.path)!r} at {resumption.path}"
    return f"{text} with fingerprint {resumption.fingerprint.hex()}" if resumption.fingerprint else text


def _name_in(path: str) -> str:
    return path.split("/", 2)[-1].rpartition(":")[0]
