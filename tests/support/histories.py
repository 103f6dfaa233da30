"""Builders of histories: devices that write into one object, apart and together, in order and out of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_runtime.base.moment import Trust
from edge_runtime.objects import bodies as b
from edge_runtime.objects.codec import encode_value
from edge_runtime.objects.entries import Draft, Entry, seal
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.grants import Role
from edge_runtime.objects.history import History
from edge_runtime.objects.intents import hash256
from edge_runtime.objects.keys import SigningKey
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import Record, make

ROOT = SigningKey.from_seed(b"r" * 32)
MEMBER = (Role.EXECUTOR, Role.OPERATOR)


def key(number: int) -> SigningKey:
    """Return the key of a device by its number."""
    return SigningKey.from_seed(bytes([number]) * 32)


def created(recovery_ms: int = 0, **clear: object) -> Record:
    """Return a `created` record."""
    fields: dict[str, object] = {
        "priority": 8, "lifetime_ms": 10_000_000, "holders": (), "readers": (), "needs": (),
        "recovery_ms": recovery_ms, "may_signal": (), "may_cancel": (), "roots": (ROOT.public,), "wall_ms": 0,
        "trust": 0, **clear,
    }  # fmt: skip
    sealed = b.CreatedSealed("thing", encode_value(None), "", b"", "", 0, 0, ())
    return make(Kind.CREATED, b.CreatedClear(**fields), sealed)  # type: ignore[arg-type]


def learned(path: str, value: object = 1) -> Record:
    """Return a turn that changes content."""
    return make(Kind.LEARNED, b.Empty(), b.LearnedSealed(path, encode_value(value)))


def signalled(name: str, value: object = None) -> Record:
    """Return an input."""
    return make(Kind.SIGNALLED, b.Empty(), b.SignalledSealed(name, encode_value(value)))


def offered(to: SigningKey, epoch: int, expires_age_ms: int = 1_000) -> Record:
    """Return an offer of custody."""
    return make(Kind.OFFERED, b.OfferedClear(to.public, epoch, expires_age_ms, "test"))


def accepted(offer: bytes, epoch: int) -> Record:
    """Return an acceptance."""
    return make(Kind.ACCEPTED, b.AcceptedClear(offer, epoch))


def claimed(epoch: int) -> Record:
    """Return a claim."""
    return make(Kind.CLAIMED, b.ClaimedClear(epoch, "test"))


def terminated() -> Record:
    """Return the end."""
    return make(Kind.TERMINATED, b.TerminatedClear(int(b.End.COMPLETED)), b.TerminatedSealed(b"\xf6", "", ""))


def first_entry(author: SigningKey, record: Record | None = None, *more: Record) -> Entry:
    """Return an object's first entry."""
    draft = Draft(None, (), b"g" * 32, b"boot0000", 0, 0, 0, 0, Trust.NONE, 0, True, (record or created(), *more))
    return seal(author, draft)


def entry_on(
    history: History, author: SigningKey, *records: Record, parents: Sequence[bytes] | None = None,
    epoch: int | None = None, sequence: int = 1, age_ms: int = 0, height: int | None = None,
) -> Entry:  # fmt: skip
    """Return a sealed entry over the heads (or other parents) of a history; not added."""
    above = tuple(history.heads if parents is None else parents)
    natural = 1 + max(history.placed[parent].entry.height for parent in above)
    view = history.view if parents is None else history.placed[above[0]].view
    draft = Draft(
        history.object, above, b"g" * 32, b"boot0000", sequence, natural if height is None else height,
        view.epoch if epoch is None else epoch, 0, Trust.NONE, age_ms, True, records,
    )  # fmt: skip
    return seal(author, draft)


@dataclass
class Replica:
    """What one device holds of the object, and who it is."""

    key: SigningKey
    state: ObjectState
    sequence: int = 0
    log: list[Entry] = field(default_factory=list)

    def write(self, *records: Record, epoch: int | None = None, age_ms: int = 0) -> Entry:
        """Append on top of what this device holds."""
        self.sequence += 1
        heads = sorted(self.state.history.heads)[:16]
        if self.state.history.view.tip not in self.state.history.closure(heads):
            heads = [self.state.history.view.tip, *heads][:16]
        entry = entry_on(
            self.state.history, self.key, *records, parents=heads, sequence=self.sequence, age_ms=age_ms,
            epoch=self.state.history.view.epoch if epoch is None else epoch,
        )  # fmt: skip
        self.state.add(entry, MEMBER)
        return entry

    def hear(self, entries: Sequence[Entry]) -> None:
        """Take in entries of others, in any causal order."""
        waiting = [entry for entry in entries if entry.id not in self.state.history]
        while waiting:
            ready = [entry for entry in waiting if not self.state.history.missing(entry)]
            assert ready, "causal delivery"
            for entry in ready:
                if entry.id not in self.state.history:
                    self.state.add(entry, MEMBER)
            waiting = [entry for entry in waiting if entry.id not in self.state.history]


def random_history(seed: int, steps: int = 30, devices: int = 4) -> list[Entry]:
    """Return all entries of a random history: work, inputs, offers, claims, clones and lies, on several devices."""
    chance = random.Random(seed)
    first = first_entry(key(1), created(recovery_ms=5))
    replicas = [Replica(key(number), ObjectState(first, MEMBER)) for number in range(1, devices + 1)]
    # A clone: the same key as device 1, in another hand.
    replicas.append(Replica(key(1), ObjectState(first, MEMBER), sequence=100))
    everything: dict[bytes, Entry] = {first.id: first}
    for step in range(steps):
        who = chance.choice(replicas)
        if chance.random() < 0.4:
            other = chance.choice(replicas)
            who.hear([placed.entry for placed in other.state.history.placed.values()])
        entry = _random_write(chance, who, step)
        everything[entry.id] = entry
    return list(everything.values())


def _random_write(chance: random.Random, who: Replica, step: int) -> Entry:
    view = who.state.history.view
    age_ms = step
    match chance.randrange(8):
        case 0:
            return who.write(signalled(f"s{chance.randrange(3)}", step), age_ms=age_ms)
        case 1:
            return who.write(offered(key(chance.randrange(1, 5)), view.number + 1), age_ms=age_ms)
        case 2 if view.is_frozen:
            return who.write(accepted(view.tip, view.number), epoch=view.number, age_ms=age_ms)
        case 3:
            number = view.number + 1
            return who.write(claimed(number), epoch=number, age_ms=age_ms)
        case 4:
            return who.write(learned(f"0/0/x:{step}", step), epoch=chance.randrange(3), age_ms=age_ms)
        case 5 if chance.random() < 0.1:
            return who.write(terminated(), age_ms=age_ms)
        case _:
            return who.write(learned(f"0/0/x:{step}", step), learned(f"0/0/y:{step}", who.key.public), age_ms=age_ms)


def fold_in_order(entries: Sequence[Entry], chance: random.Random) -> ObjectState:
    """Fold entries in a random causal order."""
    first = next(entry for entry in entries if entry.is_first)
    state = ObjectState(first, MEMBER)
    waiting = [entry for entry in entries if not entry.is_first]
    while waiting:
        ready = [entry for entry in waiting if not state.history.missing(entry)]
        entry = chance.choice(ready)
        state.add(entry, MEMBER)
        waiting.remove(entry)
    return state


def entry_id_of(raw: bytes) -> bytes:
    """Return what the id of these bytes is, by the rule and not by the code under test."""
    return hash256(raw)
