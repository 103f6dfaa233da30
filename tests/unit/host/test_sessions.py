"""Which of two sessions with one peer stands."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edge_runtime.host.sessions import TWIN_MS, Session, wins


@pytest.mark.parametrize(
    ("apart_ms", "old_is_ours", "new_is_ours", "ours_is_lower", "new_wins"),
    [
        (0, True, False, True, False),  # twins: ours stands where we are the lower
        (0, True, False, False, True),
        (0, False, True, True, True),
        (0, False, True, False, False),
        (TWIN_MS, False, True, False, False),
        (TWIN_MS + 1, False, True, False, True),  # no twins: the newest, at once
        (TWIN_MS + 1, True, False, True, True),
        (0, True, True, True, True),  # dialled by the same side: it has lost the old one
        (0, False, False, False, True),
    ],
)
def test_of_two_sessions_both_sides_choose_the_same(
    apart_ms: int, old_is_ours: bool, new_is_ours: bool, ours_is_lower: bool, new_wins: bool
) -> None:
    low, high = b"\x00" * 32, b"\xff" * 32

    def decide(device: bytes, peer: bytes, is_mirrored: bool) -> bool:
        channel: Any = SimpleNamespace(peer=peer)
        old = Session(1, channel, 5_000, old_is_ours != is_mirrored, 0, "")
        new = Session(2, channel, 5_000 + apart_ms, new_is_ours != is_mirrored, 0, "")
        return wins(new, old, device)

    ours, theirs = (low, high) if ours_is_lower else (high, low)
    assert decide(ours, theirs, is_mirrored=False) is new_wins
    assert decide(theirs, ours, is_mirrored=True) is new_wins
