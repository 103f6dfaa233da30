"""`Context`: what a handler's first argument can do. User documentation calls it the object's *terms*.

Every call has a call path (run, scope of its task, name, counter) and is recorded there, so that a body which runs
again, here or on another device, gets the same answers in the same order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar, overload

from ..base.limits import (
    ARGUMENTS_BYTES_MAX,
    FACT_NAME_BYTES_MAX,
    RESULT_BYTES_MAX,
    STEP_TIMEOUT_MS_DEFAULT,
)
from ..objects.bodies import EffectClass
from ..objects.codec import encode, encode_value
from ..objects.intents import attempt_id, fingerprint_of, hash128
from ..objects.trigger_text import parse_trigger
from ..objects.triggers import OnEvent
from .advising import AdviceCalls
from .arguments import (
    MISSING,
    Duration,
    checked_duration,
    checked_effect,
    checked_name,
    checked_needs,
    checked_peers,
    spell_arguments,
)
from .calls import ConditionWait, InputWait, Retry, StepCall
from .delegating import DelegateCalls
from .errors import BodyFreed
from .gated import OnUnknownName, checked_gate
from .keyed import State
from .ledger import Ledger
from .payloads import decode_payload, encode_payload, result_type_of
from .polling import PollCalls
from .refining import RefineCalls
from .swarming import SwarmCalls

T = TypeVar("T")
Fact: TypeAlias = bool | int | float | str | None
EffectName: TypeAlias = Literal["observe", "idempotent", "bounded", "irreversible"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_RETRY = Retry()


class Context(AdviceCalls, RefineCalls, PollCalls, SwarmCalls, DelegateCalls):
    """The object as its handler sees it. Made by the driver; valid only inside the handler's body."""

    __slots__ = ("_randoms", "state")

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._randoms: dict[str, Random] = {}
        self.state = State(ledger)

    @property
    def object_id(self) -> str:
        """Id of the object, 64 hex digits."""
        return self._ledger.start.object.hex()

    # --- Steps ------------------------------------------------------------------------------------------------

    @overload
    async def run(
        self,
        name: str,
        function: Callable[..., Awaitable[T]],
        *args: Any,
        needs: Collection[str] | None = None,
        resource: str | None = None,
        to: Sequence[str] = (),
        not_after: Duration | None = None,
        effect: EffectName | EffectClass = "idempotent",
        timeout: Duration | None = None,
        retry: Retry | None = None,
        rights: Mapping[str, int] | None = None,
        on_unknown: OnUnknownName | None = None,
    ) -> T: ...

    @overload
    async def run(
        self,
        name: str,
        function: Callable[..., T],
        *args: Any,
        needs: Collection[str] | None = None,
        resource: str | None = None,
        to: Sequence[str] = (),
        not_after: Duration | None = None,
        effect: EffectName | EffectClass = "idempotent",
        timeout: Duration | None = None,
        retry: Retry | None = None,
        rights: Mapping[str, int] | None = None,
        on_unknown: OnUnknownName | None = None,
    ) -> T: ...

    async def run(
        self,
        name: str,
        function: Callable[..., Any],
        *args: Any,
        needs: Collection[str] | None = None,
        resource: str | None = None,
        to: Sequence[str] = (),
        not_after: Duration | None = None,
        effect: EffectName | EffectClass = "idempotent",
        timeout: Duration | None = None,
        retry: Retry | None = None,
        rights: Mapping[str, int] | None = None,
        on_unknown: OnUnknownName | None = None,
    ) -> Any:
        """Call a function as a recorded step and return its result, as it was recorded.

        Args:
            name: of the call, 1 .. NAME_BYTES_MAX bytes; part of the call path.
            function: async (runs on the host's loop) or plain (in a worker thread); keyword arguments go through
                `functools.partial`. A lambda hides its arguments from the fingerprint.
            args: recordable values. Pass values that nobody changes afterwards.
            needs: capabilities that this call needs instead of the intent's; dotted lower-case names.
            resource: name of the thing that is acted on.
            to: names of peers or servers that can answer it, best first; `current_attempt().peer` is the one to ask.
                What one did is not held against another; one that was silent twice is asked last.
            not_after: age of the object (a timedelta or seconds) after which no try may begin.
            effect: `observe` (re-run freely), `idempotent` (the attempt's id is its key), or gated: written down before
                it acts. `bounded` spends rights of the object; `irreversible` is never repeated by a guess.
            timeout: of one try, then its outcome is `timeout`; STEP_TIMEOUT_MS_DEFAULT if None.
            retry: how often it is tried before the body hears of it; by default as long as the object may live.
            rights: of a bounded step: amounts by name, spent by each try, whatever comes of it.
            on_unknown: of a gated step of which nobody knows whether it happened (see `program.gated`).

        Raises:
            StepFailed: `invalid` (the same call, by name and arguments, then never runs again in this object, on no
                device), `expired` (the next try would come too late), `refused` (of a gated step: too late, or rights
                are missing), or the retry is used up.
            UsageError: an argument is none of the above; nothing was started.
            BodyFreed: the run is over; let it pass.
        """
        ledger = self._ledger
        path = ledger.path_for(checked_name(name, "a step's name"))
        spelled = spell_arguments(name, function, args)
        fingerprint = fingerprint_of(name, spelled)
        kind = checked_effect(effect)
        not_after_ms = None if not_after is None else checked_duration(not_after, "not_after")
        gate = checked_gate(kind, not_after_ms, rights, on_unknown)
        call = StepCall(
            path=path,
            name=name,
            function=function,
            arguments=args,
            fingerprint=fingerprint,
            attempt=attempt_id(ledger.start.lineage, ledger.loop.run, path, fingerprint),
            needs=None if needs is None else checked_needs(needs),
            effect=kind,
            resource="" if resource is None else checked_name(resource, "a resource"),
            not_after_ms=not_after_ms,
            timeout_ms=STEP_TIMEOUT_MS_DEFAULT if timeout is None else checked_duration(timeout, "timeout", 1),
            retry=NO_RETRY if retry is None else retry,
            result_type=result_type_of(function),
            to=checked_peers(to),
            bytes_size=len(spelled),
            on_unknown=gate.on_unknown,
            rights=gate.rights,
        )
        return await ledger.ask(call)

    # --- Waits ------------------------------------------------------------------------------------------------

    async def until(self, condition: str, timeout: Duration | None = None) -> None:
        """Sleep until a condition holds, such as `link.ground == 'up'` or `event(landed) and battery.percent < 30`.

        Facts, the time and entries are levels: what holds already ends the wait at once. Events and changes are
        edges: they count from when the wait began until it is over. What can stand in the text:
        `objects.condition_text` (facts) and `objects.trigger_text` (`event`, `changed`, `signal`, `peer`, `entry`,
        `done`, `at`, `after`, `steady`).

        Args:
            timeout: without one the wait ends at the latest after DORMANCY_MS_MAX of unbroken sleep.

        Raises:
            TimeoutError: it did not hold within that time.
            UsageError: the text is no condition; it says where.
        """
        path = self._ledger.path_for("until")
        trigger = parse_trigger(condition, self._ledger.loop.age_ms)
        wait = ConditionWait(path, trigger, condition, timeout is not None)
        await self._within(self._ledger.ask(wait), timeout, f"until {condition!r}")

    async def event(self, name: str, timeout: Duration | None = None) -> None:
        """Sleep until an event of that name happens on this device (`edge-runtime raise NAME`) after the wait began.

        Args:
            timeout: as of `until`.

        Raises:
            TimeoutError: it did not happen within that time.
        """
        path = self._ledger.path_for("event")
        wait = ConditionWait(path, OnEvent(checked_name(name, "an event's name")), f"event {name}", timeout is not None)
        await self._within(self._ledger.ask(wait), timeout, f"event {name!r}")

    @overload
    async def promise(self, name: str, timeout: Duration | None = None) -> Any: ...

    @overload
    async def promise(self, name: str, timeout: Duration | None = None, *, default: T) -> Any | T: ...

    async def promise(self, name: str, timeout: Duration | None = None, *, default: Any = MISSING) -> Any:
        """Sleep until somebody completes the promise from outside (`edge-runtime signal ID NAME VALUE`).

        The first completion is the promise's value for the rest of this run, however often it is awaited.

        Raises:
            TimeoutError: nobody did within that time, and no default was given.
        """
        path = self._ledger.path_for(checked_name(name, "a promise's name"))
        future = self._ledger.ask(InputWait(path, name, is_bounded=timeout is not None), is_promise=True)
        try:
            return await self._within(future, timeout, f"promise {name!r}")
        except TimeoutError:
            if default is MISSING:
                raise
            return default

    def signals(self, name: str, timeout: Duration | None = None) -> Signals:
        """Return an async iterator over the signals of that name, each taken once, in the order of the records.

        Args:
            timeout: of the wait for each; then `async for` raises TimeoutError, and may be begun again.
        """
        return Signals(self, checked_name(name, "a signal's name"), timeout)

    async def _next_signal(self, name: str, timeout: Duration | None) -> Any:
        wait = InputWait(self._ledger.path_for(name), name, is_bounded=timeout is not None)
        return await self._within(self._ledger.ask(wait), timeout, f"signal {name!r}")

    # --- Reads ------------------------------------------------------------------------------------------------

    async def fact(self, name: str, default: Fact = None) -> Any:
        """Return what a fact is now on this device; recorded, so that a replay reads the same.

        Args:
            default: returned while the fact is unknown or too old; choose the cautious value.
        """
        path = self._ledger.path_for(checked_name(name, "a fact's name", FACT_NAME_BYTES_MAX))
        data = self._ledger.learn(path, f"fact {name!r}", lambda world: encode_value(world.fact(name)))
        value = decode_payload(data, Any, f"fact {name!r}")
        return default if value is None else value

    def now(self) -> datetime:
        """Return the wall clock, in UTC, as of the newest thing that resumed the body."""
        return EPOCH + timedelta(milliseconds=self._ledger.wall_ms)

    def age(self) -> timedelta:
        """Return the object's age as of the newest thing that resumed the body: what its timers count in."""
        return timedelta(milliseconds=self._ledger.loop.age_ms)

    @property
    def random(self) -> Random:
        """A generator of this task, seeded by the object's lineage: every device draws the same numbers."""
        scope = self._ledger.loop.current_scope().text
        if scope not in self._randoms:
            self._randoms[scope] = Random(int.from_bytes(self._hash("random", scope)))
        return self._randoms[scope]

    def uuid(self) -> str:
        """Return a new UUID as text (RFC 9562, version 4), the same on every device."""
        digest = bytearray(self._hash("uuid", self._ledger.path_for("uuid")))
        digest[6] = digest[6] & 0x0F | 0x40
        digest[8] = digest[8] & 0x3F | 0x80
        text = digest.hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def _hash(self, what: str, where: str) -> bytes:
        return hash128(encode([what, self._ledger.start.lineage, self._ledger.loop.run, where]))

    # --- Makes ------------------------------------------------------------------------------------------------

    def publish(self, name: str, value: object) -> None:
        """Set a named value for onlookers (`edge-runtime show`); the newest of a name counts.

        Raises:
            UsageError: the value cannot be recorded, or this run publishes too many names.
        """
        path = self._ledger.path_for(checked_name(name, "a published name"))
        data = encode_payload(value, f"the published value {name!r}", RESULT_BYTES_MAX)
        self._ledger.publish(path, name, data)

    def again(self, state: object) -> NoReturn:
        """End this run and begin the next in the same object, with `state` as the handler's argument.

        For bodies that go on for ever: no call of earlier runs is replayed. Does not return.

        Raises:
            UsageError: the state cannot be recorded.
        """
        self._ledger.path_for("again")
        self._ledger.end_run(encode_payload(state, "the state given to again()", ARGUMENTS_BYTES_MAX))
        raise BodyFreed("this run has ended with again()")


class Signals:
    """The signals of one name, as an async iterator that never ends by itself."""

    __slots__ = ("_context", "_name", "_timeout")

    def __init__(self, context: Context, name: str, timeout: Duration | None) -> None:
        self._context = context
        self._name = name
        self._timeout = timeout

    def __aiter__(self) -> Signals:
        return self

    async def __anext__(self) -> Any:
        return await self._context._next_signal(self._name, self._timeout)
