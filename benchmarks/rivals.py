"""How others pace what does not get through: timers, each task for itself, each with its own chance.

Defaults as their authors ship them:

| policy | first wait | then | at most | gives up | source |
|---|---|---|---|---|---|
| Temporal | 1 s | doubled | 100 s | never | docs.temporal.io, Retry Policies: cap 100 times the initial interval |
| Restate | 0.5 s | doubled | 60 s | paused after 70 attempts | `restate-server --dump-config`, 1.7.12 |
| stamina | 0.1 s | doubled, plus up to 1 s | 5 s | 10 attempts or 45 s | `stamina.retry`, 26.1.0 |
| WorkManager | 30 s | doubled | 5 h | never | Android, `BackoffPolicy.EXPONENTIAL`, `MAX_BACKOFF_MILLIS` |
| exponential, full jitter | up to 1 s | ceiling doubled | 60 s, 300 s, 3,600 s | never | Brooker 2015 |
| exponential with carrier | the same | the same | 60 s | never | no attempt while the link is down, one at once when it comes |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from .contacts import Link

# n-th failure in a row (1 for the first) -> wait in ms.
Waits: TypeAlias = Callable[[int, Random], float]

# Beyond so many failures in a row the waits are all of one kind, and of so many their sum is as good as normal.
STEADY = 40


@dataclass(frozen=True)
class Rival:
    """One policy.

    Attributes:
        attempts_max: it gives up after so many, None for never. trying_ms: or when it has tried for so long.
        reads_carrier: it makes no attempt while the link is down.
        steady_ms, spread_ms: mean and standard deviation of its waits after STEADY failures.
    """

    name: str
    waits: Waits
    attempts_max: int | None = None
    trying_ms: int | None = None
    reads_carrier: bool = False
    steady_ms: float = 0.0
    spread_ms: float = 0.0


def doubling(name: str, first_ms: float, most_ms: float, attempts_max: int | None = None) -> Rival:
    """Return one whose waits double."""
    return Rival(
        name, lambda n, _: min(most_ms, first_ms * 2.0 ** min(n - 1, STEADY)), attempts_max, steady_ms=most_ms
    )


def full_jitter(name: str, most_ms: float, reads_carrier: bool = False) -> Rival:
    """Return one whose waits are drawn evenly below a ceiling that doubles from one second."""
    return Rival(
        name, lambda n, chance: chance.random() * min(most_ms, 500.0 * 2.0 ** min(n, STEADY)),
        reads_carrier=reads_carrier, steady_ms=most_ms / 2, spread_ms=most_ms / 12**0.5,
    )  # fmt: skip


def stamina_waits(n: int, chance: Random) -> float:
    """Return stamina's waits."""
    return min(5_000.0, 100.0 * 2.0 ** min(n - 1, 60) + chance.random() * 1_000)


RIVALS = (
    doubling("temporal", 1_000, 100_000),
    doubling("restate", 500, 60_000, attempts_max=70),
    Rival("stamina", stamina_waits, attempts_max=10, trying_ms=45_000),
    doubling("workmanager", 30_000, 5 * 3_600_000),
    full_jitter("full jitter 60 s", 60_000),
    full_jitter("full jitter 300 s", 300_000),
    full_jitter("full jitter 3600 s", 3_600_000),
    full_jitter("full jitter 60 s, carrier", 60_000, reads_carrier=True),
)


def run(
    rival: Rival, link: Link, came_ms: int, took_ms: int, limit_ms: int, until_ms: int, chance: Random
) -> tuple[int, int | None]:
    """Return how many attempts one task wastes, and when it is done; None for never.

    Args:
        took_ms: of an attempt that gets through. limit_ms: of one that does not. until_ms: its end of life.
    """
    now_ms, failures = came_ms, 0
    while now_ms < until_ms:
        start_ms, end_ms = link.contact_from(now_ms)
        if rival.reads_carrier and now_ms < start_ms:
            now_ms = start_ms
            continue
        if start_ms <= now_ms and now_ms + took_ms <= end_ms:
            return failures, now_ms + took_ms
        # All attempts before the next contact fail: look it up once for all of them.
        limit_at_ms = min(start_ms if now_ms < start_ms else now_ms + 1, until_ms)
        while now_ms < limit_at_ms:
            if failures >= STEADY and rival.attempts_max is None and rival.steady_ms:
                skipped = int(0.9 * (limit_at_ms - now_ms) / (limit_ms + rival.steady_ms)) - STEADY
                if skipped > STEADY:
                    failures += skipped
                    spread_ms = rival.spread_ms * skipped**0.5
                    now_ms += round(skipped * (limit_ms + rival.steady_ms) + chance.gauss(0, 1) * spread_ms)
                    continue
            failures += 1
            now_ms += limit_ms
            if rival.attempts_max is not None and failures >= rival.attempts_max:
                return failures, None
            if rival.trying_ms is not None and now_ms - came_ms >= rival.trying_ms:
                return failures, None
            now_ms += round(rival.waits(failures, chance))
    return failures, None
