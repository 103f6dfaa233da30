"""Which board a card is in, and what another one means."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge_runtime.base.limits import SEQUENCE_JUMP
from edge_runtime.host.board import is_other, note_board, read_board
from edge_runtime.node.membership import QUARANTINE
from edge_runtime.node.store import Store


@pytest.fixture
def store() -> Store:
    return Store.open(sqlite3.connect(":memory:", isolation_level=None))


def start(store: Store, board: str, peers: int = 0) -> str:
    """Start once in a board; return the quarantine that it begins with."""
    with store.transaction():
        for number in range(1 + peers):
            store.run("INSERT OR REPLACE INTO adverts VALUES (?, 1, x'', 0)", (bytes([number]) * 32,))
        note_board(store, board)
    return str(store.get_meta(QUARANTINE, ""))


def test_names_are_read_as_far_as_they_can_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"10000000abcd\0")
    (tmp_path / "b").write_text("12-34\n")
    assert read_board((tmp_path / "a", tmp_path / "none", tmp_path / "b")) == "10000000abcd - 12-34"


def test_only_what_both_starts_could_read_tells_boards_apart() -> None:
    assert not is_other("m s -", "m s u") and not is_other("m s u", "m - u") and not is_other("- - -", "m s u")
    assert is_other("m s -", "m t -")


def test_a_card_in_another_board_is_quarantined_once_a_peer_was_known(store: Store) -> None:
    """Behaviour: 12.5."""
    assert start(store, "m s -", peers=1) == "" == start(store, "m s -", peers=1)
    assert "another board" in start(store, "m t -", peers=1)
    with store.transaction():
        store.set_meta(QUARANTINE, "")
    assert start(store, "m t -", peers=1) == "", "the board is its own now"


def test_a_device_that_never_knew_another_goes_on_with_numbers_far_above(store: Store) -> None:
    """Behaviour: 12.5: there is nobody to ask."""
    start(store, "m s -")
    assert start(store, "m t -") == "" and int(store.get_meta("sequence_end")) >= SEQUENCE_JUMP
