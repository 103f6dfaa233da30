"""`backoff`: what waiting for a link costs and how late it makes, on recorded contacts; our judge beside others' timers.

The model, the same for all:

- *Tasks* come in bursts of BURST at once (the results of one survey), at moments drawn evenly from a link's time, from
  the trace's beginning to the link's last contact. Links are drawn evenly, LINKS_MAX at most. After its end the trace
  begins again, so that who misses the last contact is late rather than lost. Nobody's task lives longer than LIVES times
  the trace; who gives up earlier does so by a rule of its own.
- *An attempt* gets through if the link is up for all of TOOK_MS. Else it is *wasted*: it holds its task for the
  connection limit, 3 s for us (`docs/architecture.md`), 10 s for the rest (OkHttp's; gRPC waits 20 s, Linux 127 s).
- *Energy* is seconds of radio per task: the limit for each wasted attempt, TOOK_MS for the one that gets through.
- *Late* is the time from when an oracle would be done to when the task is, 0 if it is earlier, over the tasks that are
  done. The oracle takes the first contact with room for the whole burst, one after the other.
- *Completed* is the share of the tasks that are done at all. (The oracle completes all but those of a link never up.)

Ours runs once for each thing that the device may be able to read (`device.SIGNALS`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from .contacts import DAY_MS, NEVER_MS, Link, Trace, read_trace
from .device import SIGNALS, Device, Signals, Task
from .results import ORACLE, OURS, Backoff, BackoffRow
from .rivals import RIVALS, Rival, run

BURST = 10
TOOK_MS = 200
OUR_LIMIT_MS, THEIR_LIMIT_MS = 3_000, 10_000
LINKS_MAX = 40
LIVES = 20
SHORTEST_S = 10.0
# So much waiting is replayed, in all: a minute of work. With less waiting there are more bursts.
WAITING_MS, WAITING_MS_SMALL = 50_000_000_000, 4_000_000_000
BURSTS, BURSTS_SMALL = (30, 400), (16, 150)


class Burst(NamedTuple):
    """Tasks that come to one link at once, and when an oracle is done with them."""

    link: Link
    came_ms: int
    ideal_ms: int


class Told(NamedTuple):
    """What came of one task."""

    wasted: int
    late_ms: int | None


def measure(
    path: Path, is_small: bool, seed: int = 1, bursts: int | None = None, shortest_s: float = SHORTEST_S,
    burst: int = BURST, their_limit_ms: int = THEIR_LIMIT_MS,
) -> Backoff:  # fmt: skip
    """Return the rows of one trace: the oracle, ours by signal, then the rest. Progress goes to stderr.

    Args:
        bursts: how many; None for as many as about a minute allows. shortest_s: see `contacts.read_trace`.
        burst: tasks in each. their_limit_ms: the connection limit of the rest.

    Raises:
        BadTrace: the file is not right. OSError: it cannot be read.
    """
    trace = read_trace(path, round(shortest_s * 1_000))
    found = sample(trace, Random(seed), is_small, bursts, burst)
    _say(
        f"{trace.name}: {len(trace.links)} links, {trace.contacts} contacts ({trace.dropped} shorter than "
        f"{shortest_s:g} s left out); sampled {len(found)} bursts of {burst} tasks, seed {seed}"
    )
    count = len(found) * burst
    ideal = [Told(0, 0 if item.ideal_ms < NEVER_MS else None) for item in found] * burst
    rows = [_row(ORACLE, "all", ideal, 0)]
    for signals in SIGNALS:
        with _told(OURS, signals.name):
            rows.append(_row(OURS, signals.name, replay(found, signals, burst, seed), OUR_LIMIT_MS))
    for rival in RIVALS:
        signal = "link" if rival.reads_carrier else "none"
        with _told(rival.name, signal):
            told = _run_all(rival, found, burst, seed, their_limit_ms)
            rows.append(_row(rival.name, signal, told, their_limit_ms))
    return Backoff(trace.name, len(trace.links), trace.contacts, len(found), count, seed, tuple(rows))


def sample(
    trace: Trace, chance: Random, is_small: bool, bursts: int | None, burst: int = BURST
) -> list[Burst]:
    """Return bursts in the order in which they come, by link."""
    links = trace.links if len(trace.links) <= LINKS_MAX else chance.sample(trace.links, LINKS_MAX)
    least, most = BURSTS_SMALL if is_small else BURSTS
    drawn = [_draw(links, chance, burst) for _ in range(most if bursts is None else bursts)]
    if bursts is None:
        waits = [item.ideal_ms - item.came_ms for item in drawn if item.ideal_ms < NEVER_MS]
        mean_ms = sum(waits) // len(waits) if waits else DAY_MS
        budget_ms = WAITING_MS_SMALL if is_small else WAITING_MS
        del drawn[max(least, min(most, budget_ms // (burst * max(1, mean_ms)))) :]
    return sorted(drawn, key=lambda item: (item.link.name, item.came_ms))


def _draw(links: Sequence[Link], chance: Random, burst: int) -> Burst:
    link = chance.choice(links)
    came_ms = chance.randrange(link.ends_ms[-1] if link.ends_ms else link.period_ms)
    longest_ms = max((end - start for start, end in zip(link.starts_ms, link.ends_ms, strict=True)), default=TOOK_MS)
    return Burst(link, came_ms, link.first_ms(came_ms, min(burst * TOOK_MS, longest_ms)) + TOOK_MS)


def replay(bursts: Sequence[Burst], signals: Signals, burst: int, seed: int) -> list[Told]:
    """Return what came of all tasks on our device, each link with a prober of its own."""
    told: list[Told] = []
    for link in dict.fromkeys(item.link for item in bursts):
        here = [item for item in bursts if item.link is link]
        pairs = [
            (Task(f"{link.name} {number} {each}".encode(), item.came_ms), item)
            for number, item in enumerate(here) for each in range(burst)
        ]  # fmt: skip
        chance = Random(f"{seed} {signals.name} {link.name}")
        Device(link, signals, TOOK_MS, OUR_LIMIT_MS, chance).run([task for task, _ in pairs], _end_of(link))
        told += [Told(task.wasted, _late(task.done_ms, item)) for task, item in pairs]
    return told


def _run_all(rival: Rival, bursts: Sequence[Burst], burst: int, seed: int, limit_ms: int) -> list[Told]:
    chance = Random(f"{seed} {rival.name}")
    told: list[Told] = []
    for item in bursts:
        for _ in range(burst):
            wasted, done_ms = run(rival, item.link, item.came_ms, TOOK_MS, limit_ms, _end_of(item.link), chance)
            told.append(Told(wasted, _late(done_ms, item)))
    return told


def _end_of(link: Link) -> int:
    return LIVES * link.period_ms if link.starts_ms else DAY_MS


def _late(done_ms: int | None, item: Burst) -> int | None:
    return None if done_ms is None else max(0, done_ms - item.ideal_ms)


@contextmanager
def _told(policy: str, signal: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    _say(f"{policy} ({signal}): {time.perf_counter() - began:.1f} s")


def _row(policy: str, signal: str, told: Sequence[Told], limit_ms: int) -> BackoffRow:
    late_ms = sorted(item.late_ms for item in told if item.late_ms is not None)
    wasted, done = sum(item.wasted for item in told), len(late_ms)
    energy_ms = wasted * limit_ms + done * TOOK_MS
    return BackoffRow(
        policy=policy, signal=signal, wasted_per_task=round(wasted / len(told), 4),
        late_mean_s=round(sum(late_ms) / done / 1_000, 3) if done else None,
        late_p95_s=_rank(late_ms, 95), energy=round(energy_ms / len(told) / 1_000, 3),
        completed=round(done / len(told), 4), late_median_s=_rank(late_ms, 50),
    )  # fmt: skip


def _rank(ordered: Sequence[int], percent: int) -> float | None:
    """Return the nearest rank in seconds."""
    return round(ordered[-(-len(ordered) * percent // 100) - 1] / 1_000, 3) if ordered else None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
