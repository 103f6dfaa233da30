"""100,000 damaged and forged entries: `verify` and the format page agree on each, in bounded memory and time.

The page is written down here a second time: another decoder, another check of signatures, plain predicates. A forged
entry is damaged in its fields and signed anew, so that only the rule itself can refuse it.
"""

from __future__ import annotations

import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from edge_runtime.base.errors import PeerError
from edge_runtime.base.units import MIB
from edge_runtime.objects.capsule import FORMAT_NAME, Header, read_capsule, write_capsule
from edge_runtime.objects.cose import ENTRY_AAD, sign1
from edge_runtime.objects.entries import Entry, reopen, verify
from edge_runtime.objects.fold import ObjectState
from edge_runtime.objects.grants import (
    Advert,
    MembershipFile,
    Role,
    issue_grant,
    sign_advert,
    verify_advert,
    verify_grant,
)
from edge_runtime.objects.records import read_sealed
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS
from tests.support.histories import (
    MEMBER,
    ROOT,
    accepted,
    claimed,
    created,
    dormant,
    entry_on,
    executed,
    fold,
    holding,
    key,
    learned,
    malformed,
    offered,
    random_history,
    signalled,
    terminated,
)
from tests.support.histories import first_entry as begin

MUTATIONS = 100_000
MEMORY_BYTES_MORE_MAX = 64 * MIB
SECONDS_MAX = 60
ONE = key(1)


# --- The page, plainly --------------------------------------------------------------------------------------------


def number(low: int = 0, high: int = 2**63 - 1) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def text(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and low <= len(value) <= high


def many(one: Callable[[Any], bool], low: int = 0) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and low <= len(value) <= 64 and all(one(item) for item in value)


def is_hash(value: Any) -> bool:
    return type(value) is bytes and len(value) == 32


def is_amount(value: Any) -> bool:
    return type(value) is list and len(value) == 2 and text(1, 128)(value[0]) and number()(value[1])


# The clear fields of each kind that has any; kinds with an empty clear part, and those that are wholly clear.
CLEAR: dict[int, list[Callable[[Any], bool]]] = {
    7: [number(0, 2)],
    64: [
        number(0, 15), number(1, 3_650 * 24 * 3_600_000), many(is_hash), many(is_hash), many(text(1, 128)), number(),
        many(is_hash), many(is_hash), many(is_hash, 1), number(), number(0, 4),
    ],
    73: [number()],
    76: [is_hash, number(), number(), text(0, 1024), many(text(1, 128)), many(is_amount)],
    77: [is_hash, number()],
    78: [number(), text(0, 1024)],
    81: [number(0, 3)],
    **{kind: [] for kind in (1, 2, 3, 4, 5, 65, 66, 67, 68, 69, 70, 71, 72, 74, 75, 80)},
}  # fmt: skip
WHOLLY_CLEAR = (7, 76, 77, 78)


def refusal(raw: bytes) -> str:
    """Return the reason for which the page refuses these bytes, or nothing; the order of checks is the page's."""
    if len(raw) > 65_536:
        return "oversize"
    try:
        message = cbor_strict.decode(raw, OURS)
        match message:
            case [b"\xa1\x01\x27", dict() as headers, bytes() as payload, bytes() as signature] if (
                not headers and len(signature) == 64
            ):
                pass
            case _:
                return "cose"
        fields = cbor_strict.decode(payload, OURS)
        return _refusal_of_fields(fields) or _refusal_of_signature(fields[3], payload, signature)
    except cbor_strict.Refused:
        return "encoding"


def _refusal_of_fields(fields: Any) -> str:
    if type(fields) is not list or not fields or type(fields[0]) is not int:
        return "entry"
    if fields[0] != 1:
        return "version"
    if len(fields) != 11 or type(fields[9]) is not list or len(fields[9]) != 4 or type(fields[10]) is not list:
        return "entry"
    _, object_id, parents, author, grant, boot, sequence, height, epoch, (wall_ms, trust, age_ms, exact), records = (
        fields
    )
    numbers = (sequence, height, epoch, wall_ms, trust, age_ms, exact)
    if not all(type(value) is int for value in numbers) or trust > 4 or exact > 1:
        return "entry"
    if not (is_hash(author) and is_hash(grant) and type(boot) is bytes and len(boot) == 8):
        return "entry"
    if type(parents) is not list or len(parents) > 16 or not all(is_hash(parent) for parent in parents):
        return "entry"
    if parents != sorted(parents) or any(parents.count(parent) > 1 for parent in parents):
        return "entry"
    if parents and not (is_hash(object_id) and height > 0):
        return "entry"
    if not parents and (object_id is not None or height or epoch):
        return "entry"
    if not 1 <= len(records) <= 64:
        return "entry"
    return next((reason for reason in map(_refusal_of_record, records) if reason), "") or _refusal_of_mix(
        records, parents
    )


def _refusal_of_record(record: Any) -> str:
    match record:
        case [int() as kind, bytes() as clear, sealed] if type(kind) is int and (
            sealed is None or type(sealed) is bytes
        ):
            pass
        case _:
            return "record"
    if not 1 <= kind <= 1023 or (kind in WHOLLY_CLEAR and sealed is not None):
        return "record"
    value = cbor_strict.decode(clear, OURS)
    shape = CLEAR.get(kind)
    if shape is None:
        return ""
    fits = type(value) is list and len(value) == len(shape)
    return "" if fits and all(check(item) for check, item in zip(shape, value, strict=True)) else "record"


def _refusal_of_mix(records: list[Any], parents: list[Any]) -> str:
    kinds = [record[0] for record in records]
    if any(kind < 64 for kind in kinds) and any(kind >= 64 for kind in kinds):
        return "entry"
    first = [index for index, kind in enumerate(kinds) if kind == 64]
    return "" if first == ([] if parents else [0]) else "entry"


def _refusal_of_signature(author: bytes, payload: bytes, signature: bytes) -> str:
    signed = cbor_strict.encode(["Signature1", b"\xa1\x01\x27", b"edge-runtime/1", payload], OURS)
    try:
        VerifyKey(author).verify(signed, signature)
    except BadSignatureError:
        return "signature"
    return ""


# --- Damage and forgery -------------------------------------------------------------------------------------------


def samples() -> list[Entry]:
    state = ObjectState(begin(ONE, created(needs=("camera", "uplink"), holders=(ONE.public,))), MEMBER)
    entries = [state.history.placed[state.object].entry]
    for records in (
        [learned("0/0/a:1", {"x": [1, 2.5, "ä"]}), executed("0/0/s:1"), dormant()],
        [signalled("go", b"\x00" * 40)],
        [holding(0)],
        [malformed()],
        [offered(key(2), 1)],
        [accepted(b"o" * 32, 1)],
        [claimed(1), terminated()],
    ):
        entries.append(entry_on(state.history, ONE, *records, parents=[state.object]))
    return entries


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one to three changes: flips, cuts, doubled parts, heads that ask for much."""
    data = bytearray(raw)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([data[at] ^ (1 << chance.randrange(8))]) if data else b""
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(1, 33)]
            case 3:
                data[at:at] = bytes([chance.choice((0x5B, 0x7B, 0x9B, 0xBB))]) + chance.randbytes(8)
            case 4:
                data[at:at] = chance.choice((b"\xc2\x41\x01", b"\xd8\x1c\x80", b"\x9f\xff", b"\xf9\x7e\x00", b"\xf7"))
            case _:
                data[at : at + 4] = chance.randbytes(4)
    return bytes(data)


JUNK: tuple[Any, ...] = (
    None, True, 0, 1, 4, 5, 2**31, 2**63 - 1, b"", b"x", b"h" * 31, b"h" * 32, b"h" * 33, b"b" * 8, "", "text", [], [0],
    [b"h" * 32], [[]], {}, {"a": 1}, {1: 1},
)  # fmt: skip


def junk(chance: random.Random) -> Any:
    return deepcopy(chance.choice(JUNK))


def forged(entry: Entry, chance: random.Random) -> bytes:
    """Return the entry with one to three fields changed and signed anew; in a few the payload is damaged as well."""
    fields = cbor_strict.decode(cbor_strict.decode(entry.raw, OURS)[2], OURS)
    for _ in range(chance.randrange(1, 4)):
        match chance.randrange(7):
            case 0:
                fields[chance.randrange(len(fields))] = junk(chance)
            case 1 if type(fields[9]) is list and fields[9]:
                fields[9][chance.randrange(len(fields[9]))] = junk(chance)
            case 2:
                count = chance.randrange(18)
                fields[2] = chance.choice((sorted, list))([chance.randbytes(32) for _ in range(count)])
            case 3 if type(fields[10]) is list and fields[10]:
                records = fields[10]
                records.insert(chance.randrange(len(records) + 1), deepcopy(chance.choice(records)))
                if chance.random() < 0.1:
                    fields[10] = records * 40
            case 4:
                fields.insert(chance.randrange(len(fields) + 1), junk(chance))
            case _ if type(fields[10]) is list and fields[10] and type(fields[10][0]) is list and fields[10][0]:
                _forge_record(chance.choice(fields[10]), chance)
        if len(fields) < 11:
            break
        fields = fields if chance.random() < 0.95 else fields[:10]
        if len(fields) < 11:
            break
    payload = cbor_strict.encode(fields, OURS)
    return sign1(ONE, ENTRY_AAD, damaged(payload, chance) if chance.random() < 0.1 else payload)


def _forge_record(record: Any, chance: random.Random) -> None:
    if type(record) is not list or len(record) < 3:
        return
    match chance.randrange(5):
        case 0:
            record[0] = chance.choice((chance.randrange(1_100), 1, 7, 63, 64, 67, 76, 77, 78, 81, 1023, 1024))
        case 1 if type(record[1]) is bytes:
            record[1] = damaged(record[1], chance)
        case 2 if type(record[1]) is bytes and record[1]:
            try:
                clear = cbor_strict.decode(record[1], OURS)
            except cbor_strict.Refused:
                return
            if type(clear) is list and clear:
                clear[chance.randrange(len(clear))] = junk(chance)
            record[1] = cbor_strict.encode(clear, OURS)
        case 3:
            record[2] = chance.choice((None, b"", b"\x00", b"\x00\x80", b"\x01x", chance.randbytes(20), "text", 0))
        case _:
            record.append(None)


@contextmanager
def memory_bounded(more_bytes: int) -> Iterator[None]:
    """Let this process take so much more address space and no more: what asks for it meets MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_the_bound_on_memory_binds() -> None:
    """Without it the test below would say nothing about memory."""
    with memory_bounded(MEMORY_BYTES_MORE_MAX), pytest.raises(MemoryError):
        bytearray(2 * MEMORY_BYTES_MORE_MAX)


def test_a_hundred_thousand_damaged_and_forged_entries_get_the_verdict_of_the_page() -> None:
    """Behaviours: 12.1, 12.12, 4.9."""
    chance = random.Random(20261124)
    originals = samples()
    base = originals[0]
    counts: Counter[str] = Counter()
    voids: Counter[str] = Counter()
    began_s = time.monotonic()
    with memory_bounded(MEMORY_BYTES_MORE_MAX):
        for turn in range(MUTATIONS):
            original = originals[turn % len(originals)]
            is_forged = turn % 2 == 0
            raw = forged(original, chance) if is_forged else damaged(original.raw, chance)
            try:
                entry = verify(raw)
                reason = ""
            except PeerError as error:
                reason = error.reason
                assert len(str(error)) < 300
            assert reason == refusal(raw), (reason, refusal(raw), raw.hex())
            counts[f"{'forged' if is_forged else 'damaged'}: {reason or 'accepted'}"] += 1
            if not reason:
                assert is_forged or raw == original.raw
                voids[_live_with(entry, base)] += 1
    seconds = time.monotonic() - began_s
    print(*sorted(counts.items()), *sorted(voids.items()), f"{seconds:.1f} s", sep="\n")
    assert counts.keys() >= {
        "damaged: encoding", "damaged: cose", "damaged: signature", "forged: accepted", "forged: encoding",
        "forged: entry", "forged: record", "forged: signature", "forged: version",
    }  # fmt: skip
    assert counts["forged: accepted"] > 5_000 and voids[""] > 1_000 and len(voids) > 5
    assert seconds < SECONDS_MAX


def _live_with(entry: Entry, base: Entry) -> str:
    """Do with an accepted entry what a device does: keep it, fold it, read it; nothing of it may break anything."""
    assert reopen(entry.raw) == entry and verify(entry.raw).id == entry.id
    for record in entry.records:
        try:
            read_sealed(record)
        except PeerError:
            pass  # void, for those who can read it
    if entry.is_first:
        state = ObjectState(entry, MEMBER)
        void = state.history.placed[entry.id].void
    elif entry.object == base.id and entry.parents == (base.id,):
        state = ObjectState(base, MEMBER)
        void = state.add(entry, MEMBER).void
    else:
        return "another place"
    assert state.envelope_bytes() and state.content_bytes()
    return void.split(":")[0]


# --- What else is read from outside -------------------------------------------------------------------------------


def _capsule() -> bytes:
    entries = random_history(5, 4)
    header = Header(FORMAT_NAME, entries[0].id, len(entries), 0, True, 0, 0)
    return write_capsule(header, [b"grant"], [entry.raw for entry in entries])


GRANT = issue_grant(ROOT, ONE.public, (Role.EXECUTOR,), 5)


@pytest.mark.parametrize(
    ("take", "data", "count", "refused_min"),
    [
        (verify_grant, GRANT.raw, 20_000, 19_900),
        (verify_advert, sign_advert(ONE, Advert(ONE.public, 1, "n", ("c",), (), (("i", 1),), b"g")), 20_000, 19_900),
        (MembershipFile.from_bytes, MembershipFile("fleet", ROOT.public, (GRANT.raw,)).to_bytes(), 20_000, 5_000),
        (read_capsule, _capsule(), 5_000, 4_700),
    ],
    ids=["grants", "adverts", "membership files", "capsules"],
)
def test_damage_to_anything_signed_or_filed_is_answered_with_a_peer_error(
    take: Callable[[bytes], object], data: bytes, count: int, refused_min: int
) -> None:
    """What is signed stands or falls whole; a membership file's parts are checked where they are used."""
    chance = random.Random(7)
    refused = 0
    with memory_bounded(MEMORY_BYTES_MORE_MAX):
        for _ in range(count):
            try:
                take(damaged(data, chance))
            except PeerError as error:
                refused += 1
                assert len(str(error)) < 300
    assert refused >= refused_min


def test_a_history_of_lies_folds() -> None:
    """Whatever well-signed nonsense members write over one another, a state comes of it on every device."""
    chance = random.Random(11)
    for seed in range(20):
        entries = random_history(seed, 12)
        state = fold(entries)
        for _ in range(40):
            raw = forged(chance.choice(entries), chance)
            try:
                entry = verify(raw)
            except PeerError:
                continue
            if entry.object == state.object and not entry.is_first and entry.id not in state.history:
                if not state.history.missing(entry):
                    state.add(entry, MEMBER)
        assert state.envelope_bytes() and state.content_bytes()
