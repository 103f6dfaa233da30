"""What a peer says of an object's age: only the custodian's own turns count."""

from __future__ import annotations

import pytest

from edge_runtime.base.limits import INTEGER_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.node import commands as c
from edge_runtime.objects.entries import Draft, Entry, seal
from edge_runtime.objects.records import Record
from edge_runtime.testing import Device, World
from tests.support.histories import learned, signalled


def written_by(liar: Device, object_id: bytes, record: Record) -> Entry:
    """Return an entry of a member over the object's first one, claiming the greatest age there is."""
    parts = liar.node.parts
    _, _, grant = parts.members.current_fleet()
    draft = Draft(
        object_id, (object_id,), grant, b"liarboot", 900, 1, 0, 0, Trust.NONE, INTEGER_MAX, True, (record,)
    )
    return seal(parts.members.key, draft)


@pytest.mark.parametrize("record", [learned("0/0/x:1"), signalled("go")], ids=["void turn", "signal"])
def test_a_member_that_lies_about_the_age_cannot_expire_an_object(record: Record) -> None:
    """Behaviours: 12.10, 12.13: what has no effect does not age the object, and a signal does not either."""
    world = World("one", "two")
    world.link("one", "two", up=True)
    world.run(seconds=1)
    one, two = world.device("one"), world.device("two")
    made = one.ask(c.Submit("later", needs=["nobody"]))["object"]
    world.run(seconds=1)
    object_id = bytes.fromhex(made)
    entry = written_by(two, object_id, record)
    store = one.node.parts.store
    with store.transaction():
        taken = one.node.intake.take(object_id, (), [entry], 0, True)
        assert taken.new == 1 and taken.live is not None
        one.node.turner.go_on(taken.live)
    world.run(seconds=5)
    shown = one.show(made)
    assert shown["status"] == "dormant" and shown["age_ms"] < 60_000, shown
