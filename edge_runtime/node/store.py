"""The spool: one SQLite connection, owned by the node thread, in a file on a device and in memory in tests.

`synchronous=FULL` and WAL: what `commit` returned from survives pulling the plug. All other connections are
read-only, since SQLite before 3.51.3 can corrupt a WAL database with two writers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..base.errors import EdgeError, Exit, UsageError
from .schema import (
    DERIVED, DERIVED_TABLES, ENTRY_BITS, FAMILIES, HAPPENED, INVITATIONS, OF_ROW, PACING, REVOCATIONS, SCHEMA_VERSION,
    SHELF_CARRIED, SOURCE, SUSPECTS, UPGRADES, VIEWS,
)  # fmt: skip


class StoreFailed(EdgeError):
    """The commit did not happen (disk full, read-only, I/O error): nothing may be said; custody is not taken.

    Args:
        code: SQLite's result code without its details (https://www.sqlite.org/rescode.html), 0 where there is none.
    """

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(reason)
        self.code = code

    @property
    def is_io(self) -> bool:
        """Whether the machine could not do what SQLite asked of it."""
        return self.code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


class SpoolDamaged(EdgeError):
    """Not even what every turn needs can be read: the process ends with this, for it knows nothing for sure."""


class Quarantined(EdgeError):
    """An object's stored bytes are not what was stored; it is set aside, the spool serves the rest."""

    def __init__(self, object_row: int, reason: str) -> None:
        super().__init__(reason)
        self.object_row = object_row
        self.reason = reason


class Store:
    """A thin, typed hand on the connection: statements are cached by `sqlite3`; nothing here decides anything."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.run = connection.execute
        self._meta: dict[str, Any] = {}  # what `meta` holds; dropped with whatever is rolled back

    @classmethod
    def open(cls, connection: sqlite3.Connection) -> Store:
        """Set the pragmas and make or check the schema.

        Args:
            connection: opened with `isolation_level=None`; it belongs to this store from now on.

        Raises:
            UsageError: a newer schema, or a file that is no spool; the file is untouched.
        """
        try:
            version = read_version(connection)
            if version == 0:
                # A commit touches some ten pages with a few bytes each: small ones are a third of the bytes on a card.
                connection.execute("PRAGMA page_size = 1024")
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before WAL: after it, it stays off unsaid
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -2048", "temp_store = MEMORY",
                           "wal_autocheckpoint = 1000", "foreign_keys = OFF", "trusted_schema = OFF"):  # fmt: skip
                connection.execute(f"PRAGMA {pragma}")
            if version == 0:
                connection.executescript(
                    f"BEGIN; {SOURCE} {DERIVED} {PACING} {VIEWS} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )
            for older in range(version, SCHEMA_VERSION) if version else ():
                connection.executescript(f"BEGIN; {UPGRADES[older]} PRAGMA user_version = {older + 1}; COMMIT;")
            connection.execute(HAPPENED)
            connection.execute(FAMILIES)
            connection.execute(REVOCATIONS)
            connection.executescript(INVITATIONS)
            connection.execute(SUSPECTS)
            connection.execute(SHELF_CARRIED)
        except sqlite3.DatabaseError as error:
            if code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                hint = (
                    "The file was damaged: move spool.db aside and start again; objects that peers hold come back at "
                    "the next contact."
                )
            else:
                hint = "See that its disk has a few MiB of room and can be read and written, then start again."
            raise UsageError(f"The spool cannot be opened: {error}. {hint}", Exit.FAILED) from None
        return cls(connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed as one, or nothing is.

        Raises:
            StoreFailed: the commit, or a statement on the way, failed for reasons of the disk.
        """
        try:
            self.run("BEGIN IMMEDIATE")
            yield
            self.run("COMMIT")
        except sqlite3.DatabaseError as error:
            if not isinstance(error, sqlite3.OperationalError) and not is_damage(error):
                raise
            raise StoreFailed(describe(error), code_of(error)) from error
        finally:
            if self.connection.in_transaction:  # whatever went wrong: nothing of it stays
                self.run("ROLLBACK")
                self.forget_meta()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Whatever is written inside is rolled back: it never reaches the disk, where that may be read-only."""
        self.run("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                self.run("ROLLBACK")
            self.forget_meta()

    def entries_of(self, row: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (n, id, bytes) of an object's entries in the order in which they were stored.

        Raises:
            Quarantined: a page of them cannot be read.
        """
        n = -1
        try:
            for n, entry_id, raw in self.run(f"SELECT n, id, raw FROM entries WHERE {OF_ROW} ORDER BY at", (row,)):
                yield n, bytes(entry_id), bytes(raw)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            raise Quarantined(row, f"what follows entry {n} cannot be read: {error}") from None

    def put_entry(self, row: int, n: int, entry_id: bytes, raw: bytes) -> None:
        """Store an object's entry number n.

        Raises:
            Quarantined: the page on which it belongs, among others of the object, is damaged.
        """
        try:
            self.run("INSERT INTO entries (at, id, raw) VALUES (?, ?, ?)", (row << ENTRY_BITS | n, entry_id, raw))
        except sqlite3.DatabaseError as error:
            if not is_damage(error) or n == 0:
                raise
            raise Quarantined(row, f"entry {n} cannot be stored: {error}") from None

    def get_meta(self, name: str, default: Any = None) -> Any:
        """Return a value of `meta` (int, text or bytes), from memory after the first time."""
        if name not in self._meta:
            found = self.run("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
            self._meta[name] = None if found is None else found[0]
        found = self._meta[name]
        return default if found is None else found

    def set_meta(self, name: str, value: Any) -> None:
        """Set a value of `meta`."""
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        self._meta[name] = value

    def forget_meta(self) -> None:
        """Read `meta` anew from now on: after a rollback, also of a savepoint."""
        self._meta.clear()

    def is_derived_missing(self) -> bool:
        """Say whether the derived tables do not cover the objects: they are rebuilt before the first turn then.

        Cost: four steps into an index, however many objects there are. The derived rows are written in the transactions
        of their objects, so what can be missing is all of them: emptied by an upgrade or by hand.
        """
        ends = "(SELECT min({0}) FROM {1}), (SELECT max({0}) FROM {1})"
        found = self.run(f"SELECT {ends.format('row', 'objects')}, {ends.format('object', 'shelf')}").fetchone()
        left = "SELECT EXISTS (SELECT 1 FROM tombstones WHERE is_gone = 1), EXISTS (SELECT 1 FROM usage)"
        return bool(found[:2] != found[2:]) or self.run(left).fetchone() == (1, 0)

    def clear_derived(self) -> None:
        """Empty every derived table."""
        for table in DERIVED_TABLES:
            self.run(f"DELETE FROM {table}")


def read_version(connection: sqlite3.Connection) -> int:
    """Return the schema's version, 0 for an empty file; from a read-only connection too.

    Raises:
        UsageError: it is newer than this program's.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"The spool has schema {version}, this version knows {SCHEMA_VERSION}. "
            "Install the newer edge-runtime again; the file was not changed.",
            Exit.FAILED,
        )
    return version


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error, 0 where it has none (errors of the module itself)."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


# https://www.sqlite.org/rescode.html: a page that cannot be read, or that is none.
_UNREADABLE = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)


def is_damage(error: BaseException | None) -> bool:
    """Say whether stored bytes are damaged, in distinction to a disk that takes none, and to a mistake of ours."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    is_bad = code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return is_bad or getattr(error, "sqlite_errorcode", 0) in _UNREADABLE


def describe(error: sqlite3.DatabaseError) -> str:
    """Return what is wrong, for people, and what they can do about damage that is not one object's."""
    if code_of(error) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return str(error)
    return f"{error}: pages that all objects need are damaged; stop the device, move spool.db aside, start again"
