"""`query`: read-only SQL over the documented views, on a connection that can do nothing else; time and size bounded."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from ..base.errors import PeerError, UsageError
from ..base.limits import QUERY_BYTES_MAX, QUERY_MS_MAX, QUERY_ROWS_MAX, QUERY_VALUE_BYTES_MAX
from ..node.schema import QUERY_VIEWS
from ..objects.codec import decode_value
from ..objects.grants import verify_advert

OPS_PER_CHECK = 10_000
# What a SELECT does. Not among them: PRAGMA, ATTACH (it could open any database that the daemon may read), writes.
ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)

# Views that say more than SQL alone can: what stands in the store as CBOR.
WIDER = {
    "facts": "SELECT name, plain_value(value_cbor) AS value, set_ms, origin, max_age_ms, value_cbor FROM main.v_facts",
    "peers": "SELECT p.device, name_in_advert(a.raw) AS name, p.counter, p.heard_ms "
             "FROM main.v_peers p JOIN main.adverts a ON lower(hex(a.device)) = p.device",
}  # fmt: skip


def query_spool(file: Path, sql: str) -> list[dict[str, Any]]:
    """Return the rows of one SELECT, at most QUERY_ROWS_MAX of them; bytes as hex. For a worker thread.

    Raises:
        UsageError: the text is not one SELECT over the views, or it took too long, or came to too much.
    """
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
            _prepare(connection)
            return _read(connection.execute(sql))
    except (sqlite3.Error, sqlite3.Warning) as error:
        views = ", ".join(QUERY_VIEWS)
        raise UsageError(f"This cannot be asked: {error}. Write one SELECT over {views}.") from None


def _prepare(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    # Short names for this connection only: temporary views live in memory, never in the spool.
    connection.create_function("plain_value", 1, _plain_value, deterministic=True)
    connection.create_function("name_in_advert", 1, _name_in_advert, deterministic=True)
    for name in QUERY_VIEWS:
        connection.execute(f"CREATE TEMP VIEW {name} AS {WIDER.get(name, f'SELECT * FROM main.v_{name}')}")
    connection.execute("PRAGMA query_only = 1")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, QUERY_VALUE_BYTES_MAX)
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY)
    until_s = time.monotonic() + QUERY_MS_MAX / 1000
    connection.set_progress_handler(lambda: time.monotonic() > until_s, OPS_PER_CHECK)


def _read(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    size = 0
    for row in cursor:
        found = {key: _plain(row[key]) for key in row.keys()}
        size += sum(len(value) if isinstance(value, str) else 8 for value in found.values())
        if size > QUERY_BYTES_MAX:
            raise UsageError(f"This comes to more than {QUERY_BYTES_MAX} bytes. Ask for fewer columns, or add LIMIT.")
        rows.append(found)
        if len(rows) == QUERY_ROWS_MAX:
            break
    return rows


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _plain_value(text: str) -> int | float | str | None:
    """Return a fact's value as SQL has it: numbers and texts as they are, true and false as 1 and 0."""
    try:
        value = decode_value(bytes.fromhex(text))
    except PeerError:
        return None
    return value if isinstance(value, (int, float, str)) else None


def _name_in_advert(raw: bytes) -> str | None:
    """Return the name that a device gives itself; its advert was checked when it came."""
    try:
        return verify_advert(raw).name
    except PeerError:
        return None
