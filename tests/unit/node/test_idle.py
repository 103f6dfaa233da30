"""What an idle device writes: nothing but its clock now and then, whatever sleeps and whatever its sensors repeat."""

from __future__ import annotations

from edge_runtime.node import events as e
from edge_runtime.testing import World
from tests.support.world_app import Doings, make_app

ROWS_PER_IDLE_HOUR_MAX = 12  # the clock, and a reading that is repeated so that it does not grow old


def test_an_idle_hour_writes_a_few_rows_however_many_sleep() -> None:
    """Behaviour: 18.5: a hundred sleepers and a sensor that says the same each minute, for six hours."""
    world = World("base", apps=[make_app(Doings())])
    base = world.device("base")
    for number in range(100):
        base.submit("ask" if number % 2 else "nap", {"seconds": 604_800}, name=f"n{number}")
    base.inbox.append(e.FactRead("battery", 80, "sensor"))
    world.run(minutes=5)
    connection = base.store.connection
    changes = connection.total_changes
    for _ in range(6 * 60):
        base.inbox.append(e.FactRead("battery", 80, "sensor"))
        world.run(minutes=1)
    assert connection.total_changes - changes <= 6 * ROWS_PER_IDLE_HOUR_MAX
