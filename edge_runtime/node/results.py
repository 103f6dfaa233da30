"""Results that a bridge or the outbox is to tell: labelled objects that ended, kept in the store until they are told.

An object is listed in the turn that ends it, or that brings its end from a peer, and struck when the other side has
the result: told at least once, whatever dies in between. Without either nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.limits import RESULTS_AT_ONCE_MAX
from .effects import ResultWaits, Teller
from .parts import Parts
from .spool import Live

# Rows stay when they are told: entries that come after an end must not tell it again.
TABLE = """
CREATE TABLE IF NOT EXISTS {0} (object INTEGER PRIMARY KEY, is_told INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS {0}_waiting ON {0} (object) WHERE is_told = 0;
"""


class Results:
    """The lists of results to be told, one for each `Teller`. `show` says all about an object."""

    def __init__(self, parts: Parts, show: Callable[[Live], dict[str, Any]]) -> None:
        self.parts = parts
        self._show = show
        self._labels: dict[Teller, str] = {}

    def watch(self, label: str, to: Teller = Teller.BRIDGE) -> None:
        """List ends of objects with this label from now on; empty: none."""
        self._labels[to] = label
        for statement in TABLE.format(to.value).split(";") if label else ():
            self.parts.store.run(statement)

    def note_ends(self) -> None:
        """List what ended in this event."""
        for to, label in self._labels.items():
            for live, _ in self.parts.appended if label else ():
                if live.state.content.finish is not None and label in live.state.content.labels:
                    self.parts.store.run(f"INSERT OR IGNORE INTO {to.value} (object) VALUES (?)", (live.row,))
                    self.parts.effects.append(ResultWaits(to))

    def hand_out(self, to: Teller = Teller.BRIDGE) -> None:
        """Tell the host, after the commit, of the next objects, the oldest first, at most RESULTS_AT_ONCE_MAX."""
        found = self.parts.store.run(
            f"SELECT object FROM {to.value} WHERE is_told = 0 ORDER BY object LIMIT ?", (RESULTS_AT_ONCE_MAX,)
        ).fetchall()
        rows = []
        for (row,) in found:
            live = self.parts.spool.find_row(row)
            if live is None:
                self.parts.store.run(f"UPDATE {to.value} SET is_told = 1 WHERE object = ?", (row,))
            else:
                rows.append(self._show(live))
        self.parts.effects.append(ResultWaits(to, tuple(rows)))

    def strike(self, object_id: bytes, to: Teller = Teller.BRIDGE) -> None:
        """The other side has this one."""
        self.parts.store.run(
            f"UPDATE {to.value} SET is_told = 1 WHERE object = (SELECT row FROM objects WHERE id = ?)", (object_id,)
        )
