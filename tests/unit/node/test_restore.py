"""A process that died while steps ran: the next one takes none of them for running, whatever it loaded before."""

from __future__ import annotations

import pytest

from edge_runtime import App, Context
from edge_runtime.testing import World

app = App("work")


def step(number: int) -> int:
    """Return the next number."""
    return number + 1


@app.intent("work")
async def work(ctx: Context, number: int) -> int:
    """One step."""
    return await ctx.run("step", step, number)


@pytest.mark.parametrize("is_derived_lost", [False, True])
def test_a_step_that_died_with_its_process_is_run_again(is_derived_lost: bool) -> None:
    """Behaviours: 1.5, 17.2: with the derived tables gone the rebuild loads every object before `Restored`."""
    world = World("one", apps=(app,))
    device = world.device("one")
    world.takes("step", seconds=60)
    made = device.submit("work", 1)["object"]
    world.run(seconds=1)
    world.crash("one", restart=False)
    if is_derived_lost:
        for table in ("shelf", "wakes", "digests"):
            device.store.connection.execute(f"DELETE FROM {table}")
    world.restart("one")
    world.run(minutes=5)
    shown = world.device("one").show(made)
    assert shown["end"] == "completed" and shown["result"] == 2
