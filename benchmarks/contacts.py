"""Recorded contacts: who could reach whom, when. One line a contact, `t_start_s,t_end_s,node_a,node_b`.

The link is up in [t_start, t_end), both ways. Lines may stand in any order and overlap; a first line of the four names
and lines that begin with `#` are skipped. Times are any finite seconds; the first contact of the file is time 0 here.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HEAD = ["t_start_s", "t_end_s", "node_a", "node_b"]
EXAMPLE = "A line looks like this: 2395,2840.5,svalbard,METEOR-M2"
NEVER_MS = 1 << 62
DAY_MS = 86_400_000


class BadTrace(ValueError):
    """A file that is no contact trace: names file and line, and shows what is right."""


@dataclass(frozen=True)
class Link:
    """One link and when it is up, over and over: after the trace's end it begins again.

    Attributes:
        starts_ms, ends_ms: of its contacts, ascending, apart from one another.
        period_ms: the length of the whole trace.
    """

    name: str
    starts_ms: tuple[int, ...]
    ends_ms: tuple[int, ...]
    period_ms: int

    def contact_from(self, now_ms: int) -> tuple[int, int]:
        """Return the contact that is up now, else the next one; NEVER_MS twice for a link without any."""
        if not self.starts_ms:
            return NEVER_MS, NEVER_MS
        cycle, local_ms = divmod(now_ms, self.period_ms)
        at = bisect_right(self.ends_ms, local_ms)
        if at == len(self.ends_ms):
            cycle, at = cycle + 1, 0
        return cycle * self.period_ms + self.starts_ms[at], cycle * self.period_ms + self.ends_ms[at]

    def carries(self, now_ms: int, took_ms: int) -> bool:
        """Say whether what starts now and takes so long gets through."""
        start_ms, end_ms = self.contact_from(now_ms)
        return start_ms <= now_ms and now_ms + took_ms <= end_ms

    def first_ms(self, now_ms: int, took_ms: int) -> int:
        """Return when, from now on, something that takes so long can first start: what an oracle does."""
        start_ms, end_ms = self.contact_from(now_ms)
        while max(start_ms, now_ms) + took_ms > end_ms and start_ms < NEVER_MS:
            start_ms, end_ms = self.contact_from(end_ms)
        return max(start_ms, now_ms)


@dataclass(frozen=True)
class Trace:
    """All links of one file. `contacts` stay after merging; `dropped` were shorter than the bound."""

    name: str
    links: tuple[Link, ...]
    contacts: int
    dropped: int


def read_trace(path: Path, shortest_ms: int) -> Trace:
    """Return the contacts of a file by link, merged where they overlap or touch.

    Args:
        shortest_ms: shorter contacts are dropped, unless none would be left. They are artefacts of logging more often
            than contacts (see the note on UPB in docs/benchmarks.md).

    A file with the first line alone is one link that is never up.

    Raises:
        BadTrace: the file is empty, or a line is not right.
        OSError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            spans, had_head = _read_spans(path, file)
    except UnicodeDecodeError as error:
        raise BadTrace(f"{path}: not text in UTF-8 ({error.reason}). {EXAMPLE}") from None
    if not spans and not had_head:
        raise BadTrace(f"{path}: no line in it. {EXAMPLE}")
    if not spans:
        return Trace(path.name, (Link("none", (), (), DAY_MS),), 0, 0)
    begin_ms = min(start for items in spans.values() for start, _ in items)
    end_ms = max(end for items in spans.values() for _, end in items)
    merged = {name: _merged(items, begin_ms) for name, items in sorted(spans.items())}
    kept = {name: [item for item in items if item[1] - item[0] >= shortest_ms] for name, items in merged.items()}
    if not any(kept.values()):
        kept = merged
    links = tuple(
        Link(name, tuple(start for start, _ in items), tuple(end for _, end in items), end_ms - begin_ms)
        for name, items in kept.items() if items
    )  # fmt: skip
    contacts = sum(len(link.starts_ms) for link in links)
    return Trace(path.name, links, contacts, sum(map(len, merged.values())) - contacts)


def _read_spans(path: Path, lines: Iterable[str]) -> tuple[dict[str, list[tuple[int, int]]], bool]:
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    had_head = False
    reader = csv.reader(lines)
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise BadTrace(f"{path}, line {reader.line_num}: {error}. {EXAMPLE}") from None
        if fields is None:
            return spans, had_head
        fields = [field.strip() for field in fields]
        if not any(fields) or fields[0].startswith("#"):
            continue
        if fields == HEAD and not spans and not had_head:
            had_head = True
            continue
        trouble, span = _span_of(fields)
        if trouble:
            raise BadTrace(f"{path}, line {reader.line_num}: {trouble}. {EXAMPLE}")
        if span[1] > span[0]:
            spans["-".join(sorted(fields[2:]))].append(span)


def _span_of(fields: list[str]) -> tuple[str, tuple[int, int]]:
    """Return what is wrong with a line (empty for nothing), and its contact in ms."""
    if len(fields) != len(HEAD):
        return f"{len(fields)} fields instead of {len(HEAD)}", (0, 0)
    times: list[float] = []
    for text in fields[:2]:
        try:
            value = float(text)
        except ValueError:
            return f"{text[:40]!r} is no number of seconds", (0, 0)
        if not math.isfinite(value) or abs(value) > 1e12:
            return f"{text[:40]!r} is no time", (0, 0)
        times.append(value)
    if times[1] < times[0]:
        return f"it ends at {fields[1]} before it starts at {fields[0]}", (0, 0)
    if not fields[2] or not fields[3]:
        return "a node has no name", (0, 0)
    if fields[2] == fields[3]:
        return f"a link from {fields[2][:40]!r} to itself", (0, 0)
    return "", (round(times[0] * 1_000), round(times[1] * 1_000))


def _merged(spans: list[tuple[int, int]], begin_ms: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start_ms, end_ms in sorted(spans):
        start_ms, end_ms = start_ms - begin_ms, end_ms - begin_ms
        if found and start_ms <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_ms))
        else:
            found.append((start_ms, end_ms))
    return found
