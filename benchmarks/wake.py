"""`wake`: what one change costs among very many sleepers: a fact with three subscribers, one due time; memory of each.

The real node over a real file store, in processes of its own. Its sleepers are written as real signed entries, one each,
straight through the spool, since a million submissions would take half an hour; then another process opens the store as
its own and measures. They wait for facts that are not read. Each reading of the watchers' fact ends the `until` of
three of them, which are replayed, recorded and ended in one commit.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from edge_runtime import App, Context
from edge_runtime.base.limits import LIFETIME_MS_DEFAULT
from edge_runtime.base.moment import Moment
from edge_runtime.base.units import HOUR_MS
from edge_runtime.host.clock import Clock
from edge_runtime.host.device import make_node
from edge_runtime.host.local import make_fleet
from edge_runtime.host.statedir import StateDir
from edge_runtime.judge.fact_names import BRIDGES
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.node.events import Asked, Event, FactRead, Restored, TimeCame
from edge_runtime.node.node import Node
from edge_runtime.node.spool import ShelfRow
from edge_runtime.node.turns import run_turn
from edge_runtime.objects import bodies as b
from edge_runtime.objects.codec import encode, encode_value
from edge_runtime.objects.condition_text import parse
from edge_runtime.objects.entries import Draft, seal
from edge_runtime.objects.grants import Role
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.records import Record, make
from edge_runtime.objects.triggers import When, to_tree

from .processes import ROOT, Unusable, folder, rss_mb
from .results import Wake, WakeRow

OBJECTS, OBJECTS_SMALL = (1_000, 10_000, 100_000, 1_000_000), (1_000, 5_000)
WATCHERS = 3
READINGS = 21  # the middle one counts
FACTS = 997  # names that sleepers wait for
BATCH = 5_000  # sleepers in one commit while they are made
CHILD_S = 3_600

app = App("wake")


@app.intent("sleeper")
async def sleeper(ctx: Context, condition: str) -> None:
    """Wait for a fact that nobody reads."""
    await ctx.until(condition)


@app.intent("watcher")
async def watcher(ctx: Context, number: int) -> None:
    """Wait for the reading of that number."""
    await ctx.until(f"door.reading >= {number}")


@app.intent("napper")
async def napper(ctx: Context, hours: int) -> None:
    """Sleep until a time that comes."""
    await asyncio.sleep(hours * HOUR_MS / 1_000)


class Ahead(Clock):
    """The machine's clocks, and how far the benchmark has set them on."""

    ahead_ms = 0

    def read(self) -> Moment:
        """Return the clocks as they stand then."""
        now = super().read()
        return replace(now, boot_ms=now.boot_ms + self.ahead_ms, wall_ms=now.wall_ms + self.ahead_ms)


class Figures(msgspec.Struct):
    """What one process measured."""

    fact_us: float
    due_us: float
    evaluations: int
    rss_mb: float


def measure(is_small: bool) -> Wake:
    """Return a row for each number of sleepers.

    Raises:
        Unusable: a child failed.
    """
    with folder() as place:
        nobody = _measured(place / "0", 0)
        rows = [_row(place / str(count), count, nobody) for count in (OBJECTS_SMALL if is_small else OBJECTS)]
    return Wake(tuple(rows))


def _row(place: Path, count: int, nobody: Figures) -> WakeRow:
    found = _measured(place, count)
    each = max(0.0, found.rss_mb - nobody.rss_mb) * 1024 * 1024 / count
    return WakeRow(count, found.fact_us, found.due_us, found.evaluations, round(each, 1))


def _measured(place: Path, count: int) -> Figures:
    _run_child("make", place, count)
    return msgspec.json.decode(_run_child("measure", place, count), type=Figures)


def _run_child(part: str, place: Path, count: int) -> bytes:
    argv = [sys.executable, "-m", "benchmarks.wake", part, str(place), str(count)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, cwd=ROOT, timeout=CHILD_S)
    if done.returncode:
        raise Unusable(f"exit {done.returncode}: {' '.join(argv)}")
    return done.stdout.strip().rpartition(b"\n")[2]


# --- In a child ---------------------------------------------------------------------------------------------------


def make_store(place: Path, count: int) -> None:
    """Make a store with so many sleepers, three watchers for each reading, and nappers due one after the other."""
    clock = Ahead()
    state = StateDir.open(place)
    node = make_node(state, (app,), Policy.default(), clock, "wake")
    submissions = [c.Submit("watcher", number) for number in range(1, READINGS + 1) for _ in range(WATCHERS)]
    submissions += [c.Submit("napper", hours) for hours in range(1, READINGS + 1)]
    events: list[Event] = [make_fleet(state, 0, "wake"), Restored()]
    events += [Asked(number, command) for number, command in enumerate(submissions)]
    while events:
        _, handled = run_turn(node, events, clock.read)
        del events[:handled]
    sleepers = Sleepers(node)
    for begin in range(0, count, BATCH):
        with node.parts.store.transaction():
            for number in range(begin, min(begin + BATCH, count)):
                sleepers.add(number)
                node.parts.spool.shrink()
    node.parts.store.connection.close()
    state.close()


class Sleepers:
    """Stores sleepers as the node would have; what those with one condition have in common is made once.

    The first entry of each says what it is and that it sleeps.
    """

    def __init__(self, node: Node) -> None:
        self._parts = node.parts
        self._shelving = node.shelving
        self._records: dict[str, tuple[Record, ...]] = {}
        self._rows: dict[str, ShelfRow] = {}

    def add(self, number: int) -> None:
        """Store one, inside a transaction."""
        parts = self._parts
        condition = f"level.n{number % FACTS} >= 40"
        records = self._records.get(condition) or self._records.setdefault(condition, self._records_of(condition))
        _, _, grant = parts.members.current_fleet()
        moment = parts.timeline.moment
        draft = Draft(
            None, (), grant, parts.settings.boot, parts.members.take_sequence(), 0, 0, moment.wall_ms, moment.trust, 0,
            True, records,
        )  # fmt: skip
        live = parts.spool.create(seal(parts.members.key, draft), (Role.EXECUTOR, Role.OPERATOR), 0, True)
        row = self._rows.get(condition)
        if row is not None:
            parts.spool.put_away(live, row)
            return
        self._shelving.put_away(live)
        assert live.shelved is not None
        _, status, _, _, reason, _, _, _, _, due_ms, *_ = live.shelved.row
        self._rows[condition] = ShelfRow(status, reason, due_ms, live.shelved.topics)

    def _records_of(self, condition: str) -> tuple[Record, ...]:
        parts = self._parts
        root, _, _ = parts.members.current_fleet()
        wall_ms, trust = parts.timeline.moment.wall_ms, int(parts.timeline.moment.trust)
        created = make(
            Kind.CREATED,
            b.CreatedClear(2, LIFETIME_MS_DEFAULT, (), (), (), 0, (), (), (root,), wall_ms, trust),
            b.CreatedSealed("sleeper", encode_value(condition), "", b"", "", 0, 0, ()),
        )
        tree = encode(to_tree(When(parse(condition))))
        dormant = make(Kind.DORMANT, b.DormantClear(LIFETIME_MS_DEFAULT), b.DormantSealed(tree, f"until {condition}"))
        return created, dormant


def measure_store(place: Path) -> Figures:
    """Open a store as its own device and measure on it."""
    clock = Ahead()
    state = StateDir.open(place)
    node = make_node(state, (app,), Policy.default(), clock, "wake")
    run_turn(node, [Restored()], clock.read)
    looks = [_timed(node, clock, [FactRead("door.reading", at, BRIDGES[0])]) for at in range(1, READINGS + 1)]
    dues = []
    for hours in range(1, READINGS + 1):
        clock.ahead_ms = hours * HOUR_MS
        dues.append(_timed(node, clock, [TimeCame()]))
    if any(looked != WATCHERS for _, looked, _ in looks) or any(looked != 1 for _, looked, _ in dues):
        raise Unusable(f"not just the watchers and one napper were looked at: {looks} {dues}")
    return Figures(
        round(statistics.median(us for us, _, _ in looks), 1), round(statistics.median(us for us, _, _ in dues), 1),
        max(evaluated for _, _, evaluated in looks), rss_mb(os.getpid()),
    )


def _timed(node: Node, clock: Clock, events: Sequence[Event]) -> tuple[float, int, int]:
    """Return how long a turn took in µs with its commit, the objects looked at, and the leaves of triggers evaluated."""
    agenda = node.parts.agenda
    looked, evaluated, began = agenda.looks, agenda.evaluations, time.perf_counter()
    run_turn(node, events, clock.read)
    took_us = (time.perf_counter() - began) * 1_000_000
    return took_us, agenda.looks - looked, agenda.evaluations - evaluated


if __name__ == "__main__":
    part, place, count = sys.argv[1:]
    if part == "make":
        make_store(Path(place), int(count))
    else:
        print(msgspec.json.encode(measure_store(Path(place))).decode())
