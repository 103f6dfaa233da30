"""Objects as the page lists them, read from the spool on a read-only connection. For worker threads, never the node's.

The node is not asked: a look over 100,000 objects must not stand between it and its work. The rows have the fields of
`ls`. Source: ours; the tables are those of `node.schema`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ...base.errors import Exit, UsageError
from ...base.limits import WEB_ROWS_MAX
from ...node.answers import STATUSES
from ...objects.bodies import End
from ..clock import boot_ms, read_boot_id

Row = dict[str, Any]
DUE_SHOWN = 12
COLUMNS = "o.id, s.name, s.intent, s.status, s.ended, s.reason, s.holder, s.entries, s.due_ms, s.object"


def read_shelf(file: Path, first: int) -> dict[str, Any]:
    """Return what the page shows of all objects at once.

    Args:
        first: how many rows of each status.

    Returns:
        `rows`: the newest of each status. `due`: those that are looked at next. `custody`: how many open objects each
        device holds in custody, by status.

    Raises:
        UsageError: the spool cannot be read now; ask again.
    """
    with closing(_connect(file)) as connection:
        try:
            offset_ms = _life_offset_ms(connection)
            newest = "WHERE s.status = ? ORDER BY s.object DESC"
            rows = [row for status in STATUSES for row in _rows(connection, offset_ms, newest, (status,), first)]
            soonest = "WHERE s.due_ms IS NOT NULL AND s.status = 'dormant' ORDER BY s.due_ms"
            due = _rows(connection, offset_ms, soonest, (), DUE_SHOWN)
            custody = connection.execute(
                "SELECT holder, status, count(*) FROM shelf WHERE ended IS NULL GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ?",
                (WEB_ROWS_MAX,),
            ).fetchall()
        except sqlite3.Error as error:
            raise _unreadable(error) from None
    counts: dict[str, Row] = {}
    for holder, status, count in custody:
        device = bytes(holder).hex()
        counts.setdefault(device, {"device": device})[str(status)] = int(count)
    return {"rows": rows, "due": due, "custody": counts}


def read_rows(file: Path, status: str, before: int | None, most: int) -> list[Row]:
    """Return rows of one status, newest first; `before` is the `n` of a row: older ones only.

    Raises:
        UsageError: there is no such status, or the spool cannot be read now.
    """
    if status not in STATUSES:
        raise UsageError(f"{status[:40]!r} is no status. Ask for one of {', '.join(STATUSES)}.")
    where = "WHERE s.status = ? AND s.object < ? ORDER BY s.object DESC"
    with closing(_connect(file)) as connection:
        try:
            values = (status, 2**62 if before is None else before)
            return _rows(connection, _life_offset_ms(connection), where, values, most)
        except sqlite3.Error as error:
            raise _unreadable(error) from None


def _connect(file: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.execute("PRAGMA query_only = 1")
    except sqlite3.Error as error:
        raise _unreadable(error) from None
    return connection


def _unreadable(error: sqlite3.Error) -> UsageError:
    return UsageError(f"The spool cannot be read now: {error}. Ask again.", Exit.FAILED)


def _life_offset_ms(connection: sqlite3.Connection) -> int | None:
    """Return what turns a time of the store into one of the boot clock; None where the store is of another boot."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'clock'").fetchone()
    words = str(row[0]).split() if row is not None else []
    if len(words) < 5 or words[4] != (read_boot_id() or "-"):
        return None
    return int(words[1]) - int(words[0])


def _rows(
    connection: sqlite3.Connection, offset_ms: int | None, where: str, values: tuple[Any, ...], most: int
) -> list[Row]:
    found = connection.execute(
        f"SELECT {COLUMNS} FROM shelf s JOIN objects o ON o.row = s.object {where} LIMIT ?",
        (*values, min(most, WEB_ROWS_MAX)),
    )
    return [
        {
            "object": bytes(row[0]).hex(), "name": row[1] or None, "intent": row[2], "status": row[3],
            "end": None if row[4] is None else End(row[4]).name.lower(), "reason": row[5] or None,
            "custodian": bytes(row[6]).hex(), "entries": row[7],
            "due_at": None if row[8] is None or offset_ms is None else max(boot_ms(), row[8] + offset_ms),
            "n": row[9],
        }
        for row in found
    ]  # fmt: skip
