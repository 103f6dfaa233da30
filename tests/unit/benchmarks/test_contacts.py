"""Reading recorded contacts: any order, overlaps and size; what is wrong is named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.contacts import DAY_MS, NEVER_MS, BadTrace, Link, read_trace

HEAD = "t_start_s,t_end_s,node_a,node_b\n"


def write(folder: Path, text: str) -> Path:
    file = folder / "trace.csv"
    file.write_text(text)
    return file


def test_lines_in_any_order_and_direction_that_overlap_are_one_contact(tmp_path: Path) -> None:
    text = "150,200.5,b,a\n# a remark\n\n100,160,a,b\n200.5,210,a,b\n300,310,a,b\n120,130,b,a\n"
    trace = read_trace(write(tmp_path, HEAD + text), 0)
    assert [link.name for link in trace.links] == ["a-b"]
    assert trace.links[0].starts_ms == (0, 200_000), "time begins with the first contact"
    assert trace.links[0].ends_ms == (110_000, 210_000)
    assert (trace.contacts, trace.dropped) == (2, 0)
    assert read_trace(write(tmp_path, text), 0).links == trace.links, "the first line may be missing"


def test_contacts_shorter_than_the_bound_are_dropped_after_merging_unless_none_is_left(tmp_path: Path) -> None:
    text = HEAD + "0,6,a,b\n6,12,a,b\n50,51,a,b\n70,71,c,d\n"
    trace = read_trace(write(tmp_path, text), 10_000)
    assert [(link.name, link.ends_ms) for link in trace.links] == [("a-b", (12_000,))]
    assert (trace.contacts, trace.dropped) == (1, 2)
    assert read_trace(write(tmp_path, text), 60_000).contacts == 3
    assert trace.links[0].period_ms == 71_000, "the trace is as long as it was"


def test_a_file_with_the_first_line_alone_is_a_link_that_is_never_up(tmp_path: Path) -> None:
    link = read_trace(write(tmp_path, HEAD), 0).links[0]
    assert (link.period_ms, link.contact_from(5)) == (DAY_MS, (NEVER_MS, NEVER_MS))
    assert link.first_ms(0, 200) == NEVER_MS
    assert not link.carries(0, 1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no line in it"),
        ("# nothing\n", "no line in it"),
        (HEAD + "1,2,a\n", "line 2: 3 fields instead of 4"),
        (HEAD + "1,2,a,b\nx,2,a,b\n", "line 3: 'x' is no number of seconds"),
        (HEAD + "1,nan,a,b\n", "line 2: 'nan' is no time"),
        (HEAD + "1,1e300,a,b\n", "line 2: '1e300' is no time"),
        (HEAD + "5,2,a,b\n", "line 2: it ends at 2 before it starts at 5"),
        (HEAD + "1,2,a,\n", "line 2: a node has no name"),
        (HEAD + "1,2,a,a\n", "line 2: a link from 'a' to itself"),
        (HEAD + "1,2,a,b\n" + HEAD, "line 3: 't_start_s' is no number"),
        (HEAD + '1,2,"a,b\n', "line 2"),
        ("1;2;a;b\n", "line 1: 1 fields instead of 4"),
    ],
)
def test_a_line_that_is_not_right_is_named_with_an_example(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(BadTrace) as caught:
        read_trace(write(tmp_path, text), 0)
    assert named in str(caught.value)
    assert "trace.csv" in str(caught.value)
    assert "2395,2840.5,svalbard,METEOR-M2" in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_bytes(b"\xff\xfe1,2,a,b\n")
    with pytest.raises(BadTrace, match="not text"):
        read_trace(file, 0)


def test_a_trace_goes_round_and_what_takes_time_needs_a_contact_that_lasts() -> None:
    link = Link("a-b", (10, 50), (20, 100), 100)
    assert [link.contact_from(at) for at in (0, 10, 19, 20, 99, 100, 120)] == [
        (10, 20), (10, 20), (10, 20), (50, 100), (50, 100), (110, 120), (150, 200),
    ]  # fmt: skip
    assert [link.carries(at, 5) for at in (9, 10, 15, 16, 50, 96)] == [False, True, True, False, True, False]
    assert [link.first_ms(at, 5) for at in (0, 15, 16, 96)] == [10, 15, 50, 110]
    assert link.first_ms(0, 30) == 50


def test_tens_of_thousands_of_lines_over_thousands_of_links_are_read(tmp_path: Path) -> None:
    chance = random.Random(4)
    lines = [f"{at},{at + 60},n{chance.randrange(300)},m{chance.randrange(300)}\n" for at in range(12_000)]
    chance.shuffle(lines)
    trace = read_trace(write(tmp_path, "".join(lines)), 10_000)
    assert len(trace.links) > 9_000
    assert all(link.starts_ms for link in trace.links)
