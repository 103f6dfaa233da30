"""The spool's file: schemas, and what is done with one that is none."""

from __future__ import annotations

import sqlite3

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.node.schema import DERIVED_TABLES, SCHEMA_VERSION, UPGRADES
from edge_runtime.node.store import Store, StoreFailed


def connect(path: str = ":memory:") -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def test_a_newer_schema_is_refused_and_untouched(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = str(tmp_path / "spool.db")
    connection = connect(path)
    connection.execute("CREATE TABLE later (x)")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(UsageError):
        Store.open(connection)
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["later"]


def test_a_file_that_is_no_database_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "spool.db"
    path.write_bytes(b"this was a spool once" * 100)
    with pytest.raises(UsageError, match="cannot be opened"):
        Store.open(connect(str(path)))
    assert path.read_bytes() == b"this was a spool once" * 100


def test_a_spool_of_the_first_schema_is_brought_up_to_this_one_and_keeps_what_it_holds() -> None:
    """Behaviour: 18.6."""
    connection = connect()
    Store.open(connection).set_meta("name", "base")
    for column in ("verdict", "attempts_max", "peer"):
        connection.execute(f"ALTER TABLE releases DROP COLUMN {column}")
    connection.execute("DROP INDEX shelf_over")
    for column in ("origin", "pin_ms", "over_ms"):
        connection.execute(f"ALTER TABLE shelf DROP COLUMN {column}")
    connection.execute("ALTER TABLE invitations DROP COLUMN made_ms")
    for table in ("quarantined", "polls", "pacing", "tombstones", "usage"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("INSERT INTO releases VALUES (1, 'p', x'00', 2, x'01', 1, 5)")
    connection.execute("PRAGMA user_version = 1")
    store = Store.open(connection)
    assert store.run("SELECT * FROM releases").fetchall() == [(1, "p", b"\x00", 2, b"\x01", 1, 5, "", 0, "")]
    assert store.get_meta("name") == "base"
    assert store.run("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    fresh = Store.open(connect())
    columns = "SELECT name FROM pragma_table_info('releases') UNION ALL SELECT name FROM pragma_table_info('shelf')"
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    for query in (columns, tables):
        assert store.run(query).fetchall() == fresh.run(query).fetchall()


def test_every_older_schema_has_its_way_up() -> None:
    assert sorted(UPGRADES) == list(range(1, SCHEMA_VERSION))


def test_opening_twice_keeps_what_is_there() -> None:
    connection = connect()
    Store.open(connection).set_meta("name", "base")
    assert Store.open(connection).get_meta("name") == "base"


def test_what_raises_inside_a_transaction_is_rolled_back() -> None:
    store = Store.open(connect())
    with pytest.raises(ValueError), store.transaction():
        store.set_meta("name", "base")
        raise ValueError
    assert store.get_meta("name") is None and not store.connection.in_transaction


def test_a_database_that_cannot_be_written_is_a_failed_store(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "spool.db"
    Store.open(connect(str(path))).connection.close()
    store = Store(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None))
    with pytest.raises(StoreFailed), store.transaction():
        store.set_meta("name", "base")


def test_derived_tables_are_missing_when_they_do_not_cover_the_objects() -> None:
    store = Store.open(connect())
    assert not store.is_derived_missing()
    store.run("INSERT INTO objects VALUES (1, x'00', 0, 1, 0, '')")
    assert store.is_derived_missing()
    store.clear_derived()
    assert all(store.run(f"SELECT count(*) FROM {table}").fetchone()[0] == 0 for table in DERIVED_TABLES)
