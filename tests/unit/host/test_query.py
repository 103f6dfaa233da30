"""`query`: what may be asked of a spool, and what is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.query import query_spool
from edge_runtime.node.schema import QUERY_VIEWS
from edge_runtime.node.store import Store

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool with one fact in it, in a folder whose name needs quoting."""
    file = tmp_path / "a b?c#d%20" / "spool.db"
    file.parent.mkdir()
    connection = sqlite3.connect(file, isolation_level=None)
    Store.open(connection)
    connection.execute("INSERT INTO set_facts VALUES ('door.open', x'f5', 7, 'user', 1000)")
    connection.close()
    return file


def test_a_view_is_read_by_its_short_name(spool: Path) -> None:
    assert query_spool(spool, "SELECT name, set_ms FROM facts") == [{"name": "door.open", "set_ms": 7}]


@pytest.mark.parametrize("view", QUERY_VIEWS)
def test_every_documented_view_can_be_asked(spool: Path, view: str) -> None:
    assert isinstance(query_spool(spool, f"SELECT * FROM {view}"), list)


def test_bytes_come_as_hex(spool: Path) -> None:
    assert query_spool(spool, "SELECT x'00ff' AS found") == [{"found": "00ff"}]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM set_facts",
        "INSERT INTO meta VALUES ('name', 'x')",
        "DROP VIEW facts",
        "CREATE TEMP TABLE t (x)",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = DELETE",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "BEGIN IMMEDIATE",
        "SELECT 1; DELETE FROM set_facts",
        "SELECT * FROM nothing",
        "not SQL",
    ],
)
def test_what_is_not_one_select_is_refused_and_changes_nothing(spool: Path, sql: str, tmp_path: Path) -> None:
    before = spool.read_bytes()
    with pytest.raises(UsageError, match="Write one SELECT over objects"):
        query_spool(spool, sql)
    assert spool.read_bytes() == before
    assert not list(tmp_path.rglob("*opy.db")) + list(tmp_path.rglob("other.db"))


def test_an_endless_query_is_ended(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_runtime.host.query.QUERY_MS_MAX", 50)
    with pytest.raises(UsageError, match="interrupted"):
        query_spool(spool, ENDLESS + "count(*) FROM n")


def test_rows_are_bounded_in_number_and_in_bytes(spool: Path) -> None:
    assert len(query_spool(spool, ENDLESS + "i FROM n")) == 10_000
    with pytest.raises(UsageError, match="add LIMIT"):
        query_spool(spool, ENDLESS + "hex(zeroblob(400000)) FROM n")
    with pytest.raises(UsageError, match="too big"):
        query_spool(spool, "SELECT zeroblob(2000000)")
