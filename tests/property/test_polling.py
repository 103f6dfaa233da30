"""Laws of polling: due ages are a function of the run alone, counts add up, and the records can be recounted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime import App, Context
from edge_runtime.base.units import DAY_MS, HOUR_MS
from edge_runtime.judge.polling import Cadence, count_dues, next_due_age_ms
from edge_runtime.objects.bodies import PolledSealed
from edge_runtime.objects.polled import PollMemory, after
from edge_runtime.objects.records import read_sealed
from edge_runtime.node.polls import cadence_in
from edge_runtime.testing import Device, World

AGES = st.integers(min_value=0, max_value=400 * DAY_MS)


@st.composite
def cadences(draw: st.DrawFn) -> Cadence:
    least_ms = draw(st.integers(min_value=1, max_value=DAY_MS))
    most_ms = draw(st.integers(min_value=least_ms, max_value=max(least_ms, DAY_MS)))
    return Cadence(draw(AGES), least_ms, most_ms, draw(st.integers(min_value=0, max_value=least_ms - 1)))


@given(cadences(), AGES)
def test_the_next_due_age_lies_after_now_on_the_grid_and_within_the_longest_interval(
    cadence: Cadence, age_ms: int
) -> None:
    """Behaviour: 5.1, 5.3."""
    due_ms = next_due_age_ms(cadence, age_ms)
    assert due_ms > max(age_ms, cadence.since_age_ms)
    assert due_ms - max(age_ms, cadence.since_age_ms) <= cadence.most_ms
    assert (due_ms - cadence.phase_ms) % cadence.least_ms == 0


@given(cadences(), st.tuples(AGES, AGES, AGES).map(sorted))
def test_due_ages_are_counted_alike_in_one_piece_and_in_two(cadence: Cadence, ages: list[int]) -> None:
    """Behaviour: 5.5."""
    first_ms, middle_ms, last_ms = ages
    whole = count_dues(cadence, first_ms, last_ms)
    assert whole == count_dues(cadence, first_ms, middle_ms) + count_dues(cadence, middle_ms, last_ms)
    due_ms = next_due_age_ms(cadence, first_ms)
    assert count_dues(cadence, first_ms, due_ms - 1) == 0 and count_dues(cadence, first_ms, due_ms) == 1


def _app() -> App:
    app = App("polled")

    @app.intent("watch")
    async def watch(ctx: Context, least: int, most: int) -> None:
        while True:
            await ctx.poll("door", every=(least, most))

    return app


HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(["change", "vanish", "return", "kill", "power", "rest"]), st.integers(1, 4 * HOUR_MS)),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(HAPPENINGS, st.integers(1, 600), st.integers(1, 6))
def test_whatever_happens_every_poll_can_be_recounted_from_the_entries(
    happenings: list[tuple[str, int]], least: int, ratio: int
) -> None:
    """Behaviour: 5.1, 5.2, 5.5: made and missed polls of each record are the due ages between it and the one before."""
    world = World("base", apps=[_app()])
    device = world.device("base")
    device.probes["door"] = {"n": 0}
    device.submit("watch", {"least": least, "most": least * ratio}, name="one")
    for number, (what, length_ms) in enumerate(happenings, start=1):
        match what:
            case "change" | "return":
                device.probes["door"] = {"n": number}
            case "vanish":
                device.probes.pop("door", None)
            case "kill" | "power":
                world.crash("base", power_cut=what == "power", restart=False)
                world.run(ms=length_ms)
                world.restart("base")
            case _:
                pass
        world.run(ms=length_ms)
    world.run(seconds=2)  # a first look that died with its process is made anew within a second
    (row,) = device.show("one")["polls"]
    assert row["exact"]
    _recount(device, "one", row["polls"], row["missed"])


def _recount(device: Device, reference: str, polls: int, missed: int) -> None:
    live = device.node.parts.spool.find(bytes.fromhex(device.show(reference)["object"]))
    assert live is not None
    memory: PollMemory | None = None
    for entry in live.state.history.chain():
        for record in entry.records:
            body = read_sealed(record)
            if isinstance(body, PolledSealed):
                if memory is not None and memory.is_open:
                    due = count_dues(cadence_in(live, body.probe, memory), memory.age_ms, entry.age_ms)
                    assert body.polls + body.missed == due
                memory = after(memory, body, entry.age_ms)
    assert memory is not None and memory.is_open
    assert memory == live.state.content.polls["door"]
    count = device.node.parts.polls.count_of(live, "door")
    assert count is not None
    assert (memory.polls + count.polls, memory.missed + count.missed) == (polls, missed)
    assert count.polls + count.missed == count_dues(cadence_in(live, "door", memory), memory.age_ms, count.age_ms)
