"""Triggers as people write them."""

from __future__ import annotations

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.moment import Trust
from edge_runtime.objects.condition_text import parse
from edge_runtime.objects.trigger_text import parse_trigger
from edge_runtime.objects.triggers import (
    After,
    All,
    Any,
    At,
    Changed,
    Done,
    Not,
    OnEntry,
    OnEvent,
    OnPeer,
    OnSignal,
    Steady,
    Trigger,
    When,
    from_tree,
    to_tree,
)

ID = bytes(range(32))
UP = parse("link.ground == 'up'")


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("link.ground == 'up'", When(UP)),
        ("event(landed)", OnEvent("landed")),
        ("event('a b')", OnEvent("a b")),
        ("changed(battery.percent)", Changed("battery.percent")),
        ("signal(go) or peer(gpu.cuda)", Any((OnSignal("go"), OnPeer("gpu.cuda")))),
        ("entry(signalled)", OnEntry("signalled")),
        (f"done('{ID.hex()}')", Done(ID)),
        ("after(minutes(2))", After(120_007)),
        ("at('1970-01-01 00:00:05')", At(5_000, Trust.NTP)),
        ("at('1970-01-01T01:00:05+01:00', gps)", At(5_000, Trust.GPS)),
        ("steady(link.ground == 'up', seconds(5))", Steady(UP, 5_000)),
        ("event(a) and not (event(b) or x)", All((OnEvent("a"), Not(Any((OnEvent("b"), When(parse("x")))))))),
        ("a and b and event(c)", All((When(parse("a")), When(parse("b")), OnEvent("c")))),
    ],
)
def test_a_text_spells_one_trigger_that_travels(text: str, trigger: Trigger) -> None:
    """Behaviour: 4.4."""
    assert parse_trigger(text, 7) == trigger
    assert from_tree(to_tree(trigger)) == trigger


@pytest.mark.parametrize(
    "text",
    [
        "event()", "event(1)", "event(a, b)", "event(a) == 1", "done('ff')", "done(x)", "at('noon')", "at('2026-01-01', ok)",
        "after(5)", "steady(a)", "steady(event(a), seconds(5))", "event(a) if b else c", "event(a) + 1", "",
        "event('" + "x" * 200 + "')", "not " * 20 + "event(a)", "open('x')", "event(a) and import_(b)",
    ],
)  # fmt: skip
def test_anything_else_is_refused_where_it_is_written(text: str) -> None:
    """Behaviour: 4.9."""
    with pytest.raises(UsageError):
        parse_trigger(text)
