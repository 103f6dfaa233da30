"""A device's own advert stays within its bound, whatever is loaded, and the next start reads it."""

from __future__ import annotations

from edge_runtime import App
from edge_runtime.base.limits import ADVERT_BYTES_MAX
from edge_runtime.testing import World


def crowded() -> App:
    """Return an app whose intents' names alone would fill several adverts."""
    app = App("crowded")
    for number in range(250):

        async def handler(ctx: object) -> None:
            """Do nothing."""

        app.intent(f"intent.{number:03}." + "x" * 100)(handler)
    return app


def test_an_advert_of_many_intents_is_cut_to_its_bound_and_the_device_starts_again() -> None:
    """Behaviour: 14.12; at the bound the first names by alphabet are told, and nothing fails."""
    world = World("one", apps=(crowded(),))
    adverts = world.device("one").node.parts.adverts
    advert, raw, _ = adverts.by_device[world.device("one").node.parts.device]
    assert len(raw) <= ADVERT_BYTES_MAX and 0 < len(advert.intents) < 250
    assert advert.intents[0][0].startswith("intent.000.")
    world.crash("one")
    again = world.device("one").node.parts.adverts
    assert again.by_device[world.device("one").node.parts.device][0].counter == advert.counter
