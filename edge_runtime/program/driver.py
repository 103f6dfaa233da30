"""`Body`: one run of one handler, driven by the node inside its turn, rebuilt from records whenever it is needed.

A body in memory is only a cache. `replay` starts it and delivers every recorded resumption, one at a time, in the
recorded order, each until nothing is ready; then it is live, and `deliver` goes on in the same way. What it waits for
is read from `steps`, `input_waits`, `condition_waits` and `timers`; what it made is taken with `take_made` into the
records of the same turn.

Source: the idea of Temporal's workflow replay; delivery of one thing at a time is ours (`docs/architecture.md`).
"""

from __future__ import annotations

from ..base.errors import UsageError
from ..base.limits import RESULT_BYTES_MAX
from ..judge.outcomes import Outcome
from ..objects.script import Resumed, Resumption, Script
from .app import Intent
from .calls import (
    AdviceWait,
    Again,
    Cancelled,
    ChildWait,
    Completed,
    ConditionWait,
    Delegated,
    Ended,
    Failed,
    InputWait,
    Learned,
    Made,
    PollWait,
    Published,
    Refined,
    Retry,
    Start,
    StateSet,
    StepCall,
    Timer,
    World,
)
from .context import Context
from .errors import BodyFreed, BodyOverran, Nondeterminism, StepFailed, describe_exception
from .ledger import Ledger
from .loop import BodyLoop
from .payloads import encode_payload
from .scopes import BodyTask

__all__ = [
    "AdviceWait",
    "Again",
    "Body",
    "BodyFreed",
    "BodyOverran",
    "Cancelled",
    "ChildWait",
    "Completed",
    "ConditionWait",
    "Delegated",
    "Ended",
    "Failed",
    "InputWait",
    "Learned",
    "Made",
    "Nondeterminism",
    "PollWait",
    "Published",
    "Refined",
    "Retry",
    "Start",
    "StateSet",
    "StepCall",
    "StepFailed",
    "Timer",
    "World",
]

# Measured by tracemalloc on CPython 3.11 and 3.13: 4.7 kB for a body whose one task waits for a step, 2.2 kB for
# each further task that does; rounded up, with `ledger.CALL_BYTES` for the call itself.
BODY_BYTES = 3_000
TASK_BYTES = 1_500


class Body:
    """One run of one handler. Not thread-safe: the node's thread owns it.

    Args:
        intent: the handler.
        start: which object it runs for.
        script: the records of this run; kept by reference, not changed.
    """

    def __init__(self, intent: Intent, start: Start, script: Script) -> None:
        self._intent = intent
        self._script = script
        self._loop = BodyLoop.make(script.run, script.age_ms)
        self._ledger = Ledger(self._loop, start, script, intent.rebind)
        self._main: BodyTask | None = None
        self._is_cancel_delivered = False

    # --- Driving ----------------------------------------------------------------------------------------------

    def replay(self, world: World) -> None:
        """Start the body and deliver every resumption of the script; once, first of all.

        Raises:
            Nondeterminism: the body asked for something else than the records hold. Free it; nothing is lost.
            BodyOverran: the host interrupted it. Free it.
        """
        assert self._main is None, "a body is started once"
        try:
            coroutine = self._intent.begin(Context(self._ledger), self._script.arguments)
        except UsageError as error:
            # Checked at submission; so this is another version, or the state of an earlier one's `again`.
            self._ledger.ended = Failed(describe_exception(error), type(error).__name__)
            return
        self._main = self._loop.begin(coroutine)
        self._run(world)
        for resumption in self._script.resumptions:
            self._take(resumption, world)
        self._ledger.check_all_read()

    def deliver(self, resumption: Resumption, world: World) -> None:
        """Resume the live body by one thing, until nothing of it is ready.

        What arrives for a call that the body no longer awaits changes nothing.

        Raises:
            Nondeterminism: the body never made that call.
            BodyOverran: as in `replay`.
        """
        self._take(resumption, world)

    def _take(self, resumption: Resumption, world: World) -> None:
        loop, ledger, main = self._loop, self._ledger, self._main
        assert main is not None and not loop.is_freed, "a body is replayed first and never used after free()"
        loop.age_ms = max(loop.age_ms, resumption.age_ms)
        ledger.wall_ms = resumption.wall_ms
        if resumption.what is Resumed.CANCEL:
            self._is_cancel_delivered = True
            main.cancel()
        elif resumption.what is Resumed.TIMER and loop.has_timer(resumption.path):
            loop.fire(resumption.path)
        else:
            ledger.settle(resumption)  # a timer that is none: a wait that expired, or a difference
        self._run(world)

    def _run(self, world: World) -> None:
        loop, ledger, main = self._loop, self._ledger, self._main
        if loop.is_halted or main is None:
            return
        ledger.world = world
        try:
            loop.run_ready(main)
        except SystemExit as error:
            # asyncio lets it through at once; a handler that exits ends its own run, never the daemon.
            ledger.ended = Failed(describe_exception(error), "SystemExit")
            loop.is_halted = True
        finally:
            ledger.world = None
        if ledger.difference is not None:
            raise Nondeterminism(ledger.difference)
        if ledger.ended is None and main.done():
            ledger.ended = self._end_of(main)
            loop.is_halted = True

    def _end_of(self, main: BodyTask) -> Ended:
        if main.cancelled():
            if self._is_cancel_delivered:
                return Cancelled()
            return Failed("CancelledError: the body cancelled itself", "CancelledError")
        error = main.exception()
        if error is not None:
            is_expired = isinstance(error, StepFailed) and error.outcome is Outcome.EXPIRED
            return Failed(describe_exception(error), type(error).__name__, is_expired)
        try:
            return Completed(encode_payload(main.result(), f"the result of {self._intent.name}", RESULT_BYTES_MAX))
        except UsageError as refused:
            return Failed(describe_exception(refused), type(refused).__name__)

    # --- Looking ----------------------------------------------------------------------------------------------

    @property
    def ended(self) -> Ended | None:
        """How the run ended; None while it goes on."""
        return self._ledger.ended

    @property
    def complaints(self) -> tuple[str, ...]:
        """What asyncio would have logged about this body, such as an exception that nobody looked at."""
        return tuple(self._loop.complaints)

    def take_made(self) -> list[Made]:
        """Return what is to be recorded, in the order in which it was made, and forget it."""
        return self._ledger.take_made()

    def steps(self) -> tuple[StepCall, ...]:
        """Return the steps awaited and without final outcome, in the order of their calls; none after the end."""
        return () if self.ended is not None else self._ledger.steps()

    def abandoned_steps(self) -> tuple[str, ...]:
        """Return the paths of steps without final outcome that the body no longer awaits; all of them at the end."""
        abandoned = self._ledger.abandoned_steps()
        if self.ended is None:
            return abandoned
        return abandoned + tuple(call.path for call in self._ledger.steps())

    def input_waits(self) -> tuple[InputWait, ...]:
        """Return the awaited promises and signals, in the order of their calls: an input goes to the first."""
        return () if self.ended is not None else self._ledger.waits(InputWait)

    def condition_waits(self) -> tuple[ConditionWait, ...]:
        """Return the awaited conditions, in the order of their calls."""
        return () if self.ended is not None else self._ledger.waits(ConditionWait)

    def advice_waits(self) -> tuple[AdviceWait, ...]:
        """Return the awaited advice, in the order of the calls; one wait a topic."""
        return () if self.ended is not None else self._ledger.waits(AdviceWait)

    def poll_waits(self) -> tuple[PollWait, ...]:
        """Return the waits that poll a probe, in the order of their calls; no two poll the same one."""
        return () if self.ended is not None else self._ledger.waits(PollWait)

    def child_waits(self) -> tuple[ChildWait, ...]:
        """Return the waits for children, in the order of their calls."""
        return () if self.ended is not None else self._ledger.waits(ChildWait)

    def timers(self) -> tuple[Timer, ...]:
        """Return the pending timers, soonest first; of equal ones the older first."""
        return () if self.ended is not None else self._loop.timers()

    def size_hint(self) -> int:
        """Return roughly how many bytes this body keeps in memory, for the bound on cached bodies."""
        return BODY_BYTES + TASK_BYTES * len(self._loop.live_tasks()) + self._ledger.bytes_held()

    def free(self) -> None:
        """Close the body's coroutines with recording off; the body cannot be used afterwards.

        A context's call or an `await` in a `finally` raises BodyFreed there; nothing is recorded or logged.
        """
        self._loop.free()
        self._ledger.forget()
        self._main = None
