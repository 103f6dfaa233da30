"""Builders of histories: devices that write into one object, apart and together, in order and out of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import msgspec
from hypothesis import strategies as st

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
from edge_runtime.objects.records import PLAIN, Record, make

ROOT = SigningKey.from_seed(b"r" * 32)
MEMBER = (Role.EXECUTOR, Role.OPERATOR)

# What a grant lets its author be, by the grant's hash; in the field each is a signed grant of the fleet's root.
GRANT = b"g" * 32
ROLES: dict[bytes, tuple[Role, ...]] = {
    GRANT: MEMBER,
    b"e" * 32: (Role.EXECUTOR,),
    b"o" * 32: (Role.OPERATOR,),
    b"r" * 32: (Role.RELAY,),
    b"a" * 32: (Role.ADVISOR,),
}


def key(number: int) -> SigningKey:
    """Return the key of a device by its number."""
    return SigningKey.from_seed(bytes([number]) * 32)


def roles_of(entry: Entry) -> tuple[Role, ...]:
    """Return the roles that the entry's grant gives."""
    return ROLES[entry.grant]


# --- Records ------------------------------------------------------------------------------------------------------


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


def published(name: str, value: object) -> Record:
    """Return a value for onlookers."""
    return make(Kind.PUBLISHED, b.Empty(), b.PublishedSealed(f"0/0/{name}:1", name, encode_value(value)))


def executed(
    path: str, try_number: int = 1, outcome: int = 0, is_final: bool = True, deaths: int = 0, **fields: object
) -> Record:
    """Return one try of a step; `fields` are others of the record."""
    sealed = b.ExecutedSealed(
        b"a" * 16, try_number, path, b"f" * 16, 1, "", "", "", outcome, is_final, encode_value(try_number), "", "", 5,
        None, deaths, "",
    )  # fmt: skip
    return make(Kind.EXECUTED, b.Empty(), msgspec.structs.replace(sealed, **fields))


def took(ref: bytes, what: b.Took = b.Took.INPUT) -> Record:
    """Return a resumption of the body."""
    return make(Kind.TOOK, b.Empty(), b.TookSealed(what, ref, "0/0/wait:1"))


def dormant(reason: str = "asleep") -> Record:
    """Return a sleep."""
    return make(Kind.DORMANT, b.DormantClear(1_000), b.DormantSealed(b"\xf6", reason))


def again(run: int) -> Record:
    """Return the beginning of a new run."""
    return make(Kind.AGAIN, b.Empty(), b.AgainSealed(run, encode_value(run)))


def signalled(name: str, value: object = None) -> Record:
    """Return an input."""
    return make(Kind.SIGNALLED, b.Empty(), b.SignalledSealed(name, encode_value(value)))


def advised(topic: str, proposal: object, based_on: bytes, expires_age_ms: int = 10_000, confidence: int = 500) -> Record:
    """Return an advisor's input."""
    body = b.AdvisedSealed(topic, encode_value(proposal), confidence, based_on, expires_age_ms)
    return make(Kind.ADVISED, b.Empty(), body)


def cancel_requested() -> Record:
    """Return a request to end."""
    return make(Kind.CANCEL_REQUESTED, b.Empty(), b.CancelSealed("test"))


def holding(what: int) -> Record:
    """Return an operator's word: 0 hold, 1 release, 2 resume."""
    return make(Kind.HOLDING, b.HoldingClear(what))


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


def malformed(kind: Kind = Kind.LEARNED) -> Record:
    """Return a record whose clear part is in order and whose sealed part is not what its kind has."""
    return Record(int(kind), b"\x80", PLAIN + b"\x81\x00")


# --- Entries ------------------------------------------------------------------------------------------------------


def first_entry(author: SigningKey, record: Record | None = None, *more: Record, grant: bytes = GRANT) -> Entry:
    """Return an object's first entry."""
    draft = Draft(None, (), grant, b"boot0000", 0, 0, 0, 0, Trust.NONE, 0, True, (record or created(), *more))
    return seal(author, draft)


def entry_on(
    history: History, author: SigningKey, *records: Record, parents: Sequence[bytes] | None = None,
    epoch: int | None = None, sequence: int = 1, age_ms: int = 0, height: int | None = None, grant: bytes = GRANT,
) -> Entry:  # fmt: skip
    """Return a sealed entry over the heads (or other parents) of a history; not added."""
    above = tuple(history.heads if parents is None else parents)
    view = history.view if parents is None else history.placed[above[0]].view
    draft = Draft(
        history.object, above, grant, b"boot0000", sequence, history.height_over(above) if height is None else height,
        view.epoch if epoch is None else epoch, 0, Trust.NONE, age_ms, True, records,
    )  # fmt: skip
    return seal(author, draft)


def resealed(entry: Entry, author: SigningKey, **changes: object) -> Entry:
    """Return the entry with some of its fields changed and signed anew."""
    fields: dict[str, object] = {
        "object": None if entry.is_first else entry.object, "parents": entry.parents, "grant": entry.grant,
        "boot": entry.boot, "sequence": entry.sequence, "height": entry.height, "epoch": entry.epoch,
        "wall_ms": entry.wall_ms, "trust": entry.trust, "age_ms": entry.age_ms, "age_is_exact": entry.age_is_exact,
        "records": entry.records, **changes,
    }  # fmt: skip
    return seal(author, Draft(**fields))  # type: ignore[arg-type]


def entry_id_of(raw: bytes) -> bytes:
    """Return what the id of these bytes is, by the rule and not by the code under test."""
    return hash256(raw)


# --- Devices ------------------------------------------------------------------------------------------------------


@dataclass
class Replica:
    """What one device holds of the object, and who it is."""

    key: SigningKey
    state: ObjectState
    grant: bytes = GRANT
    sequence: int = 0

    def write(
        self, *records: Record, over: Sequence[bytes] | None = None, epoch: int | None = None, age_ms: int = 0,
        height: int | None = None,
    ) -> Entry:  # fmt: skip
        """Append on top of what this device holds, or over some of it; at most 16 parents, the ruling tip first."""
        history = self.state.history
        self.sequence += 1
        parents = list(history.heads if over is None else over)
        if len(parents) > 16:
            tip = history.view.tip
            parents = [tip, *(head for head in parents if head != tip)][:16]
        entry = entry_on(
            history, self.key, *records, parents=parents, sequence=self.sequence, age_ms=age_ms, height=height,
            epoch=history.view.epoch if epoch is None else epoch, grant=self.grant,
        )  # fmt: skip
        if entry.id not in history:
            self.state.add(entry, roles_of(entry))
        return entry

    def hear(self, entries: Sequence[Entry]) -> None:
        """Take in entries of others, in any order in which all parents come at some time."""
        waiting = list(entries)
        while waiting:
            later = []
            for entry in waiting:
                if entry.id in self.state.history:
                    continue
                if self.state.history.missing(entry):
                    later.append(entry)
                else:
                    self.state.add(entry, roles_of(entry))
            assert len(later) < len(waiting), "a parent is nowhere"
            waiting = later


class What(Enum):
    """What a device does in one move of a random history."""

    WORK = "work"
    WORK_MORE = "several records in one turn"
    EXECUTE = "a step's outcome"
    SLEEP = "dormant"
    PUBLISH = "published"
    AGAIN = "a new run"
    SIGNAL = "signalled"
    CANCEL = "cancel_requested"
    HOLD = "holding"
    TAKE = "took, perhaps of an input that is not in its past"
    OFFER = "offered"
    ACCEPT = "accepted, perhaps by another"
    CLAIM = "claimed"
    END = "terminated"
    WORK_ELSEWHERE = "a turn over any entry of the past: forks"
    WRONG_EPOCH = "a turn under another epoch"
    WRONG_HEIGHT = "a lie about the height"
    WRONG_NUMBER = "an offer or a claim of another number"
    MALFORMED = "a sealed part that is not what its kind has"
    UNKNOWN = "a kind that nobody knows"
    OUT_OF_PLACE = "records in an order that they may not have"


@dataclass(frozen=True)
class Move:
    """One device hears of others, then writes one entry."""

    who: int
    hears: tuple[int, ...]
    what: What
    variant: int


# Number of the key, and grant. Devices 6 and 7 are clones: the keys of 0 and 1 in other hands.
CAST = ((1, b"e"), (2, b"e"), (3, b"g"), (4, b"r"), (5, b"a"), (6, b"o"), (1, b"e"), (2, b"e"))


# Who acts, and what is done: work, signals and custody more often than the rest.
ACTORS = (0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 6, 7)
COMMON = (What.WORK, What.SIGNAL, What.TAKE, What.OFFER, What.ACCEPT, What.CLAIM, What.WORK_ELSEWHERE)
DEEDS = (*What, *COMMON, *COMMON)


def moves(count_max: int = 25) -> st.SearchStrategy[list[Move]]:
    """Return what devices may do, in any order, for a property."""
    heard = st.lists(st.integers(0, len(CAST) - 1), max_size=3).map(tuple)
    one = st.builds(Move, st.sampled_from(ACTORS), heard, st.sampled_from(DEEDS), st.integers(0, 1_000))
    return st.lists(one, min_size=1, max_size=count_max)


def histories(count_max: int = 25) -> st.SearchStrategy[list[Entry]]:
    """Return all entries of random histories of several devices, parents first."""
    return st.builds(play, moves(count_max), st.sampled_from([0, 0, 3]), st.sampled_from([(), (), (1, 3)]))


def random_history(seed: int, count: int = 25) -> list[Entry]:
    """Return the entries of the history of a seed, parents first."""
    chance = random.Random(seed)
    script = []
    for _ in range(count):
        heard = tuple(chance.randrange(len(CAST)) for _ in range(chance.randrange(4)))
        script.append(Move(chance.choice(ACTORS), heard, chance.choice(DEEDS), chance.randrange(1_000)))
    return play(script, chance.choice((0, 0, 3)), chance.choice(((), (), (1, 3))))


@dataclass
class Stage:
    """Everybody, and everything that was ever written."""

    replicas: list[Replica]
    everything: dict[bytes, Entry] = field(default_factory=dict)


def play(script: Sequence[Move], recovery_ms: int = 0, holders: Sequence[int] = ()) -> list[Entry]:
    """Return all entries that the moves make, parents first; the same moves make the same entries.

    `holders`: numbers of the keys that may hold the object, all without it.
    """
    first = first_entry(key(1), created(recovery_ms, holders=tuple(key(n).public for n in holders)), grant=b"e" * 32)
    stage = Stage([Replica(key(n), ObjectState(first, roles_of(first)), grant * 32) for n, grant in CAST])
    stage.everything[first.id] = first
    for number, move in enumerate(script):
        who = stage.replicas[move.who]
        for other in move.hears:
            who.hear([placed.entry for placed in stage.replicas[other].state.history.placed.values()])
        entry = _write(stage, who, move, age_ms=number)
        stage.everything[entry.id] = entry
    return list(stage.everything.values())


def _write(stage: Stage, who: Replica, move: Move, age_ms: int) -> Entry:
    view, variant = who.state.history.view, move.variant
    path = f"0/0/x:{variant % 5}"
    match move.what:
        case What.OFFER:
            to = key(1 + variant % 3)
            return who.write(learned(path), offered(to, view.number + 1), age_ms=age_ms)
        case What.ACCEPT:
            return who.write(accepted(view.tip, view.number), epoch=view.number, age_ms=age_ms)
        case What.CLAIM:
            number = view.number + 1
            return who.write(claimed(number), learned(path, variant), epoch=number, age_ms=age_ms)
        case What.WORK_ELSEWHERE:
            known = list(who.state.history.placed)
            over = known[variant % len(known)]
            epoch = who.state.history.placed[over].view.epoch
            return who.write(learned(path, variant), over=[over], epoch=epoch, age_ms=age_ms)
        case What.WRONG_EPOCH:
            return who.write(learned(path, variant), epoch=view.epoch + 1 + variant % 3, age_ms=age_ms)
        case What.WRONG_HEIGHT:
            height = (1, 7, 2**63 - 1)[variant % 3]
            return who.write((learned(path), signalled("lie"))[variant % 2], height=height, age_ms=age_ms)
        case What.WRONG_NUMBER:
            number = view.number + (0, 2, 7)[variant % 3]
            record = (offered(key(2), number), claimed(number))[variant % 2]
            return who.write(record, epoch=view.epoch if variant % 2 == 0 else number, age_ms=age_ms)
        case _:
            return who.write(*_plain_records(stage, who, move, path), age_ms=age_ms)


def _plain_records(stage: Stage, who: Replica, move: Move, path: str) -> tuple[Record, ...]:
    variant = move.variant
    match move.what:
        case What.WORK_MORE:
            return learned(path, variant), published("p", variant), dormant(), executed(path), learned("0/0/y:1", path)
        case What.EXECUTE:
            prints = bytes([variant % 7]) * 16
            return (executed(path, 1 + variant % 4, variant % 13, variant % 3 == 0, variant % 2, fingerprint=prints),)
        case What.SLEEP:
            return (dormant(f"reason {variant % 3}"),)
        case What.PUBLISH:
            return (published(f"name{variant % 2}", variant),)
        case What.AGAIN:
            return (again(who.state.content.script.run + 1),)
        case What.SIGNAL:
            return signalled(f"s{variant % 3}", variant), signalled("more", variant)
        case What.CANCEL:
            return (cancel_requested(),)
        case What.HOLD:
            return holding(variant % 3), holding((variant + 1) % 3)
        case What.TAKE:
            refs = [
                entry.id + index.to_bytes(2, "big")
                for entry in stage.everything.values() if entry.is_input
                for index, record in enumerate(entry.records) if record.kind == Kind.SIGNALLED
            ]  # fmt: skip
            return (took(refs[variant % len(refs)] if refs else b"\x00" * 34),)
        case What.END:
            return learned(path, variant), terminated()
        case What.MALFORMED:
            return (malformed((Kind.LEARNED, Kind.SIGNALLED, Kind.TOOK)[variant % 3]),)
        case What.UNKNOWN:
            return (Record((1023, 63, 72)[variant % 3], b"\x80", None),)
        case What.OUT_OF_PLACE:
            end, offer = terminated(), offered(key(2), who.state.history.view.number + 1)
            return ((end, learned(path)), (offer, learned(path)), (learned(path), claimed(1)))[variant % 3]
        case _:
            return (learned(path, variant),)


# --- Delivery -----------------------------------------------------------------------------------------------------


def shuffled(entries: Sequence[Entry], chance: random.Random) -> list[Entry]:
    """Return the entries in a random order in which every parent comes first."""
    waiting, done, found = list(entries), {b"": None}, []
    while waiting:
        ready = [index for index, entry in enumerate(waiting) if all(parent in done for parent in entry.parents)]
        entry = waiting.pop(chance.choice(ready))
        done[entry.id] = None
        found.append(entry)
    return found


def fold(entries: Sequence[Entry]) -> ObjectState:
    """Fold entries in the order in which they are given, the object's first entry first."""
    state = ObjectState(entries[0], roles_of(entries[0]))
    for entry in entries[1:]:
        state.add(entry, roles_of(entry))
    return state


def everything_of(state: ObjectState) -> tuple[object, ...]:
    """Return all that a state says, beyond its two byte strings: what must be equal on all devices."""
    placed = {entry_id: (p.void, p.previous, p.view, p.height) for entry_id, p in state.history.placed.items()}
    return (
        state.envelope_bytes(), state.content_bytes(), state.content, state.inputs, state.advice, state.cancels,
        state.holding, state.resumed_age_ms, sorted(state.invalid), state.history.heads, state.history.view, placed,
    )  # fmt: skip


def attempted_body(attempt: int, rights: tuple[tuple[str, int], ...] = (), **fields: object) -> b.AttemptedSealed:
    """Return what stands before a gated step; `fields` are others of the record."""
    body = b.AttemptedSealed(bytes([attempt]) * 16, "0/0/step:1", b"f" * 16, 2, "", "permit", 1, 0, rights)
    return msgspec.structs.replace(body, **fields)
