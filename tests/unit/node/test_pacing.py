"""What a device measures of others, and what objects do by it: in worlds of devices on virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge_runtime import App, Busy, Context, PartialError, Retry, Unreachable, current_attempt
from edge_runtime.base.limits import LATE_ANSWERS_MAX, RTO_MS_MIN, TOKENS_MILLI_MAX
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.judge.rto import Rto
from edge_runtime.node import commands as c
from edge_runtime.node.events import StepEnded
from edge_runtime.node.pacing import Pacing, Way
from edge_runtime.node.spool import Live
from edge_runtime.objects.attempts import DEGRADED, write_partial
from edge_runtime.objects.codec import encode_value
from edge_runtime.testing import Device, DevicePlan, World

PEERS = ("server-a", "server-b")


class Server:
    """What the steps of a test meet, and what they were called with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any, tuple[Any, ...]]] = []
        self.answer: Callable[[str, Any], Any] = lambda peer, value: value

    def call(self, value: Any = None) -> Any:
        """Answer one request."""
        attempt = current_attempt()
        self.asked.append((attempt.peer, value, attempt.done))
        return self.answer(attempt.peer, value)

    def app(self) -> App:
        """Return an app whose steps ask this server."""
        app = App("pacing")

        @app.intent("send")
        async def send(ctx: Context, value: Any = 1, needs: list[str] = [], timeout: float = 10.0) -> Any:  # noqa: B006
            return await ctx.run("send", self.call, value, needs=needs, timeout=timeout)

        @app.intent("ask")
        async def ask(ctx: Context, value: Any = 1, timeout: float = 10.0) -> Any:
            return await ctx.run("ask", self.call, value, to=PEERS, timeout=timeout)

        @app.intent("patient")
        async def patient(ctx: Context) -> Any:
            return await ctx.run("send", self.call, 1, retry=Retry(attempts=3))

        @app.intent("watch")
        async def watch(ctx: Context) -> bool:
            for number in range(3):
                await ctx.run("send", self.call, number)
                try:
                    await ctx.until("count(slow, 3)", timeout=1)
                    return number == 2
                except TimeoutError:
                    pass
            return False

        return app


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def world(server: Server) -> World:
    return World("base", DevicePlan("drone", has=("camera",)), apps=[server.app()])


@pytest.fixture
def base(world: World) -> Device:
    return world.device("base")


def pacing_of(device: Device) -> Pacing:
    return device.node.judgement.pacing


def tries(device: Device, name: str) -> list[dict[str, Any]]:
    """Return the records of tries of an object."""
    return [row for row in device.trace(name) if row["kind"] == "executed"]


def live_of(device: Device, name: str) -> Live:
    """Return an object as the device holds it now."""
    live = device.node.parts.spool.find(bytes.fromhex(device.show(name)["object"]))
    assert live is not None
    return live


# --- Estimators ---------------------------------------------------------------------------------------------------


def ended(outcome: Outcome = Outcome.OK, latency_ms: int = 50, try_number: int = 1, **fields: Any) -> StepEnded:
    return StepEnded(b"o" * 32, "0/0/send:1", b"a" * 16, try_number, b"", int(outcome), latency_ms=latency_ms, **fields)


def test_round_trips_are_kept_apart_by_peer_link_and_size(base: Device) -> None:
    """Behaviour: 6.14; 19.2 (acoustic and Wi-Fi apart)."""
    pacing = pacing_of(base)
    ways = [Way("a"), Way("b"), Way("a", "acoustic"), Way("a", "lan", 2)]
    for number, way in enumerate(ways, start=1):
        pacing.learn(way, ended(latency_ms=number * 1_000))
    assert [pacing.rto(way).srtt_us for way in ways] == [1_000_000, 2_000_000, 3_000_000, 4_000_000]
    assert pacing.way("a", 100) == Way("a")
    assert [pacing.way("a", size).size for size in (1_024, 1_025, 4_097)] == [0, 1, 2]
    base.fact("link.kind", "acoustic")
    assert pacing.way("a", 100).link == "acoustic"
    assert (pacing.rto(Way("new", "acoustic")).timeout_ms(0), pacing.rto(Way("new")).floor_ms) == (10_000, RTO_MS_MIN)


def test_a_repeated_request_gives_no_sample_but_its_late_answer_does(base: Device) -> None:
    """Behaviour: 6.12 (Karn; the answer names attempt and try)."""
    pacing, way = pacing_of(base), Way("a")
    pacing.learn(way, ended(latency_ms=50))
    pacing.learn(way, ended(latency_ms=9_000, try_number=2))
    assert pacing.rto(way).samples == 1
    pacing.learn(way, ended(Outcome.TIMEOUT, 500))
    pacing.measure_late(ended(latency_ms=5_000, try_number=2))
    assert pacing.rto(way).samples == 1, "another try than the one that was given up"
    pacing.measure_late(ended(latency_ms=5_000))
    assert pacing.rto(way) == Rto().after(50).after(5_000)
    pacing.measure_late(ended(latency_ms=5_000))
    assert pacing.rto(way).samples == 2, "once"


def test_tries_given_up_are_remembered_only_so_far(base: Device) -> None:
    pacing, way = pacing_of(base), Way("a")
    for number in range(LATE_ANSWERS_MAX + 1):
        pacing.learn(way, ended(Outcome.TIMEOUT, try_number=number))
    pacing.measure_late(ended(try_number=0))
    assert pacing.rto(way).samples == 0
    pacing.measure_late(ended(try_number=1))
    assert pacing.rto(way).samples == 1


def test_what_a_late_observer_saw_feeds_no_estimator(base: Device) -> None:
    """Behaviour: 7.4 (Lifeguard)."""
    pacing, way = pacing_of(base), Way("a")
    for outcome in (Outcome.OK, Outcome.TIMEOUT, Outcome.SLOW):
        assert pacing.learn(way, ended(outcome, is_observer_late=True))
    pacing.measure_late(ended(is_observer_late=True))
    assert (pacing.rto(way), pacing.tokens("a").milli) == (Rto(), TOKENS_MILLI_MAX)
    assert pacing.read(way, ended(Outcome.TIMEOUT, is_observer_late=True, evidence="silence"), None).evidence == (
        f"{DEGRADED} silence"
    )


def test_only_silence_costs_tokens_and_answers_give_them_back(base: Device) -> None:
    """gRPC A6; `invalid` costs none, nor does what never reached the peer."""
    pacing, way = pacing_of(base), Way("a")
    for outcome in (Outcome.INVALID, Outcome.UNREACHABLE, Outcome.BUSY, Outcome.CRASHED):
        pacing.learn(way, ended(outcome))
    assert pacing.tokens("a").milli == TOKENS_MILLI_MAX
    assert [pacing.learn(way, ended(Outcome.TIMEOUT)) for _ in range(5)] == [True, True, True, True, False]
    pacing.learn(way, ended())
    assert (pacing.tokens("a").milli, pacing.tokens("b").milli) == (5_100, TOKENS_MILLI_MAX)


def test_progress_of_nothing_is_busy(base: Device) -> None:
    """Behaviour: 6.3: what commits nothing, or leaves the same rest again, may not spin."""
    pacing, way = pacing_of(base), Way("a")
    for value in (write_partial(encode_value([]), encode_value([1])), b"", b"\x81"):
        found = pacing.read(way, ended(Outcome.PARTIAL, **{}), None)
        assert found.outcome == Outcome.BUSY and found.value == b"", value


def test_measures_outlive_a_restart_and_losing_them_loses_no_more_than_speed(world: World, base: Device) -> None:
    """Behaviours: 6.13, 17.2."""
    way = Way("a")
    pacing = pacing_of(base)
    pacing.learn(way, ended(latency_ms=700))
    for _ in range(5):
        pacing.learn(way, ended(Outcome.TIMEOUT))
    pacing.meet(b"d" * 32)
    world.crash("base")
    found = pacing_of(base)
    assert found is not pacing
    assert (found.rto(way), found.tokens("a").milli) == (Rto().after(700), 5_000)
    assert found.likelihood_ppb(b"d" * 32) == 500_000_000
    base.store.run("DELETE FROM pacing")
    world.crash("base")
    assert (pacing_of(base).rto(way), pacing_of(base).tokens("a").milli) == (Rto(), TOKENS_MILLI_MAX)


def test_a_step_that_always_answers_alike_writes_no_row_each_time(base: Device) -> None:
    pacing, way = pacing_of(base), Way("a")
    for _ in range(30):
        pacing.learn(way, ended(latency_ms=100))
    before = base.connection.total_changes
    for _ in range(100):
        pacing.learn(way, ended(latency_ms=100))
    assert base.connection.total_changes == before


def test_contacts_tell_how_likely_a_device_is_met_again(world: World, base: Device) -> None:
    """PRoPHET, from the node's own contacts."""
    drone = world.device("drone").key.public
    assert pacing_of(base).likelihood_ppb(drone) == 0
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    assert pacing_of(base).likelihood_ppb(drone) == 500_000_000
    world.link("base", "drone", up=False)
    world.run(hours=2)
    base.fact("now", True)
    faded = pacing_of(base).likelihood_ppb(drone)
    assert 400_000_000 < faded < 500_000_000
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    assert pacing_of(base).likelihood_ppb(drone) > 700_000_000


# --- What objects do ----------------------------------------------------------------------------------------------


def test_the_next_try_carries_only_the_rest_and_the_count_begins_anew(world: World, server: Server) -> None:
    """Behaviour: 6.3: what was committed is not sent again."""

    def answer(peer: str, value: Any) -> Any:
        if len(server.asked) <= 2:
            raise PartialError(value[:2], value[2:])
        return [*(part for done in current_attempt().done for part in done), *value]

    server.answer = answer
    device = world.device("drone")
    device.submit("send", {"value": [1, 2, 3, 4, 5], "needs": ["camera"]}, name="work")
    world.run(seconds=1)
    assert [(value, done) for _, value, done in server.asked] == [
        ([1, 2, 3, 4, 5], ()), ([3, 4, 5], ([1, 2],)), ([5], ([1, 2], [3, 4])),
    ]  # fmt: skip
    assert device.show("work")["result"] == [1, 2, 3, 4, 5]
    assert [row["body"]["outcome"] for row in tries(device, "work")] == ["partial", "partial", "ok"]


def test_where_custody_moves_after_a_part_the_next_device_sends_the_rest_alone(world: World, server: Server) -> None:
    """Behaviour: 6.3: 600 of 1000 permille are committed here, and the remaining 400 go out there, with the same key."""
    base, drone = world.device("base"), world.device("drone")
    whole = list(range(10))
    calls: list[tuple[int, str]] = []

    def answer(peer: str, value: Any) -> Any:
        calls.append((world.now_ms, current_attempt().id))
        if len(calls) == 3:
            raise PartialError(value[:6], value[6:])
        raise TimeoutError

    server.answer = answer
    base.submit("send", {"value": whole}, name="work")
    world.run(seconds=8)
    times = [time_ms for time_ms, _ in calls]
    assert [row["body"]["outcome"] for row in tries(base, "work")][:4] == ["timeout", "timeout", "partial", "timeout"]
    assert times[3] - times[2] == 0 < times[1] - times[0] < times[2] - times[1], "progress is gone on with at once"
    (memory,) = live_of(base, "work").state.content.steps.values()
    (place,) = memory.places.values()
    assert place.in_a_row == len(calls) - 3, "the count of silences began anew at the part"
    server.asked.clear()
    server.answer = lambda peer, value: (calls.append((world.now_ms, current_attempt().id)), value)[1]
    world.link("base", "drone", up=True)
    world.run(ms=50)
    handed_ms = world.now_ms
    base.ask(c.Hand("drone", "work"))
    world.run(seconds=5)
    assert [(value, done) for _, value, done in server.asked] == [(whole[6:], (whole[:6],))], "once, the rest alone"
    assert drone.show("work")["result"] == whole[6:] and calls[-1][0] - handed_ms < 100
    assert {key for _, key in calls} == {calls[0][1]}


def test_an_answer_far_later_than_usual_counts_and_is_recorded_as_slow(world: World, base: Device) -> None:
    """Behaviour: 7.2."""
    world.takes("send", seconds=1)
    for number in range(4):
        base.submit("send", name=f"usual{number}")
        world.run(seconds=2)
    world.takes("send", seconds=4)
    base.submit("send", {"value": 7}, name="late")
    world.run(seconds=5)
    shown = base.show("late")
    assert (shown["end"], shown["result"]) == ("completed", 7)
    (row,) = tries(base, "late")
    assert (row["body"]["outcome"], row["body"]["latency_ms"]) == ("slow", 4_000)


def test_three_slow_answers_fire_a_trigger_that_counts_them(world: World, base: Device) -> None:
    """Behaviour: 7.2: `count(slow, 3)` fires on the third."""
    world.takes("send", seconds=1)
    for number in range(8):
        base.submit("send", name=f"usual{number}")
        world.run(seconds=2)
    world.takes("send", seconds=9)
    base.submit("watch", name="watch")
    world.run(minutes=1)
    assert [row["body"]["outcome"] for row in tries(base, "watch")] == ["slow"] * 3
    assert base.show("watch")["result"] is True


def test_a_destination_known_to_be_slow_is_given_longer(world: World, base: Device, server: Server) -> None:
    """Behaviours: 6.12, 7.2: the late answer of the first try lifts the limit of the next; one outcome, one result."""
    world.takes("send", seconds=6)
    base.submit("send", {"timeout": 4}, name="work")
    world.run(minutes=2)  # the next try is drawn from the first minute
    shown = base.show("work")
    assert shown["end"] == "completed"
    assert [row["body"]["outcome"] for row in tries(base, "work")] == ["timeout", "ok"]
    assert len(server.asked) == 2


def test_who_backs_off_from_one_peer_asks_the_next_at_once(world: World, base: Device, server: Server) -> None:
    """Behaviour: 6.14."""

    def answer(peer: str, value: Any) -> Any:
        if peer == "server-a":
            raise Busy("later", 600)
        return peer

    server.answer = answer
    base.submit("ask", name="work")
    world.run(seconds=1)
    assert base.show("work")["result"] == "server-b"
    assert [peer for peer, _, _ in server.asked] == ["server-a", "server-b"]
    assert [row["body"]["peer"] for row in tries(base, "work")] == ["server-a", "server-b"]


def test_the_next_custodian_avoids_the_peer_that_was_silent_twice(world: World, server: Server) -> None:
    """Behaviour: 7.3: it has an empty spool, and reads the history."""

    def answer(peer: str, value: Any) -> Any:
        if peer == "server-a":
            raise TimeoutError
        raise Unreachable("no way there from here")

    server.answer = answer
    base, drone = world.device("base"), world.device("drone")
    base.submit("ask", name="work")
    world.run(seconds=30)
    assert [peer for peer, _, _ in server.asked].count("server-a") >= 2
    world.link("base", "drone", up=True)
    world.run(seconds=1)
    server.asked.clear()
    server.answer = lambda peer, value: peer
    base.ask(c.Hand("drone", "work"))
    world.run(seconds=5)
    assert drone.show("work")["result"] == "server-b"
    assert [peer for peer, _, _ in server.asked] == ["server-b"]


def test_two_silences_here_and_the_object_goes_where_it_can_go_on(server: Server) -> None:
    """Behaviours: 7.3, 6.14: where the step needs something that another device has, too."""

    def answer(peer: str, value: Any) -> Any:
        raise TimeoutError

    server.answer = answer
    plans = [DevicePlan(name, has=("camera",)) for name in ("one", "two")]
    world = World(*plans, apps=[server.app()])
    world.link("one", "two", up=True)
    world.run(seconds=1)
    world.device("one").submit("send", {"needs": ["camera"]}, name="work")
    world.run(seconds=4)
    server.answer = lambda peer, value: "done"
    world.run(minutes=1)
    shown = world.device("one").show("work")
    assert (shown["end"], shown["custodian_name"]) == ("completed", "two")


def test_silence_without_end_leaves_one_prober_for_all(world: World, base: Device, server: Server) -> None:
    """Behaviour: 6.2 and gRPC A6: with half its tokens gone nobody retries by a timer of its own."""

    def answer(peer: str, value: Any) -> Any:
        raise TimeoutError

    server.answer = answer
    for number in range(10):
        base.submit("send", name=f"work{number}")
    world.run(minutes=10)
    assert len(server.asked) <= 40, "not ten series of retries"
    server.answer = lambda peer, value: "done"
    world.run(hours=3)
    assert [base.show(f"work{number}")["end"] for number in range(10)] == ["completed"] * 10


def test_a_restart_in_the_middle_of_a_wait_changes_neither_its_end_nor_the_count(
    world: World, base: Device, server: Server
) -> None:
    """Behaviour: 6.13."""
    times: list[int] = []

    def answer(peer: str, value: Any) -> Any:
        times.append(world.now_ms)
        raise TimeoutError

    server.answer = answer
    base.submit("send", name="work")
    world.run(seconds=20)
    assert len(times) == 4
    due_ms = live_of(base, "work").due_ms
    assert due_ms is not None
    due_ms += world.now_ms - base.node.parts.timeline.life_ms
    world.crash("base")
    world.run(minutes=2)
    waits = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert all(after > before for before, after in zip(waits, waits[1:3], strict=False))
    assert due_ms == times[4], "the wait ends when it would have ended"


def test_what_a_late_observer_saw_is_marked_and_held_against_nobody(
    world: World, base: Device, server: Server
) -> None:
    """Behaviour: 7.4."""

    def answer(peer: str, value: Any) -> Any:
        raise TimeoutError

    server.answer = answer
    base.is_late = True
    base.submit("ask", name="work")
    world.run(seconds=60)
    assert {row["body"]["evidence"].split()[0] for row in tries(base, "work")} == {DEGRADED}
    assert pacing_of(base).tokens("server-a").milli == TOKENS_MILLI_MAX
    memory = live_of(base, "work").state.content.steps
    assert all(place.silences == 0 for step in memory.values() for place in step.places.values())
