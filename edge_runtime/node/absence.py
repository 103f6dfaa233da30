"""Time that passed while the power was off: found out later, added once, or said to be missing.

At a start with another boot the life clock goes on where it stood. If the wall clock was trusted before the power went
and is trusted now, the gap is known and the clock begins after it. If it is not trusted yet (a board without a
real-time clock starts before its network), the gap is kept open: as soon as the wall clock is trusted, everything from
before it moves that much into the past. Several gaps in a row are closed together: what came between them keeps a
lower bound. Where the clock was never trusted ages stay lower bounds.

Why the past moves and not the clock: what this process remembers (facts, contacts, due times) would become older
than it is. Source: ours, behaviours 16.3 and 16.6.
"""

from __future__ import annotations

from msgspec import Struct

from ..base.limits import INTEGER_MAX
from .parts import Parts
from .renewals import GRANT_META, POLICY_META
from .spool import BOUND, EXACT, OPEN
from .store import Store
from .timeline import IN_STEP, Anchor, Timeline

GAP_META = "gap"

# (table, columns of life times, which must all move together, the column that says when the row began)
_LIFE_TIMES = (
    ("set_facts", ("set_ms",), "set_ms"),
    ("adverts", ("heard_ms",), "heard_ms"),
    ("revocations", ("heard_ms",), "heard_ms"),
    ("happened", ("life_ms",), "life_ms"),
    ("tombstones", ("went_ms",), "went_ms"),
    ("quarantined", ("since_ms",), "since_ms"),
    ("contacts", ("start_ms", "end_ms"), "start_ms"),
    ("invitations", ("ends_ms", "made_ms"), "made_ms"),
)


class Gap(Struct, frozen=True):
    """Power-offs of unknown length since the wall clock was trusted: the first and the last, in life ms."""

    first_ms: int
    last_ms: int
    anchor: Anchor

    @classmethod
    def read(cls, store: Store) -> Gap | None:
        """Return the open gap, if there is one."""
        words = [int(word) for word in str(store.get_meta(GAP_META, "")).split()]
        return cls(words[0], words[1], Anchor(words[2], words[3])) if words else None

    def write(self, store: Store) -> None:
        """Write it into the open transaction."""
        store.set_meta(GAP_META, f"{self.first_ms} {self.last_ms} {self.anchor.life_ms} {self.anchor.wall_ms}")


def note_absence(store: Store, timeline: Timeline) -> None:
    """At the start of a process, inside its transaction: say of which objects the age is a lower bound from now on."""
    if timeline.gap_is_unknown:
        saved = timeline.saved
        if saved.anchor is None or timeline.moment.trust >= IN_STEP <= saved.trust:
            _give_up(store)  # nobody will ever say, or both ends did and cannot both be right
        else:
            had = Gap.read(store)
            Gap(saved.life_ms if had is None else had.first_ms, saved.life_ms, saved.anchor).write(store)
            store.run("UPDATE objects SET age_is_exact = ? WHERE age_is_exact = ?", (OPEN, EXACT))
    if timeline.is_new_boot:
        timeline.save()


def settle_absence(parts: Parts) -> bool:
    """Close the open gap once the wall clock is trusted; say whether stored times moved: memory must be read anew."""
    gap = Gap.read(parts.store)
    moment = parts.timeline.moment
    if gap is None or moment.trust < IN_STEP:
        return False
    passed_ms = gap.anchor.gap_ms(parts.timeline.life_ms, moment.wall_ms)
    if passed_ms is None:
        _give_up(parts.store)
    else:
        _move_past(parts.store, gap.first_ms, passed_ms)
        parts.store.set_meta(GAP_META, "")
    return True


def _give_up(store: Store) -> None:
    store.run("UPDATE objects SET age_is_exact = ? WHERE age_is_exact != ?", (BOUND, BOUND))
    if store.get_meta(GAP_META):
        store.set_meta(GAP_META, "")


def _move_past(store: Store, until_ms: int, by_ms: int) -> None:
    """Everything that is older than a life time happened that much earlier. Cost: one pass over these tables."""
    store.run(
        "UPDATE shelf SET due_ms = due_ms - ?1, ended_ms = ended_ms - ?1, deadline_ms = deadline_ms - ?1, "
        "over_ms = over_ms - ?1, pin_ms = CASE WHEN pin_ms IN (0, ?3) THEN pin_ms ELSE pin_ms - ?1 END "
        "WHERE object IN (SELECT row FROM objects WHERE came_ms <= ?2)", (by_ms, until_ms, INTEGER_MAX)
    )  # fmt: skip
    store.run(
        "UPDATE objects SET age_offset_ms = min(age_offset_ms, ?5 - ?1) + ?1, came_ms = came_ms - ?1, "
        "age_is_exact = CASE age_is_exact WHEN ?3 THEN ?4 ELSE age_is_exact END WHERE came_ms <= ?2",
        (by_ms, until_ms, OPEN, EXACT, INTEGER_MAX),  # beyond it SQLite would make a float of it
    )
    store.run("UPDATE objects SET age_is_exact = ? WHERE age_is_exact = ?", (BOUND, OPEN))
    for table, columns, begun in _LIFE_TIMES:
        moved = ", ".join(f"{column} = {column} - ?1" for column in columns)
        store.run(f"UPDATE {table} SET {moved} WHERE {begun} <= ?2", (by_ms, until_ms))
    for name in (POLICY_META, GRANT_META):
        at_ms = store.get_meta(name)
        if at_ms is not None and at_ms <= until_ms:
            store.set_meta(name, at_ms - by_ms)
