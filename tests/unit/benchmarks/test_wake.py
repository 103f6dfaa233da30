"""The benchmark of waking: a store that the node takes for its own, and what is looked at counted on it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.wake import FACTS, WATCHERS, Sleepers, app, make_store, measure_store
from edge_runtime.node import commands as c
from edge_runtime.node.events import FactRead
from edge_runtime.testing import World


TABLES = ("shelf", "wakes", "digests")


def test_a_made_store_opens_as_the_nodes_own_and_one_fact_looks_at_its_subscribers_only(tmp_path: Path) -> None:
    """Behaviour: 4.7, counted; `measure_store` raises if anything else was looked at."""
    make_store(tmp_path / "state", 50)
    found = measure_store(tmp_path / "state")
    assert 0 < found.evaluations <= WATCHERS and found.fact_us > 0 and found.due_us > 0


def test_a_sleeper_that_was_added_is_one_that_wakes_by_its_fact() -> None:
    world = World("one", apps=(app,))
    node = world.device("one").node
    with node.parts.store.transaction():
        sleepers = Sleepers(node)
        for number in (0, 1, FACTS + 1):
            sleepers.add(number)
    rows = world.device("one").ask(c.List())
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("dormant", f"until level.n{number} >= 40") for number in (1, 1, 0)
    ]
    kept = [node.parts.store.run(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES]
    with node.parts.store.transaction():
        node.rebuild()
    assert [node.parts.store.run(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES] == kept
    before = node.parts.agenda.looks
    world.device("one").inbox.append(FactRead("level.n1", 50, "file"))
    world.run()
    assert node.parts.agenda.looks - before == 2
    assert world.device("one").show(rows[1]["object"])["end"] == "completed"
