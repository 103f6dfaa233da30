"""The spool's tables, each marked *source*, *derived* or *pacing*.

*Source* is what cannot be had again. *Derived* is rebuilt from source: losing it costs time at the next start and
changes no wake and no decision. *Pacing* is estimators: losing it costs speed only.

For flash: time-ordered row keys, entries clustered by (object, n), due times in a partial index; the one random key
is the object's id. Source: ours; measured in `docs/benchmarks.md`.
"""

from __future__ import annotations

from enum import Enum

from ..base.limits import OBJECT_ENTRIES_MAX


class Mark(Enum):
    """What losing a table costs."""

    SOURCE = "source"  # it cannot be had again
    DERIVED = "derived"  # time at the next start: no wake and no decision changes
    PACING = "pacing"  # speed: estimators begin anew, records say that their counts are lower bounds


ENTRY_BITS = 14  # of an entry's number in its row number
assert OBJECT_ENTRIES_MAX + 1_000 < 1 << ENTRY_BITS, "an object at its limit still ends"

# Every table of the spool; a test holds the list to the file.
MARKS: dict[str, Mark] = {
    **dict.fromkeys(
        ("meta", "objects", "entries", "grants", "fleets", "releases", "keyed_state", "set_facts", "adverts",
         "happened", "revocations", "tombstones",
         "quarantined", "invitations", "invited", "suspects"), Mark.SOURCE,
    ),
    **dict.fromkeys(("shelf", "wakes", "digests", "families", "usage"), Mark.DERIVED),
    **dict.fromkeys(("contacts", "polls", "pacing"), Mark.PACING),
}  # fmt: skip

# Pacing tables that came later, by themselves: an upgrade makes them, too.
POLLS = """CREATE TABLE IF NOT EXISTS polls (
    object INTEGER NOT NULL, probe TEXT NOT NULL, polls INTEGER NOT NULL, missed INTEGER NOT NULL,
    age_ms INTEGER NOT NULL, is_exact INTEGER NOT NULL, PRIMARY KEY (object, probe)
) WITHOUT ROWID;
"""
ESTIMATORS = """
CREATE TABLE IF NOT EXISTS pacing (
    kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)
);
"""

# What is left of objects that went, and signed ends of objects of which no more is here. `terminated` empty: it went
# without an end. `is_gone` 0: the object is here, and its end was told ahead of its history. `until_wall_ms` 0: for
# good. `row` is the object's, so that no other object gets its number.
TOMBSTONES = """CREATE TABLE tombstones (
    row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, root BLOB NOT NULL, holders BLOB NOT NULL, heads BLOB NOT NULL,
    name TEXT NOT NULL, ended INTEGER, terminated BLOB NOT NULL, why TEXT NOT NULL, is_gone INTEGER NOT NULL,
    went_ms INTEGER NOT NULL, until_wall_ms INTEGER NOT NULL
);
CREATE INDEX tombstones_until ON tombstones (until_wall_ms) WHERE until_wall_ms > 0;
CREATE INDEX tombstones_name ON tombstones (name) WHERE name != '';
"""
# Derived: who made it; until when it may not go, whatever the need; since when it is over, if it is.
SHELF_OVER = "CREATE INDEX shelf_over ON shelf (over_ms) WHERE over_ms IS NOT NULL;"
# Derived: bytes of entries carried for whom, of ended objects, of tombstones (`node.usage`).
USAGE = """CREATE TABLE usage (
    kind INTEGER NOT NULL, origin BLOB NOT NULL, objects INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (kind, origin)
) WITHOUT ROWID;
"""

# Objects whose stored bytes are damaged; `is_over`: mended under another row, but their page could not be cleared.
QUARANTINED = """CREATE TABLE quarantined (
    row INTEGER PRIMARY KEY, id BLOB NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, since_ms INTEGER NOT NULL,
    heads BLOB NOT NULL, is_over INTEGER NOT NULL
);
"""

# Clustered by (object, n) in the row number itself. As a primary key of two columns the rows stood in an index, where
# a search reads the whole of each entry that it compares with, overflow pages too; a damaged one then hurts others.
ENTRIES = f"""CREATE TABLE entries (
    at INTEGER PRIMARY KEY, id BLOB NOT NULL, raw BLOB NOT NULL,
    object INTEGER AS (at >> {ENTRY_BITS}) VIRTUAL, n INTEGER AS (at & {(1 << ENTRY_BITS) - 1}) VIRTUAL
);
"""
VIEW_OF_ENTRIES = """CREATE VIEW v_entries AS
    SELECT lower(hex(o.id)) AS object, e.n, lower(hex(e.id)) AS entry, length(e.raw) AS bytes
    FROM entries e JOIN objects o ON o.row = e.object;
"""
# A condition on `entries`: those of one object, whose row is the first parameter.
OF_ROW = f"at >= (?1 << {ENTRY_BITS}) AND at < ((?1 + 1) << {ENTRY_BITS})"

SCHEMA_VERSION = 6
# What brings a spool of an older version to the next one: version -> statements, in one transaction.
UPGRADES: dict[int, str] = {
    1: """
    ALTER TABLE releases ADD COLUMN verdict TEXT NOT NULL DEFAULT '';
    ALTER TABLE releases ADD COLUMN attempts_max INTEGER NOT NULL DEFAULT 0;
    """,
    2: f"""
    ALTER TABLE releases ADD COLUMN peer TEXT NOT NULL DEFAULT '';
    {POLLS} {ESTIMATORS}
    """,
    # The shelf is emptied, so that it is derived anew with its new columns.
    3: f"""
    ALTER TABLE shelf ADD COLUMN origin BLOB NOT NULL DEFAULT x'';
    ALTER TABLE shelf ADD COLUMN pin_ms INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE shelf ADD COLUMN over_ms INTEGER;
    DELETE FROM shelf;
    {SHELF_OVER} {TOMBSTONES} {USAGE}
    """,
    4: f"""
    {QUARANTINED} {ENTRIES.replace("TABLE entries", "TABLE fresh")}
    INSERT INTO fresh (at, id, raw) SELECT (object << {ENTRY_BITS}) | n, id, raw FROM entries ORDER BY object, n;
    DROP VIEW v_entries;
    DROP TABLE entries;
    ALTER TABLE fresh RENAME TO entries;
    {VIEW_OF_ENTRIES}
    """,
    5: """
    CREATE TABLE IF NOT EXISTS invitations (
        number INTEGER PRIMARY KEY, key BLOB NOT NULL, root BLOB NOT NULL, roles TEXT NOT NULL,
        uses_left INTEGER NOT NULL, ends_ms INTEGER NOT NULL, replaces BLOB NOT NULL
    );
    ALTER TABLE invitations ADD COLUMN made_ms INTEGER NOT NULL DEFAULT 0;
    """,
}

SOURCE = f"""
{TOMBSTONES}{QUARANTINED}CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE objects (
    row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, age_offset_ms INTEGER NOT NULL, age_is_exact INTEGER NOT NULL,
    came_ms INTEGER NOT NULL, parked TEXT NOT NULL DEFAULT ''
);
{ENTRIES}CREATE TABLE grants (id BLOB PRIMARY KEY, raw BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE fleets (root BLOB PRIMARY KEY, name TEXT NOT NULL, own_grant BLOB NOT NULL, n INTEGER NOT NULL);
CREATE TABLE releases (
    object INTEGER NOT NULL, path TEXT NOT NULL, attempt BLOB NOT NULL, try_number INTEGER NOT NULL,
    fingerprint BLOB NOT NULL, effect INTEGER NOT NULL, released_ms INTEGER NOT NULL,
    verdict TEXT NOT NULL DEFAULT '', attempts_max INTEGER NOT NULL DEFAULT 0,
    peer TEXT NOT NULL DEFAULT '', PRIMARY KEY (object, path)
) WITHOUT ROWID;
CREATE TABLE keyed_state (scope TEXT, name TEXT, value BLOB NOT NULL, PRIMARY KEY (scope, name)) WITHOUT ROWID;
CREATE TABLE set_facts (
    name TEXT PRIMARY KEY, value BLOB NOT NULL, set_ms INTEGER NOT NULL, origin TEXT NOT NULL,
    max_age_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE adverts (
    device BLOB PRIMARY KEY, counter INTEGER NOT NULL, raw BLOB NOT NULL, heard_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""

# What happened while an object waited for it, until its wait is over: edges, and since when a condition is steady. In a
# store made before this table it is made when the store is opened.
HAPPENED = """
CREATE TABLE IF NOT EXISTS happened (
    object INTEGER NOT NULL, path TEXT NOT NULL, what TEXT NOT NULL, life_ms INTEGER NOT NULL,
    PRIMARY KEY (object, path, what)
) WITHOUT ROWID;
"""

# Made when the store is opened, where there is none yet; `heard_ms` on the life clock.
REVOCATIONS = """
CREATE TABLE IF NOT EXISTS revocations (
    id BLOB PRIMARY KEY, raw BLOB NOT NULL, heard_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""

# Open invitations and whom they let in. The key is that of the pairing, not the code. Made when the store is opened.
INVITATIONS = """
CREATE TABLE IF NOT EXISTS invitations (
    number INTEGER PRIMARY KEY, key BLOB NOT NULL, root BLOB NOT NULL, roles TEXT NOT NULL, uses_left INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL, replaces BLOB NOT NULL, made_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS invited (
    number INTEGER NOT NULL, device BLOB NOT NULL, file BLOB NOT NULL, PRIMARY KEY (number, device)
) WITHOUT ROWID;
"""

# What others made and turn, in the order in which it goes for room: without it each event of a full spool would sort
# all of it. Rows of own objects are not in it, so a step of one writes no page more. Made when the store is opened.
SHELF_CARRIED = "CREATE INDEX IF NOT EXISTS shelf_carried ON shelf (class, deadline_ms) WHERE is_mine = 0;"

# Keys that have two writers, with the first proof against each. Made when the store is opened.
SUSPECTS = """
CREATE TABLE IF NOT EXISTS suspects (
    device BLOB PRIMARY KEY, object BLOB NOT NULL, one BLOB NOT NULL, other BLOB NOT NULL, life_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""

# `shelf` is one row an object: what `ls`, the alarm, the wake index and reconciliation need without its history.
DERIVED = f"""
CREATE TABLE shelf (
    object INTEGER PRIMARY KEY, status TEXT NOT NULL, intent TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL,
    holder BLOB NOT NULL, is_mine INTEGER NOT NULL, ended INTEGER, ended_ms INTEGER, due_ms INTEGER,
    class INTEGER NOT NULL, root BLOB NOT NULL, is_open INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,
    heads BLOB NOT NULL, entries INTEGER NOT NULL, bytes INTEGER NOT NULL, origin BLOB NOT NULL,
    pin_ms INTEGER NOT NULL, over_ms INTEGER
);
{SHELF_OVER}
{USAGE}CREATE INDEX shelf_due ON shelf (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX shelf_name ON shelf (name) WHERE name != '';
CREATE INDEX shelf_class ON shelf (class, object);
CREATE TABLE wakes (topic TEXT NOT NULL, object INTEGER NOT NULL, PRIMARY KEY (topic, object)) WITHOUT ROWID;
CREATE INDEX wakes_object ON wakes (object);
CREATE TABLE digests (root BLOB PRIMARY KEY, sum BLOB NOT NULL, objects INTEGER NOT NULL) WITHOUT ROWID;
"""
# Objects with a parent or with children, by their lineage. In a store made before this table there are none.
FAMILIES = """
CREATE TABLE IF NOT EXISTS families (
    lineage BLOB NOT NULL, object INTEGER NOT NULL, PRIMARY KEY (lineage, object)
) WITHOUT ROWID;
"""
DERIVED_TABLES = tuple(name for name, mark in MARKS.items() if mark is Mark.DERIVED)

PACING = f"""
CREATE TABLE contacts (
    n INTEGER PRIMARY KEY, device BLOB NOT NULL, link TEXT NOT NULL, address TEXT NOT NULL, start_ms INTEGER NOT NULL,
    start_wall_ms INTEGER NOT NULL, end_ms INTEGER, bytes_in INTEGER NOT NULL DEFAULT 0,
    bytes_out INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT ''
);
{POLLS}CREATE INDEX contacts_device ON contacts (device, n);
{ESTIMATORS}"""

# The documented views of `query`; hex ids, so that a person can read and type them.
VIEWS = f"""
CREATE VIEW v_objects AS
    SELECT lower(hex(o.id)) AS object, s.name, s.intent, s.status, s.reason, lower(hex(s.holder)) AS custodian,
        CASE s.ended WHEN 0 THEN 'completed' WHEN 1 THEN 'failed' WHEN 2 THEN 'cancelled' WHEN 3 THEN 'expired' END
        AS "end", s.class AS priority, s.entries, s.bytes, o.came_ms, o.parked
    FROM objects o JOIN shelf s ON s.object = o.row;
{VIEW_OF_ENTRIES}CREATE VIEW v_steps AS
    SELECT lower(hex(o.id)) AS object, r.path, lower(hex(r.attempt)) AS attempt, r.try_number, r.released_ms
    FROM releases r JOIN objects o ON o.row = r.object;
CREATE VIEW v_contacts AS
    SELECT lower(hex(device)) AS device, link, address, start_ms, end_ms, bytes_in, bytes_out, reason FROM contacts;
CREATE VIEW v_facts AS SELECT name, lower(hex(value)) AS value_cbor, set_ms, origin, max_age_ms FROM set_facts;
CREATE VIEW v_peers AS SELECT lower(hex(device)) AS device, counter, heard_ms FROM adverts;
"""
# In SQL the user writes the short names; `answers` maps them to these views.
QUERY_VIEWS = ("objects", "entries", "steps", "contacts", "facts", "peers")
