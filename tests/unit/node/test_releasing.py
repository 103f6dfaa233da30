"""Steps that end without another try, and those that wait for something to change: on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from edge_runtime import App, Busy, Context, Incapable, Outcome, Refused, StepFailed, TerminalError, current_attempt
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.testing import Device, DevicePlan, World
from tests.support.world_checks import WorldChecks


class Site:
    """What steps do here: each call is noted, then answered as the test says."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.answer: Callable[[], Any] = lambda: "done"

    def do(self, value: Any = None) -> Any:
        """Do one step."""
        self.calls.append(value)
        return self.answer()

    def spend(self, bytes_used: int, energy_mj: int) -> None:
        """Spend, and fail."""
        self.calls.append(None)
        current_attempt().spend(bytes=bytes_used, energy_mj=energy_mj)
        raise RuntimeError("it broke")

    def app(self) -> App:
        """Return the app."""
        app = App("site")

        @app.intent("once")
        async def once(ctx: Context, needs: list[str] = []) -> Any:  # noqa: B006
            return await ctx.run("do", self.do, needs=needs)

        @app.intent("stubborn")
        async def stubborn(ctx: Context, times: int = 3) -> list[str]:
            said = []
            for _ in range(times):
                try:
                    await ctx.run("do", self.do, "x")
                except StepFailed as failed:
                    said.append(failed.outcome.name.lower())
                await asyncio.sleep(60)
            await ctx.run("do", self.do, "y")
            return said

        @app.intent("degrades")
        async def degrades(ctx: Context) -> str:
            try:
                return str(await ctx.run("do", self.do))
            except StepFailed as failed:
                return f"less, for {failed.outcome.name.lower()}"

        @app.intent("timely")
        async def timely(ctx: Context) -> Any:
            return await ctx.run("do", self.do, not_after=600)

        @app.intent("costly")
        async def costly(ctx: Context, bytes_used: int = 0, energy_mj: int = 0) -> None:
            await ctx.run("spend", self.spend, bytes_used, energy_mj)

        return app


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def world(site: Site) -> World:
    return World("base", "other", DevicePlan("drone", has=("camera",)), apps=[site.app()])


@pytest.fixture
def base(world: World) -> Device:
    return world.device("base")


def fail_with(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


# --- Invalid ------------------------------------------------------------------------------------------------------


def test_what_was_found_invalid_never_runs_again_on_any_device(world: World, site: Site, base: Device) -> None:
    """Behaviour: 6.5, property P7: the same call, later in the body, after a restart, and after a hand-over."""
    site.answer = lambda: fail_with(TerminalError("never"))() if site.calls[-1] == "x" else "fine"
    base.submit("stubborn", {"times": 4}, name="work")
    world.run(seconds=90)
    world.crash("base")
    world.link("base", "other", up=True)
    world.run(seconds=1)
    base.ask(c.Hand("other", "work"))
    world.run(minutes=10)
    shown = base.show("work")
    assert (shown["end"], shown["result"], shown["custodian_name"]) == ("completed", ["invalid"] * 4, "other")
    assert site.calls == ["x", "y"], "another call of the same step is another fingerprint"
    WorldChecks(world).at_rest()


# --- Deadlines ----------------------------------------------------------------------------------------------------


def test_a_wait_that_cannot_end_in_time_ends_the_object_at_once_with_the_reason(
    world: World, site: Site, base: Device
) -> None:
    """Behaviour: 6.7."""
    site.answer = fail_with(Busy("later", 60))
    base.submit("once", name="work", lifetime_ms=20_000)
    world.run()
    shown = base.show("work")
    assert (shown["status"], shown["end"]) == ("ended", "expired")
    assert "the deadline cannot be met" in str(shown["error"])


def test_a_body_may_do_less_when_the_deadline_cannot_be_met(world: World, site: Site, base: Device) -> None:
    """Behaviour: 6.7 (degrade at once)."""
    site.answer = fail_with(Busy("later", 60))
    base.submit("degrades", name="work", lifetime_ms=20_000)
    world.run()
    assert (base.show("work")["end"], base.show("work")["result"]) == ("completed", "less, for expired")


def test_another_device_is_asked_before_the_deadline_ends_the_object(world: World, site: Site, base: Device) -> None:
    """Behaviour: 6.7 (delegate at once)."""
    world.link("base", "other", up=True)
    world.run(seconds=1)
    answers = [fail_with(Busy("later", 60)), lambda: "in time"]
    site.answer = lambda: answers.pop(0)()
    base.submit("once", name="work", lifetime_ms=20_000)
    world.run(seconds=5)
    shown = base.show("work")
    assert (shown["end"], shown["result"], shown["custodian_name"]) == ("completed", "in time", "other")


def test_no_try_begins_after_the_time_that_a_call_names(world: World, site: Site, base: Device) -> None:
    """Behaviour: 6.7; `not_after` of a call."""
    site.answer = fail_with(Busy("later", 300))
    base.submit("timely", name="work")
    world.run(minutes=4)
    assert base.show("work")["status"] == "dormant"
    world.run(minutes=30)
    assert base.show("work")["end"] == "expired"
    assert len(site.calls) == 2, "at 0 and 300 s; a third at 600 s could not be waited for"


# --- Refused, incapable -------------------------------------------------------------------------------------------


def test_a_refusal_is_not_tried_again_until_the_fact_it_named_is_said_anew(
    world: World, site: Site, base: Device
) -> None:
    """Behaviours: 6.4, 19.3 (401: no retry until the credential was renewed)."""
    site.answer = fail_with(Refused("who are you?", until="credential.server"))
    base.submit("once", name="work")
    for _ in range(24):
        world.run(hours=1)
        base.fact("something.else", world.now_ms)
    world.crash("base")
    world.run(hours=1)
    assert len(site.calls) == 1
    site.answer = lambda: "welcome"
    base.fact("credential.server", "renewed")
    world.run()
    assert base.show("work")["result"] == "welcome"


@pytest.mark.parametrize("how", ["policy", "grant"])
def test_a_refusal_ends_with_another_policy_or_grant(world: World, site: Site, base: Device, how: str) -> None:
    """Behaviour: 6.4: in the next cycle."""
    site.answer = fail_with(Refused("who are you?"))
    base.submit("once", name="work")
    world.run(hours=24)
    assert len(site.calls) == 1
    site.answer = lambda: "welcome"
    if how == "policy":
        base.set_policy(Policy.parse('[[rule]]\nname = "all"\neffect = "permit"\n'))
    else:
        grant = base.ask(c.Grant(base.key.public.hex(), ["executor", "operator"]))
        base.ask(c.Join(grant["file"]))
    base.fact("wake", 1)
    world.run()
    assert base.show("work")["result"] == "welcome"


def test_what_a_device_cannot_do_another_does_without_waiting(world: World, site: Site, base: Device) -> None:
    """Behaviour: 6.6."""
    world.link("base", "other", up=True)
    world.run(seconds=1)
    answers = [fail_with(Incapable("no gpu")), lambda: "done there"]
    site.answer = lambda: answers.pop(0)()
    base.submit("once", name="work")
    world.run(seconds=2)
    assert (base.show("work")["result"], base.show("work")["custodian_name"]) == ("done there", "other")


# --- The envelope -------------------------------------------------------------------------------------------------


def test_an_envelope_is_counted_over_all_devices_and_ends_in_a_sleep_that_names_the_dimension(
    world: World, site: Site, base: Device
) -> None:
    """Behaviour: 6.8: ended only by resume, cancel or the lifetime."""
    site.answer = fail_with(RuntimeError("broken"))
    base.submit("once", name="work", attempts_max=5)
    world.run(seconds=2)
    here = len(site.calls)
    assert 1 <= here < 5
    world.link("base", "other", up=True)
    world.run(ms=1)
    base.ask(c.Hand("other", "work"))
    other = world.device("other")
    world.run(days=2)
    assert len(site.calls) == 5
    assert other.show("work")["reason"] == "exhausted: attempts"
    world.link("other", "drone", up=True)
    other.fact("anything", 1)
    world.crash("other")
    world.run(days=2)
    assert len(site.calls) == 5, "neither a link nor a fact nor a restart ends it"
    other.ask(c.Resume("work"))
    world.run(days=1)
    assert len(site.calls) == 10, "a resume forgives what was spent"
    other.ask(c.Cancel("work"))
    world.run(seconds=1)
    assert other.show("work")["end"] == "cancelled"


@pytest.mark.parametrize(
    ("arguments", "bound", "dimension"),
    [({"bytes_used": 400}, {"bytes_max": 1_000}, "bytes"), ({"energy_mj": 7}, {"energy_max_mj": 20}, "energy")],
)
def test_bytes_and_energy_are_bounds_too(
    world: World, site: Site, base: Device, arguments: dict[str, int], bound: dict[str, int], dimension: str
) -> None:
    """Behaviour: 6.8."""
    base.submit("costly", arguments, name="work", **bound)
    world.run(days=1)
    assert (len(site.calls), base.show("work")["reason"]) == (3, f"exhausted: {dimension}")


# --- Faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_at_once", [True, False])
def test_one_fault_met_by_fifty_is_one_fact_one_probe_and_fifty_references(
    world: World, site: Site, base: Device, is_at_once: bool
) -> None:
    """Behaviour: 7.6: by as many attempts as may be in flight when it strikes; who comes later refers to it.

    Who sleeps already, waiting for a place, is not woken to say so (6.10).
    """
    site.answer = fail_with(ConnectionRefusedError(111, "refused"))
    world.takes("do", seconds=1)
    for number in range(32):  # as many as may be in flight to one destination
        base.submit("once", name=f"work{number}")
    world.run(seconds=0 if is_at_once else 2)
    for number in range(32, 50):
        base.submit("once", name=f"work{number}")
    world.run(seconds=2)
    asked = len(site.calls)
    assert asked == 32
    fault = base.node.parts.facts.by_name["fault.do"]
    refers = 0
    for number in range(50):
        rows = base.trace(f"work{number}")
        texts = [str(row["body"].get("evidence", "")) + str(row["body"].get("reason", "")) for row in rows]
        refers += any(f"fault {fault.value}" in text for text in texts)
    assert refers == (32 if is_at_once else 50)
    world.run(seconds=5 if is_at_once else 3)
    assert len(site.calls) - asked == 1, "one probe for all of them"
    site.answer = lambda: "done"
    world.run(minutes=10)
    assert "fault.do" not in base.node.parts.facts.by_name
    assert all(base.show(f"work{number}")["end"] == "completed" for number in range(50))


def test_the_outcomes_of_the_list_are_the_words_of_records() -> None:
    """Behaviour: 7.1."""
    assert [outcome.name.lower() for outcome in Outcome] == (
        "ok partial unreachable timeout slow busy refused incapable invalid crashed unknown fenced expired".split()
    )
