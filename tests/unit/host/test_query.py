"""`query`: what may be asked of a spool, and what is refused."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.query import _prepare, query_spool
from edge_runtime.node.schema import QUERY_VIEWS
from edge_runtime.node.store import Store

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "operating.md").read_text()
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


def test_the_page_names_every_view_with_its_columns_and_its_examples_run(spool: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    told = {name: re.findall(r"`(\w+)`", columns) for name, _, columns in rows if name in QUERY_VIEWS}
    assert list(told) == list(QUERY_VIEWS)
    with closing(sqlite3.connect(f"{spool.as_uri()}?mode=ro", uri=True)) as connection:
        _prepare(connection)
        for name in QUERY_VIEWS:
            columns = [column[0] for column in connection.execute(f"SELECT * FROM {name}").description]
            assert told[name] == columns, name
    examples = re.findall(r'^edge-runtime query "(.*?)"$', PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 5
    for sql in examples:
        assert isinstance(query_spool(spool, sql), list), sql


def test_a_facts_value_is_a_number_text_or_truth_of_sql(spool: Path) -> None:
    connection = sqlite3.connect(spool, isolation_level=None)
    for name, value in (("a", b"\x18\x2a"), ("b", b"\x62up"), ("c", b"\xff")):
        connection.execute("INSERT INTO set_facts VALUES (?, ?, 7, 'user', 1000)", (name, value))
    connection.close()
    found = {row["name"]: row["value"] for row in query_spool(spool, "SELECT name, value FROM facts")}
    assert found == {"door.open": 1, "a": 42, "b": "up", "c": None}
    rows = query_spool(spool, "SELECT name FROM facts WHERE typeof(value) = 'integer' AND value > 40")
    assert rows == [{"name": "a"}]


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
