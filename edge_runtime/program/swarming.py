"""`ctx.swarm`: work that whoever holds the object does, unit by unit, without anybody assigning it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from ..base.errors import UsageError
from ..base.limits import CLAIM_MS_MAX, CLAIMS_EACH_MAX, RESULT_BYTES_MAX, UNITS_MAX
from ..objects.codec import decode_value, encode_value
from ..objects.units import ANNOUNCED_PREFIX, RESULT_PREFIX, Announcement, is_unit_name
from .arguments import Duration, checked_duration, checked_name
from .calls import InputWait
from .waiting import Waiting

CLAIM_S_DEFAULT = 600


class Work(Struct, frozen=True):
    """What does a unit of one kind of work on a device: a function of the unit's name, and what it needs."""

    name: str
    function: Callable[..., Any]
    needs: tuple[str, ...]


class Finding(Struct, frozen=True):
    """One device's result of one unit, or a part of it. `device` is its id, 64 hex digits.

    `permille` is how far the device was with the unit: 1000 with a result.
    """

    device: str
    value: Any
    permille: int = 1_000


class Swarmed(Struct, frozen=True):
    """What came of a swarm.

    Attributes:
        found: unit -> findings, in the order in which they were taken in; several where devices did it twice.
        missing: units of which no result came in time, in the announced order.
        parts: unit -> what devices handed on with `progress` before a result was in, done or missing, in that order.
    """

    found: Mapping[str, tuple[Finding, ...]]
    missing: tuple[str, ...]
    parts: Mapping[str, tuple[Finding, ...]] = {}

    @property
    def contradictions(self) -> tuple[str, ...]:
        """The units of which devices found different things, in the order of `found`."""
        return tuple(
            unit for unit, findings in self.found.items()
            if any(encode_value(one.value) != encode_value(findings[0].value) for one in findings[1:])
        )  # fmt: skip

    def of(self, unit: str) -> tuple[Finding, ...]:
        """Return all that is known of a unit, parts first, with who found what; empty if that is nothing."""
        return (*self.parts.get(unit, ()), *self.found.get(unit, ()))


class SwarmCalls(Waiting):
    """Work shared without a controller."""

    __slots__ = ()

    async def swarm(
        self,
        work: str,
        units: Iterable[str],
        claim: Duration = CLAIM_S_DEFAULT,
        claims_each: int = 2,
        timeout: Duration | None = None,
    ) -> Swarmed:
        """Announce units, and sleep until each has a result or the time is over.

        Any device that holds the object, has an app with `@app.unit(work)` and may execute takes part, this one too.

        Args:
            work: the name under which apps offer to do a unit.
            units: names, each once, 1 .. UNITS_MAX; all of them must fit RESULT_BYTES_MAX.
            claim: how long a device's claim stands without progress; longer than a unit takes.
            claims_each: how many claims of one device stand at once, 1 .. CLAIMS_EACH_MAX.
            timeout: then what is there is returned, and the rest is `missing`.

        Raises:
            UsageError: a unit's name, their number or a bound is none; nothing was announced.
        """
        announced = _announcement(work, units, claim, claims_each)
        ledger = self._ledger
        path = ledger.path_for(checked_name(work, "the name of the work"))
        ledger.publish(path, ANNOUNCED_PREFIX + work, encode_value(announced.to_value()))
        found: dict[str, list[Finding]] = {}
        parts: dict[str, list[Finding]] = {}
        deadline_ms = None if timeout is None else ledger.loop.age_ms + checked_duration(timeout, "timeout")
        name = RESULT_PREFIX + work
        while len(found) < len(announced.units):
            left_s = None if deadline_ms is None else max(0, deadline_ms - ledger.loop.age_ms) / 1_000
            why = f"{len(announced.units) - len(found)} units of {work} are open"
            wait = InputWait(ledger.path_for(name), name, why)
            try:
                said = await self._within(ledger.ask(wait), left_s, f"units of {work}")
            except TimeoutError:
                break
            if said["unit"] in announced.units:
                value = decode_value(said["value"]) if said["value"] else None
                permille = said.get("permille")
                finding = Finding(said["device"].hex(), value, 1_000 if permille is None else permille)
                (found if permille is None else parts).setdefault(said["unit"], []).append(finding)
        missing = tuple(unit for unit in announced.units if unit not in found)
        return Swarmed(_frozen(found), missing, _frozen(parts))


def _frozen(findings: Mapping[str, list[Finding]]) -> dict[str, tuple[Finding, ...]]:
    return {unit: tuple(items) for unit, items in findings.items()}


def _announcement(work: str, units: Iterable[str], claim: Duration, claims_each: int) -> Announcement:
    names = tuple(units)
    if not 1 <= len(names) <= UNITS_MAX or len(dict.fromkeys(names)) != len(names):
        raise UsageError(f"swarm({work!r}, …) takes 1 to {UNITS_MAX} units, each once, not {len(names)}")
    for name in names:
        if not isinstance(name, str) or not is_unit_name(name):
            raise UsageError(f"swarm({work!r}, …): {name!r} names no unit: use short texts")
    claim_ms = checked_duration(claim, "claim", 1)
    if claim_ms > CLAIM_MS_MAX or not 1 <= claims_each <= CLAIMS_EACH_MAX:
        raise UsageError(
            f"swarm({work!r}, …): a claim stands up to {CLAIM_MS_MAX // 86_400_000} days, and claims_each is 1 to "
            f"{CLAIMS_EACH_MAX}"
        )
    found = Announcement(work, names, claim_ms, claims_each)
    if len(encode_value(found.to_value())) > RESULT_BYTES_MAX:
        raise UsageError(f"swarm({work!r}, …): the units' names take over {RESULT_BYTES_MAX} bytes: use shorter ones")
    return found
