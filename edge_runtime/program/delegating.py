"""`ctx.delegate`: objects made by an object, which go on by themselves, anywhere, and whose ends its body awaits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from ..base.errors import EdgeError, UsageError
from ..base.limits import (
    ARGUMENTS_BYTES_MAX,
    CHILDREN_MAX,
    DELEGATION_DEPTH_MAX,
    FANOUT_MAX,
    INTEGER_MAX,
    RESULT_BYTES_MAX,
)
from ..objects.bodies import End
from ..objects.children import spell_asked
from ..objects.codec import decode_value, encode_value
from ..objects.intents import fingerprint_of
from .arguments import Duration, checked_duration, checked_name, checked_needs
from .calls import Birth, ChildWait, Delegated, Learned, World
from .gated import checked_rights
from .payloads import decode_payload, encode_payload
from .waiting import Waiting

Join: TypeAlias = Literal["all", "any"] | int


class Child(Struct, frozen=True):
    """One child of several.

    Attributes:
        slot: names it among those of the call; None: its place in the list.
        needs: capabilities of its steps, besides those of its intent.
        lifetime: not beyond what is left of the parent's; None: all of that.
        result: type as which its result comes back.
        rights: amounts by name that it gets of this object's, for good: what it has not spent when it ends is lost.
    """

    intent: str
    arguments: Any = None
    slot: int | None = None
    needs: Collection[str] = ()
    lifetime: Duration | None = None
    result: Any = Any
    rights: Mapping[str, int] = {}


class ChildEnd(Struct, frozen=True):
    """How one child ended. `value` is the result of a completed one, `error` and its type say why of another."""

    slot: int
    end: End
    value: Any = None
    error: str = ""
    error_type: str = ""


class Joined(Struct, frozen=True):
    """What came of a delegation.

    Attributes:
        ends: slot -> end, in the order in which they were taken in.
        missing: slots of which nothing was heard in time, or was waited for no more; a later end changes nothing.
        is_met: whether the join rule was.
    """

    ends: Mapping[int, ChildEnd]
    missing: tuple[int, ...]
    is_met: bool

    @property
    def values(self) -> dict[int, Any]:
        """The results of those that completed, by slot."""
        return {slot: end.value for slot, end in self.ends.items() if end.end is End.COMPLETED}


class JoinFailed(EdgeError):
    """So many children can no longer complete. `joined` tells the end of each; those that are missing go on."""

    def __init__(self, text: str, joined: Joined) -> None:
        super().__init__(text)
        self.joined = joined


class DelegateCalls(Waiting):
    """Children."""

    __slots__ = ()

    async def delegate(
        self,
        intent: str | Iterable[Child],
        arguments: Any = None,
        slot: int = 0,
        needs: Collection[str] = (),
        lifetime: Duration | None = None,
        result: Any = Any,
        join: Join = "all",
        timeout: Duration | None = None,
        rights: Mapping[str, int] | None = None,
    ) -> Joined:
        """Make one child, or a list of them, and sleep until enough of them have ended.

        Each is an object of its own, with this one's priority, holders and fleets, and of its rights those that
        are given to it. They leave this object in the commit that makes the child, and never come back. How one
        ends is a value, never an exception. Cancelling this object asks those of them that are held here to
        end, too.

        Args:
            intent: of the one child, or a list of `Child`: 1 .. FANOUT_MAX awaited at once, CHILDREN_MAX in a run.
            arguments, slot, needs, lifetime, result, rights: of the one child, as in `Child`.
            join: `all`: each has ended, however; `any` or a number: so many have completed.
            timeout: then what has ended is returned, and the rest is `missing`.

        Raises:
            JoinFailed: fewer than `join` can complete.
            UsageError: an argument is out of its bounds, goes beyond this object, or cannot be recorded, the rights
                of all children are more than this object has left, or it stands DELEGATION_DEPTH_MAX deep; nothing
                was made.
        """
        if isinstance(intent, str):
            intent = [Child(intent, arguments, slot, needs, lifetime, result, rights or {})]
        children = tuple(intent)
        births = self._births(children)
        wanted = _wanted(join, len(births))
        ledger = self._ledger
        asked = spell_asked([(item.slot, item.intent, item.fingerprint, item.needs, item.rights) for item in births])
        if len(asked) > RESULT_BYTES_MAX:
            raise UsageError(f"delegate: intents, needs and rights take {len(asked)} bytes, at most {RESULT_BYTES_MAX}")
        path = ledger.path_for("delegate")
        made = Delegated(path, births)

        def read(world: World) -> bytes:
            missing = world.missing_rights([*ledger.delegated(), made]) if any(item.rights for item in births) else ""
            return encode_value(missing) if missing else asked

        recorded = ledger.learn(
            path, f"delegate {len(births)} children", read,
            lambda path, value: made if value == asked else Learned(path, value),
        )  # fmt: skip
        refusal = decode_value(recorded)
        if isinstance(refusal, str):
            raise UsageError(f"delegate: {refusal}; no child was made")
        if recorded != asked:
            raise ledger.differ(f"delegated at {path}: {decode_value(recorded)}", f"{decode_value(asked)}")
        ledger.children += len(births)
        types = {birth.slot: child.result for birth, child in zip(births, children, strict=True)}
        return await self._join(path, types, wanted, timeout)

    async def _join(self, path: str, types: dict[int, Any], wanted: int | None, timeout: Duration | None) -> Joined:
        """Take the children's ends in, one at a time, until the join rule is met, cannot be met, or time is over."""
        ledger = self._ledger
        deadline_ms = None if timeout is None else ledger.loop.age_ms + checked_duration(timeout, "timeout")
        ends: dict[int, ChildEnd] = {}
        while True:
            left = tuple(slot for slot in types if slot not in ends)
            completed = sum(end.end is End.COMPLETED for end in ends.values())
            is_met = not left if wanted is None else completed >= wanted
            joined = Joined(ends, left, is_met)
            if is_met:
                return joined
            if wanted is not None and completed + len(left) < wanted:
                of = f"{wanted} of {len(types)} children"
                raise JoinFailed(f"the join wants {of} to complete: {completed} did, {len(left)} may", joined)
            wait = ChildWait(ledger.path_for("child"), path, left)
            left_s = None if deadline_ms is None else max(0, deadline_ms - ledger.loop.age_ms) / 1_000
            try:
                await self._within(ledger.ask(wait), left_s, f"{len(left)} children")
            except TimeoutError:
                return joined
            end = self._take_end(path, left, types)
            ends[end.slot] = end

    def _take_end(self, path: str, left: tuple[int, ...], types: dict[int, Any]) -> ChildEnd:
        """Read how a child ended: recorded here, for a device that replays this may not hold the child."""
        ledger = self._ledger
        said = ledger.learn(ledger.path_for("end"), "the end of a child", lambda world: world.child_end(path, left)[0])
        slot, number, error, error_type = decode_value(said)
        value = ledger.learn(
            ledger.path_for("result"), "the result of a child", lambda world: world.child_end(path, (slot,))[1]
        )
        result = decode_payload(value, types[slot], f"the result of the child in slot {slot}") if value else None
        return ChildEnd(slot, End(number), result, error, error_type)

    def _births(self, children: tuple[Child, ...]) -> tuple[Birth, ...]:
        ledger = self._ledger
        if ledger.start.depth >= DELEGATION_DEPTH_MAX:
            raise UsageError(f"This object stands {DELEGATION_DEPTH_MAX} deep and cannot delegate: do the work here.")
        awaited = sum(len(wait.slots) for wait in ledger.waits(ChildWait))
        if not 1 <= len(children) or awaited + len(children) > FANOUT_MAX:
            raise UsageError(
                f"delegate takes 1 to {FANOUT_MAX} children at once, not {awaited + len(children)}: "
                "let each do more, or join some first"
            )
        if ledger.children + len(children) > CHILDREN_MAX:
            raise UsageError(f"One run makes at most {CHILDREN_MAX} children: go on in a new run, with again().")
        births = tuple(self._birth(child, place) for place, child in enumerate(children))
        if len({birth.slot for birth in births}) != len(births):
            raise UsageError("delegate: two children have one slot; give each its own, or none")
        return births

    def _birth(self, child: Child, place: int) -> Birth:
        slot = place if child.slot is None else child.slot
        if type(slot) is not int or not 0 <= slot <= INTEGER_MAX:
            raise UsageError(f"slot={slot!r} is no slot: give a whole number from 0")
        rest_ms = self._ledger.start.lifetime_ms - self._ledger.loop.age_ms
        lifetime_ms = 0 if child.lifetime is None else checked_duration(child.lifetime, "lifetime", 1)
        if lifetime_ms > rest_ms:
            raise UsageError(
                f"lifetime={child.lifetime!r} goes beyond this object, which has {rest_ms // 1_000} s left: give less, "
                "or none for what is left"
            )
        name = checked_name(child.intent, "an intent's name")
        arguments = encode_payload(child.arguments, f"the arguments of {name!r}", ARGUMENTS_BYTES_MAX)
        needs = checked_needs(child.needs)
        rights = checked_rights(child.rights)
        return Birth(slot, name, arguments, fingerprint_of(name, arguments), needs, lifetime_ms, rights)


def _wanted(join: Join, children: int) -> int | None:
    """Return how many children must complete; None: each must end, however."""
    wanted = 1 if join == "any" else join
    if wanted == "all":
        return None
    if type(wanted) is not int or not 1 <= wanted <= children:
        raise UsageError(f"join={join!r} is no join rule: use 'all', 'any', or a number from 1 to {children}")
    return wanted
