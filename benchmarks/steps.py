"""`steps`: workflows of three recorded steps a second, one at a time and 50 wide, with CPU and flushes each.

All systems stand ready side by side and take turns, round by round: what else the machine does hits them alike. A row
is the middle round. Flushes are counted in runs of their own, since the tracer slows what it counts.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Protocol

from msgspec.structs import replace

from .floor import FloorSteps
from .ours import Daemon, OurSteps
from .peers import PeerSteps, Worker, peers_python
from .processes import Unusable, folder
from .results import WIDE, WORKLOAD, Steps, StepsRow, middle_row, ratio

ROUNDS = 3
COUNTS = {1: 200, WIDE: 400}  # workflows a round: one to ten seconds each
COUNTS_SMALL = {1: 40, WIDE: 100}
PEERS = (("dbos", "default"), ("dbos (wal)", "wal"))


class System(Protocol):
    """What is measured."""

    system: str

    def measure(self, width: int, count: int) -> StepsRow:
        """Return the row of `count` workflows, `width` of them under way at once; flushes are not counted."""

    def count_flushes(self, width: int, count: int) -> float | None:
        """Return the flushes per workflow in a run that is not timed; None where they cannot be counted."""


def measure(is_small: bool) -> Steps:
    """Return the result, peers in the same call; with `is_small` one short round, and peers only where installed.

    Raises:
        Unusable: our own daemon does not start.
    """
    rounds, counts = (1, COUNTS_SMALL) if is_small else (ROUNDS, COUNTS)
    with folder() as place, ExitStack() as stack:
        daemon = stack.enter_context(Daemon(place / "state", "workflow:app"))
        systems: list[System] = [OurSteps(daemon), FloorSteps(place)]
        try:
            python = peers_python(may_install=not is_small)
            for name, mode in PEERS:
                (place / mode).mkdir()
                systems.append(PeerSteps(name, stack.enter_context(Worker(python, place / mode, mode))))
        except Unusable as error:
            print(f"skipped: {', '.join(name for name, _ in PEERS)}: {error}", file=sys.stderr)
            del systems[2:]
        rows = [row for width in (1, WIDE) for row in take_turns(systems, width, counts[width], rounds)]
    rows.sort(key=lambda row: [system.system for system in systems].index(row.system))
    return Steps(WORKLOAD, tuple(rows), ratio(rows, 1), ratio(rows, WIDE))


def take_turns(systems: list[System], width: int, count: int, rounds: int) -> list[StepsRow]:
    """Return a row for each system: the middle one of its rounds."""
    rows = [[system.measure(width, count) for system in systems] for _ in range(rounds)]
    found: list[StepsRow] = []
    for number, system in enumerate(systems):
        row = middle_row([round_rows[number] for round_rows in rows])
        flushes = system.count_flushes(width, max(width, count // 4))
        found.append(row if flushes is None else replace(row, flushes_each=round(flushes, 2)))
    return found
