"""100,000 mutated entries: our `verify` and the second decoder agree, only declared errors come, memory is bounded."""

from __future__ import annotations

import random
import tracemalloc

from edge_runtime.base.errors import PeerError
from edge_runtime.base.units import MIB
from edge_runtime.objects.entries import verify
from edge_runtime.objects.fold import ObjectState
from tests.support import cbor_strict
from tests.support.cbor_strict import OURS
from tests.support.histories import MEMBER, created, entry_on, first_entry, key, learned, offered, signalled

MUTATIONS = 100_000
PEAK_BYTES_MAX = 32 * MIB
REASONS = {"oversize", "encoding", "cose", "version", "entry", "record", "signature"}


def samples() -> list[bytes]:
    one = key(1)
    state = ObjectState(first_entry(one, created(needs=("camera", "uplink"))), MEMBER)
    raws = [state.history.placed[state.object].entry.raw]
    for records in ([learned("0/0/a:1", {"x": [1, 2.5, "ä"]})], [signalled("go", b"\x00" * 40)], [offered(key(2), 1)]):
        entry = entry_on(state.history, one, *records)
        state.add(entry, MEMBER)
        raws.append(entry.raw)
    return raws


def mutate(raw: bytes, chance: random.Random) -> bytes:
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


def spelled(raw: bytes) -> tuple[bool, bool]:
    """Say by the second decoder whether the envelope, and the payload in it, are the one canonical spelling."""
    try:
        value = cbor_strict.decode(raw, OURS)
    except cbor_strict.Refused:
        return False, False
    if not (isinstance(value, list) and len(value) == 4 and isinstance(value[2], bytes)):
        return True, True
    try:
        cbor_strict.decode(value[2], OURS)
    except cbor_strict.Refused:
        return True, False
    return True, True


def test_a_hundred_thousand_mutated_entries_are_refused_with_one_clear_reason() -> None:
    """Behaviours: 12.1, 12.12, 4.9."""
    chance = random.Random(20261124)
    raws = samples()
    counts: dict[str, int] = {}
    tracemalloc.start()
    for number in range(MUTATIONS):
        raw = mutate(raws[number % len(raws)], chance)
        try:
            verify(raw)
            reason = "accepted"
            assert raw in raws
        except PeerError as error:
            reason = error.reason
            assert reason in REASONS
        outer, inner = spelled(raw)
        if not outer:
            assert reason == "encoding", (reason, raw.hex())
        elif not inner:
            assert reason in {"encoding", "cose"}, (reason, raw.hex())  # the envelope's shape is looked at first
        counts[reason] = counts.get(reason, 0) + 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(sorted(counts.items()), f"peak {peak // 1024} KiB")
    assert peak < PEAK_BYTES_MAX and set(counts) - {"accepted"} >= {"encoding", "signature"}
