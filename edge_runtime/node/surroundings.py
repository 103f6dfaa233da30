"""Facts that the node itself knows, and readings from the host: `link.*`, `peer.*`, `radio`, `time.trust`,
`policy.version`.

They are levels of this process: told at its start and at each change, never polled.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..base.errors import UsageError
from ..base.limits import FACT_NAME_BYTES_MAX, FACTS_MAX
from ..base.moment import Trust
from ..judge.fact_names import DEVICE, LINK, PEER
from ..objects.watching import spans_of
from .events import FactRead
from .parts import Parts
from .renewals import note_policy

UP, DOWN = "up", "down"


def take_fact(parts: Parts, event: FactRead) -> None:
    """Take a reading in; if what is known changed, what reads the fact is looked at. What is not right is counted."""
    try:
        is_change = parts.facts.put(
            event.name, event.value, event.origin, event.max_age_ms, parts.timeline.life_ms
        )
    except UsageError:
        parts.facts.refused += 1
        return
    wake_readers(parts, event.name, is_change)


def wake_readers(parts: Parts, name: str, is_change: bool) -> None:
    """After a reading: what it makes true or happens to is looked at, and nothing else.

    Args:
        is_change: what is known changed; else only those who ask for a fresh reading are looked for.
    """
    life_ms = parts.timeline.life_ms
    fact = parts.facts.by_name.get(name)
    if is_change:
        parts.agenda.happenings.mark(f"fact:{name}", life_ms)
    parts.agenda.wake_fact(name, spans_of(name, None if fact is None else fact.value, is_change), life_ms)


def introduce(parts: Parts, policy: bytes) -> None:
    """Say at the start of a process what the device knows of itself; only what changed since the last one wakes."""
    _put_quietly(parts, "radio", _radio(parts))
    _put_quietly(parts, "time.trust", parts.timeline.moment.trust.name.lower())
    if parts.timeline.moment.trust != parts.timeline.saved.trust:
        parts.agenda.wake_topic("fact:time.trust")
    _put_quietly(parts, "policy.version", policy.hex())
    if parts.store.get_meta("policy", "") != policy.hex():
        say_policy(parts, policy)
    life_ms = parts.timeline.life_ms
    for name in _ways_not_known(parts):
        parts.facts.put(name, DOWN, LINK, None, life_ms)
        # It may have been up when the last process died: who waits for `down` is looked at.
        parts.agenda.wake_fact(name, spans_of(name, DOWN, True), life_ms)


def _ways_not_known(parts: Parts) -> list[str]:
    """Return the facts about ways to devices that are known by their adverts, as far as nobody has said them yet.

    Such a way is down: no contact stands. Unknown would leave every step open that is gated on it, after each start.
    With more devices than half of the facts that there may be, the others stay unknown.
    """
    by_name = parts.facts.by_name
    names = [link_fact_of(advert.name) for advert in parts.adverts.others() if advert.name]
    found = [name for name in dict.fromkeys(names) if name not in by_name and len(name.encode()) <= FACT_NAME_BYTES_MAX]
    return found[: max(0, FACTS_MAX // 2 - len(by_name))]


def say_policy(parts: Parts, policy: bytes) -> None:
    """Another policy is in force, or the same was read again: what waits for one is looked at."""
    _put_quietly(parts, "policy.version", policy.hex())
    note_policy(parts, policy)
    parts.store.set_meta("policy", policy.hex())
    parts.agenda.happen("fact:policy.version", parts.timeline.life_ms)


def follow_clock(parts: Parts, trust: Trust) -> None:
    """The clocks were read or set: what waits for a wall time is looked at if that moved, or is trusted otherwise.

    Args:
        trust: how far the wall clock was trusted before.
    """
    if parts.timeline.moment.trust != trust:
        take_fact(parts, FactRead("time.trust", parts.timeline.moment.trust.name.lower(), DEVICE))
    if parts.timeline.notice_step():
        parts.agenda.wake_topic("fact:time.trust", is_timed=True)  # under it stands what waits for a wall time


def say_radio(parts: Parts) -> None:
    """The radio was switched."""
    take_fact(parts, FactRead("radio", _radio(parts), DEVICE))


def say_contacts(parts: Parts, devices: Sequence[bytes]) -> None:
    """A contact began or ended, or a peer said what it is: bring `link.*` and `peer.*` up to date.

    Args:
        devices: those in contact now.
    """
    wanted: dict[str, tuple[bool | str, str]] = {}
    for device in devices:
        wanted[link_fact_of(parts.adverts.name_of(device))] = (UP, LINK)
        found = parts.adverts.by_device.get(device)
        for capability in found[0].capabilities if found is not None else ():
            wanted[f"peer.{capability}"] = (True, PEER)
    for fact in parts.facts.all():
        if fact.name in wanted:
            if fact.value == wanted[fact.name][0]:
                del wanted[fact.name]
        elif fact.origin == PEER:
            wanted[fact.name] = (False, PEER)
        elif fact.origin == LINK:
            wanted[fact.name] = (DOWN, LINK)
    for name in _ways_not_known(parts):
        wanted.setdefault(name, (DOWN, LINK))
    for name, (value, origin) in wanted.items():
        take_fact(parts, FactRead(name, value, origin))
    for device in devices:
        unnamed = f"link.{device.hex()[:8]}"  # what it was called before its first advert came
        if unnamed in parts.facts.by_name and parts.adverts.name_of(device) != device.hex()[:8]:
            take_fact(parts, FactRead(unnamed, None, LINK))


def _put_quietly(parts: Parts, name: str, value: str) -> None:
    parts.facts.put(name, value, DEVICE, None, parts.timeline.life_ms)


def _radio(parts: Parts) -> str:
    return "on" if parts.members.is_radio_on else "off"


def link_fact_of(name: str) -> str:
    """Return the name of the fact that says whether the way to a device or destination is up."""
    return "link." + "".join(letter if letter.isalnum() else "_" for letter in name.lower())
