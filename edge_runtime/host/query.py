"""`query`: read-only SQL over the documented views, on a connection that cannot write, bounded in time and rows."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from ..base.errors import UsageError
from ..base.limits import QUERY_MS_MAX, QUERY_ROWS_MAX
from ..node.schema import QUERY_VIEWS

OPS_PER_CHECK = 10_000


def query_spool(file: Path, sql: str) -> list[dict[str, Any]]:
    """Return the rows of one SELECT.

    Raises:
        UsageError: the text is not one SELECT over the views, or it took too long.
    """
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA query_only = 1")
        # Short names for this connection only: temporary views live in memory, never in the spool.
        connection.execute("PRAGMA query_only = 0")
        for name in QUERY_VIEWS:
            connection.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM main.v_{name}")
        connection.execute("PRAGMA query_only = 1")
        until = time.monotonic() + QUERY_MS_MAX / 1000
        connection.set_progress_handler(lambda: time.monotonic() > until, OPS_PER_CHECK)
        rows = connection.execute(sql).fetchmany(QUERY_ROWS_MAX)
        return [{key: _plain(row[key]) for key in row.keys()} for row in rows]
    except (sqlite3.Error, sqlite3.Warning) as error:
        views = ", ".join(QUERY_VIEWS)
        raise UsageError(f"This cannot be asked: {error}. Write one SELECT over {views}.") from None
    finally:
        connection.close()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
