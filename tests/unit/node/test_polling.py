"""Persistent polling on a node: what is polled when, what is recorded of it, and what moves with custody."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime import App, Context
from edge_runtime.base.limits import POLLS_ABORTED_MAX
from edge_runtime.base.moment import Trust
from edge_runtime.base.units import HOUR_MS, MINUTE_MS
from edge_runtime.judge.polling import count_dues
from edge_runtime.node import commands as c
from edge_runtime.node.effects import StartProbe, Turn
from edge_runtime.node.polls import cadence_in
from edge_runtime.objects.bodies import PolledSealed, PollResult
from edge_runtime.objects.polled import OPEN, PollMemory, after
from edge_runtime.objects.records import read_sealed
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_checks import WorldChecks


def make_app() -> App:
    app = App("polled")

    @app.intent("watch")
    async def watch(ctx: Context, probe: str = "door", times: int = 1, every: Any = 60) -> list[Any]:
        cadence = tuple(every) if isinstance(every, list) else every
        return [await ctx.poll(probe, every=cadence) for _ in range(times)]

    @app.intent("fill")
    async def fill(ctx: Context, until: str, timeout: int = 86_400) -> Any:
        try:
            return await ctx.poll("tank", every=(60, 3_600), until=until, timeout=timeout)
        except TimeoutError:
            return "too late"

    @app.intent("tail")
    async def tail(ctx: Context, lines: int) -> list[str]:
        seen: list[str] = []
        while len(seen) < lines:
            seen += (await ctx.poll("log", every=60))["lines"]
        return seen

    return app


class Bench:
    """A world whose polls are written down: (ms, device, probe) of each probe started."""

    def __init__(self, *plans: str | DevicePlan) -> None:
        self.world = World(*plans, apps=[make_app()])
        self.checks = WorldChecks(self.world)
        self.polled: list[tuple[int, str, str]] = []
        self.world.watchers.append(self._watch)
        self.base = self.world.device("base")

    def _watch(self, device: Device, events: object, turn: Turn) -> None:
        for effect in turn.effects:
            if isinstance(effect, StartProbe):
                self.polled.append((self.world.now_ms, device.name, effect.probe))

    def times(self) -> list[int]:
        """Return when probes were started since the last call."""
        found = [at_ms for at_ms, _, _ in self.polled]
        self.polled.clear()
        return found

    def row(self, name: str, device: str = "base") -> dict[str, Any]:
        """Return what `show` says of the one probe of an object."""
        (row,) = self.world.device(device).show(name)["polls"]
        found: dict[str, Any] = row
        return found

    def records(self, name: str, device: str = "base") -> list[str]:
        """Return the results of the `polled` records."""
        rows = self.world.device(device).trace(name)
        return [PollResult(row["body"]["result"]).name.lower() for row in rows if row["kind"] == "polled"]


@pytest.fixture
def bench() -> Bench:
    found = Bench("base")
    found.base.probes.update(door={"size": 1}, log=[], tank={"litres": 0})
    return found


def verify(device: Device, reference: str) -> int:
    """Recount every poll of an object from its entries alone, and return how many were made."""
    live = device.node.parts.spool.find(bytes.fromhex(device.show(reference)["object"]))
    assert live is not None
    memories: dict[str, PollMemory] = {}
    for entry in live.state.history.chain():
        for record in entry.records:
            body = read_sealed(record)
            if not isinstance(body, PolledSealed):
                continue
            had = memories.get(body.probe)
            if had is not None and had.is_open and body.is_exact:
                due = count_dues(cadence_in(live, body.probe, had), had.age_ms, entry.age_ms)
                assert body.polls + body.missed == due
            memories[body.probe] = after(had, body, entry.age_ms)
    return sum(memory.polls for memory in memories.values())


def test_a_kill_while_a_probe_runs_delays_the_next_poll_by_no_more_than_its_interval(bench: Bench) -> None:
    """Behaviour: 5.1: the due time on the disk was that of an answer that the dead process waited for."""
    bench.base.submit("watch", {"every": 10}, name="one")
    bench.world.run(minutes=10)
    *_, last_ms = bench.times()
    bench.world.run(ms=last_ms + 9_000 - bench.world.now_ms)
    bench.world.crash("base", at_commit=True)
    bench.world.run(seconds=2)
    assert bench.times() == [last_ms + 10_000] and bench.base.lives == 2, "it died with the probe's start committed"
    bench.world.run(seconds=12)
    assert bench.times() == [last_ms + 20_000]


def test_polls_keep_to_their_grid_over_a_restart(bench: Bench) -> None:
    """Behaviour: 5.1: 130 s after a poll the device restarts; the next poll is 180 s after it, none at once."""
    bench.base.submit("watch", name="one")
    bench.world.run(minutes=10)
    *_, before_ms, last_ms = bench.times()
    assert last_ms - before_ms == MINUTE_MS
    bench.world.run(ms=last_ms + 10_000 - bench.world.now_ms)
    bench.world.crash("base", restart=False)
    bench.world.run(seconds=120)
    bench.world.restart("base")
    bench.world.run(seconds=49)
    assert bench.times() == []
    bench.world.run(seconds=2)
    assert bench.times() == [last_ms + 180_000]
    assert bench.row("one")["missed"] == 2


def test_ten_hours_away_are_one_catch_up_and_the_rest_is_counted(bench: Bench) -> None:
    """Behaviour: 5.2."""
    bench.base.submit("watch", name="one")
    bench.world.run(minutes=10)
    last_ms = bench.times()[-1]
    polls = bench.row("one")["polls"]
    bench.world.crash("base", power_cut=True, restart=False)
    bench.world.run(ms=last_ms + 10 * HOUR_MS - 1_000 - bench.world.now_ms)
    bench.world.restart("base")
    bench.world.run(seconds=2)
    assert bench.times() == [last_ms + 10 * HOUR_MS]
    row = bench.row("one")
    assert (row["polls"], row["missed"], row["exact"]) == (polls + 1, 599, True)
    bench.world.run(minutes=2)
    assert bench.times() == [last_ms + 10 * HOUR_MS + n * MINUTE_MS for n in (1, 2)]


def test_a_suspended_device_polls_once_when_it_resumes(bench: Bench) -> None:
    """Behaviour: 5.2: the process lived on, so the due time is still due, once."""
    bench.base.submit("watch", name="one")
    bench.world.run(minutes=10)
    last_ms = bench.times()[-1]
    bench.base.alarm_ms = last_ms + 10 * HOUR_MS + 7_000  # as of a timer that did not run meanwhile
    bench.world.run(ms=last_ms + 10 * HOUR_MS + 8_000 - bench.world.now_ms)
    assert bench.times() == [last_ms + 10 * HOUR_MS + 7_000]
    assert bench.row("one")["missed"] == 599


def test_an_untrusted_gap_leaves_a_lower_bound() -> None:
    """Behaviour: 5.2."""
    bench = Bench(DevicePlan("base", trust=Trust.NONE))
    bench.base.probes["door"] = {"size": 1}
    bench.base.submit("watch", name="one")
    bench.world.run(minutes=10)
    bench.world.crash("base", power_cut=True, restart=False)
    bench.world.run(hours=10)
    bench.world.restart("base")
    bench.world.run(minutes=2)
    row = bench.row("one")
    assert not row["exact"] and row["missed"] <= 1


def test_not_yet_lengthens_the_interval_and_a_change_resets_it(bench: Bench) -> None:
    """Behaviour: 5.3."""
    bench.base.submit("watch", {"times": 2, "every": [60, 3_600]}, name="one")
    bench.world.run(hours=24)
    times = bench.times()
    gaps = [later - earlier for earlier, later in zip(times[1:], times[2:], strict=False)]
    assert gaps == sorted(gaps) and gaps[0] == MINUTE_MS and gaps[-1] == HOUR_MS
    bench.base.probes["door"] = {"size": 2}
    bench.world.run(hours=2)
    changed_ms, *times = bench.times()[-60:]
    assert bench.row("one")["result"] == "not_yet"
    assert min(later - earlier for earlier, later in zip(times, times[1:], strict=False)) == MINUTE_MS


def test_an_absent_source_is_looked_for_soon_and_then_an_operator_is_told(bench: Bench) -> None:
    """Behaviour: 5.4."""
    bench.base.submit("watch", {"every": [600, 7_200]}, name="one")
    bench.world.run(hours=1)
    del bench.base.probes["door"]
    bench.times()
    while not bench.polled:
        bench.world.run(minutes=1)
    assert bench.row("one")["result"] == "aborted"
    assert "its source is absent" in bench.base.show("one")["reason"]
    bench.world.run(minutes=3)
    times = bench.times()[-POLLS_ABORTED_MAX + 1 :]
    assert [later - earlier for earlier, later in zip(times, times[1:], strict=False)] == [15_000] * (len(times) - 1)
    shown = bench.base.show("one")
    assert "stays absent (no source for door here)" in shown["reason"] and bench.row("one")["result"] == "escalated"
    assert any("stays absent" in row["reason"] for row in bench.base.ask(c.Status())["dormant_by_reason"])
    entries = shown["entries"]
    bench.world.run(days=2)
    assert bench.base.show("one")["entries"] == entries
    assert len(bench.times()) == 24
    bench.base.probes["door"] = {"size": 1}
    bench.world.run(hours=3)
    assert bench.row("one")["result"] == "not_yet", "absence is no change"
    bench.base.probes["door"] = {"size": 9}
    bench.world.run(hours=2)
    assert bench.base.show("one")["result"] == [{"size": 9}]
    verify(bench.base, "one")


@pytest.mark.wide
def test_ten_thousand_polls_without_a_change_are_one_record(bench: Bench) -> None:
    """Behaviour: 5.5."""
    bench.base.submit("watch", name="one")
    bench.world.run(minutes=10_001)
    shown = bench.base.show("one")
    assert bench.records("one") == ["not_yet"] and shown["entries"] == 3
    assert bench.row("one")["polls"] == len(bench.times()) > 10_000
    polls = bench.row("one")["polls"]
    bench.base.probes["door"] = {"size": 2}
    bench.world.run(minutes=2)
    assert bench.records("one") == ["not_yet", "satisfied"]
    assert verify(bench.base, "one") == bench.row("one")["polls"] == polls + 1


def test_the_history_grows_with_changes(bench: Bench) -> None:
    """Behaviour: 5.5."""
    bench.base.submit("watch", {"times": 20}, name="one")
    for size in range(20):
        bench.world.run(hours=1)
        bench.base.probes["door"] = {"size": 100 + size}
    bench.world.run(hours=1)
    shown = bench.base.show("one")
    assert [reading["size"] for reading in shown["result"]] == list(range(100, 120))
    assert bench.records("one").count("satisfied") == 20 and shown["entries"] <= 2 + 20 + 1
    assert verify(bench.base, "one") == bench.row("one")["polls"] == len(bench.times())


def test_counted_polls_survive_a_kill_and_a_lost_count_is_said_to_be_a_bound(bench: Bench) -> None:
    """Behaviour: 5.5."""
    bench.base.submit("watch", name="one")
    bench.world.run(hours=2)
    polls = bench.row("one")["polls"]
    bench.world.crash("base")
    assert bench.row("one")["polls"] == polls and bench.row("one")["exact"]
    bench.base.store.run("DELETE FROM polls")
    bench.world.run(minutes=30)
    bench.base.probes["door"] = {"size": 2}
    bench.world.run(minutes=2)
    row = bench.row("one")
    assert not row["exact"] and row["polls"] < len(bench.times())


def test_a_log_is_read_on_where_the_last_custodian_stopped_and_no_line_twice() -> None:
    """Behaviour: 5.6."""
    bench = Bench("base", "drone")
    base, drone = bench.base, bench.world.device("drone")
    log = [f"line {n}" for n in range(3)]
    base.probes["log"] = drone.probes["log"] = log
    base.submit("tail", {"lines": 8}, name="one")
    bench.world.run(hours=1)
    log += ["line 3", "line 4"]
    bench.world.run(hours=1)
    counted = bench.row("one")["polls"]
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=1)
    base.ask(c.Hand(drone.key.public.hex(), "one"))
    bench.world.run(minutes=1)
    bench.world.link("base", "drone", up=False)
    assert drone.show("one")["custodian_name"] == "drone"
    assert bench.row("one", "drone")["polls"] >= counted and bench.row("one", "drone")["exact"]
    log += ["line 5", "line 6"]
    bench.world.run(hours=1)
    log += ["line 7"]
    bench.world.run(hours=1)
    assert drone.show("one")["result"] == [f"line {n}" for n in range(8)]
    verify(drone, "one")
    bench.checks.heal()
    bench.checks.after_healing()


def test_a_copy_of_the_log_that_lags_is_waited_for_and_not_read_anew() -> None:
    """Behaviour: 5.4, 5.6."""
    bench = Bench("base", "drone")
    bench.base.probes["log"] = ["a", "b"]
    drone = bench.world.device("drone")
    drone.probes["log"] = ["a"]
    bench.base.submit("tail", {"lines": 3}, name="one")
    bench.world.run(hours=1)
    bench.world.link("base", "drone", up=True)
    bench.world.run(seconds=1)
    bench.base.ask(c.Hand(drone.key.public.hex(), "one"))
    bench.world.run(hours=1)
    assert bench.row("one", "drone")["result"] == "escalated"
    drone.probes["log"] = ["a", "b", "c"]
    bench.world.run(hours=1)
    assert drone.show("one")["result"] == ["a", "b", "c"]


def test_a_condition_over_the_reading_ends_the_wait_and_a_timeout_does(bench: Bench) -> None:
    bench.base.submit("fill", {"until": "litres >= 10"}, name="full")
    bench.base.submit("fill", {"until": "litres >= 99", "timeout": 7_200}, name="late")
    bench.base.probes["tank"] = {"litres": 5}
    bench.world.run(hours=1)
    bench.base.probes["tank"] = {"litres": 12}
    bench.world.run(hours=4)
    assert bench.base.show("full")["result"] == {"litres": 12}
    assert bench.base.show("late")["result"] == "too late"
    assert bench.records("full") == ["not_yet", "satisfied"]
    assert bench.records("late") == ["not_yet", "ended"]
    assert verify(bench.base, "late") + verify(bench.base, "full") == len(bench.times())
    bench.world.run(days=2)
    assert bench.times() == [], "nobody waits, nobody polls"


def test_a_dormant_polled_object_holds_no_body_and_the_rebuilt_tables_poll_the_same(bench: Bench) -> None:
    """Behaviour: 3.2, 5.1: the next due age follows from the entries alone."""
    shown = bench.base.submit("watch", name="one")
    bench.world.run(hours=3)
    live = bench.base.node.parts.spool.find(bytes.fromhex(shown["object"]))
    assert live is not None and live.body is None and not bench.base.node.parts.polls.flights
    due_ms = bench.world.next_ms()
    with bench.base.store.transaction():
        bench.base.node.rebuild()
    bench.base.alarm_ms = None
    bench.world.crash("base")
    bench.world.run()
    assert bench.world.next_ms() == due_ms


def test_many_objects_share_their_ticks() -> None:
    """Of 100 objects that poll each minute, each has its own phase, and the device wakes four times a minute."""
    bench = Bench("base")
    bench.base.probes["door"] = {"size": 1}
    for number in range(100):
        bench.base.submit("watch", name=f"o{number}")
        bench.world.run(ms=77)
    bench.world.run(minutes=10)
    bench.times()
    bench.world.run(minutes=10)
    times = bench.times()
    assert len(times) == 1_000
    wakes = sorted(dict.fromkeys(times))
    assert len(wakes) == 40
    assert max(times.count(at_ms) for at_ms in wakes) < 60, "phases are spread over the ticks"


def test_a_body_that_polls_in_a_loop_polls_no_more_often_than_it_says(bench: Bench) -> None:
    """A condition that holds at once must not become a busy loop."""
    app_world = World("base", apps=[_eager()])
    device = app_world.device("base")
    device.probes["tank"] = {"litres": 5}
    device.submit("eager", name="one")
    app_world.run(minutes=30)
    assert 28 <= device.show("one")["polls"][0]["polls"] <= 32


def _eager() -> App:
    app = App("eager")

    @app.intent("eager")
    async def eager(ctx: Context) -> None:
        while True:
            await ctx.poll("tank", every=60, until="litres > 0")

    return app


def test_an_object_on_hold_is_not_polled_for(bench: Bench) -> None:
    """Behaviour: 3.10."""
    bench.base.submit("watch", name="one")
    bench.world.run(minutes=5)
    bench.base.ask(c.Hold("one"))
    bench.times()
    bench.world.run(hours=1)
    assert bench.times() == []
    bench.base.ask(c.Release("one"))
    bench.world.run(minutes=2)
    assert bench.times() and bench.row("one")["missed"] >= 58


def test_every_open_result_is_one_that_is_polled_on() -> None:
    assert {*OPEN} == {PollResult.NOT_YET, PollResult.ABORTED, PollResult.ESCALATED}
