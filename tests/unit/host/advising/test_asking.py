"""Advisors in threads of their own: budgets, silence, and nothing within reach but plain values."""

from __future__ import annotations

import importlib
import pkgutil
import queue
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import edge_runtime
from edge_runtime import Advice, AdvisorView, App, UsageError
from edge_runtime.base.limits import ADVISOR_QUEUE_MAX
from edge_runtime.base.units import HOUR_MS
from edge_runtime.host.advising.asking import Advisors
from edge_runtime.host.config import AdvisorConfig
from edge_runtime.node.effects import AskAdvisor
from edge_runtime.node.events import AdviceGiven
from edge_runtime.node.node import Node
from edge_runtime.node.spool import Live, Spool
from edge_runtime.node.store import Store
from edge_runtime.objects.codec import encode_value
from edge_runtime.objects.fold import ObjectState
from edge_runtime.program.advising import freeze
from edge_runtime.program.context import Context
from edge_runtime.testing import World
from tests.support.chat_server import chat_server, says

WAIT_S = 10.0


def asked(topic: str = "route", number: int = 0) -> AskAdvisor:
    """Return a question as a node asks it."""
    object_id = bytes([number]) * 32
    view = AdvisorView(topic, None, object_id.hex(), "travel", None, (), 8, 0, freeze({}))
    return AskAdvisor(object_id, topic, b"t" * 32, view)


BENCHES: list[Bench] = []


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    """After each test its advisors are closed, and every thread of theirs ends."""
    yield
    for bench in BENCHES:
        bench.advisors.close()
    BENCHES.clear()
    for thread in threading.enumerate():
        if thread.name == "advisor":
            thread.join(WAIT_S)
            assert not thread.is_alive()


class Bench:
    """Advisors of one function, and what they told."""

    def __init__(self, advise: Any, **config: Any) -> None:
        self.told: queue.Queue[AdviceGiven] = queue.Queue()
        self.now_ms = 0
        self.is_radio_on = True
        self.app = App("advisors")
        if advise is not None:
            self.app.advisor("route")(advise)
        self.advisors = Advisors(self.told.put, lambda: self.is_radio_on, lambda: self.now_ms)
        self.advisors.configure([self.app], AdvisorConfig(**config))
        BENCHES.append(self)

    def counts(self) -> dict[str, int]:
        """Return the counts that are not 0."""
        return {name: count for name, count in self.advisors.counts.items() if count}

    def settle(self, what: str, count: int) -> None:
        """Wait until something was counted so often."""
        until = threading.Event()
        for _ in range(int(WAIT_S * 200)):
            if self.advisors.counts[what] >= count:
                return
            until.wait(0.005)
        raise AssertionError(self.counts())


def test_an_advisor_answers_from_a_thread_of_its_own() -> None:
    threads: list[str] = []

    def advise(view: AdvisorView) -> Advice:
        threads.append(threading.current_thread().name)
        return Advice("left", 500, valid_ms=7)

    bench = Bench(advise)
    bench.advisors.ask(asked())
    assert bench.told.get(timeout=WAIT_S) == AdviceGiven(bytes(32), "route", b"t" * 32, encode_value("left"), 500, 7)
    assert threads == ["advisor"] and bench.counts() == {"asked": 1, "answered": 1}


def test_one_thing_is_asked_at_a_time_and_the_loop_never_waits() -> None:
    """Behaviour: 2.6."""
    gate, inside, most = threading.Event(), [0], [0]

    def advise(view: AdvisorView) -> Advice:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        gate.wait(WAIT_S)
        inside[0] -= 1
        return Advice("left", 500)

    bench = Bench(advise)
    for number in range(ADVISOR_QUEUE_MAX + 10):
        bench.advisors.ask(asked(number=number))  # returns at once although nobody answers
    assert bench.advisors.counts["dropped"] in (9, 10)
    gate.set()
    bench.settle("answered", ADVISOR_QUEUE_MAX)
    assert most[0] == 1


def test_an_advisor_over_its_budget_is_not_asked_until_the_hour_is_over() -> None:
    """Behaviour: 2.6."""
    bench = Bench(lambda view: Advice("left", 500), calls_per_hour=2)
    for _ in range(5):
        bench.advisors.ask(asked())
    bench.settle("answered", 2)
    assert bench.counts() == {"asked": 2, "answered": 2, "over_budget": 3}
    bench.now_ms = HOUR_MS
    bench.advisors.ask(asked())
    bench.settle("answered", 3)


def test_an_answer_that_took_too_long_is_dropped() -> None:
    """Behaviour: 2.6."""

    def advise(view: AdvisorView) -> Advice:
        bench.now_ms += 1_001
        return Advice("left", 500)

    bench = Bench(advise, timeout_s=1.0)
    bench.advisors.ask(asked())
    bench.settle("late", 1)
    assert bench.told.empty()


@pytest.mark.parametrize(
    "says", [RuntimeError("x"), SystemExit(3), KeyboardInterrupt(), "text", Advice("x", 1_001), Advice("x", True),
             Advice("x", 5, valid_ms=0), Advice(object(), 5), Advice("x" * 9_000, 5)],
    ids=["raises", "exits", "interrupts", "text", "too sure", "sure as a bool", "no time", "no value", "too long"],
)  # fmt: skip
def test_an_advisor_that_raises_or_answers_out_of_bounds_says_nothing_and_lives_on(says: Any) -> None:
    """Behaviour: 2.6."""
    answers = [says, Advice("left", 500)]

    def advise(view: AdvisorView) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    bench = Bench(advise)
    bench.advisors.ask(asked())
    bench.advisors.ask(asked())
    bench.told.get(timeout=WAIT_S)
    assert bench.counts() == {"asked": 2, "failed": 1, "answered": 1}


def test_a_desk_that_is_full_is_closed_all_the_same_and_an_unchanged_one_is_kept() -> None:
    gate = threading.Event()

    def advise(view: AdvisorView) -> None:
        gate.wait(WAIT_S)

    bench = Bench(advise)
    for number in range(ADVISOR_QUEUE_MAX + 5):
        bench.advisors.ask(asked(number=number))
    before = threading.active_count()
    bench.advisors.configure([bench.app], AdvisorConfig(timeout_s=5.0))
    bench.advisors.ask(asked())
    assert threading.active_count() == before
    bench.advisors.close()
    gate.set()
    bench.advisors.ask(asked())
    assert bench.advisors.counts["answered"] == 0 and bench.advisors.counts["asked"] >= ADVISOR_QUEUE_MAX


def test_no_advisor_and_one_that_says_nothing_are_counted() -> None:
    bench = Bench(lambda view: None)
    bench.advisors.ask(asked("weather"))
    bench.advisors.ask(asked())
    bench.settle("silent", 1)
    assert bench.counts() == {"asked": 1, "dropped": 1, "silent": 1}


def test_the_configured_advisor_answers_what_no_app_does_and_is_replaced_with_its_configuration() -> None:
    with chat_server(says("by the river", 640)) as server:
        bench = Bench(None)
        bench.advisors.configure([bench.app], AdvisorConfig(server.url, "m"))
        bench.advisors.ask(asked("weather"))
        given = bench.told.get(timeout=WAIT_S)
        assert (given.proposal, given.confidence) == (encode_value("by the river"), 640)
        bench.advisors.configure([bench.app], AdvisorConfig())
        bench.advisors.ask(asked("weather"))
        assert bench.advisors.counts["dropped"] == 1 and len(server.requests) == 1


def test_a_configured_advisor_that_cannot_be_made_leaves_the_device_without_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(None, base_url="nonsense")
    monkeypatch.setitem(sys.modules, "edge_runtime.host.advising.chat", None)
    bench.advisors.configure([bench.app], AdvisorConfig("http://localhost:1"))
    bench.advisors.ask(asked())
    assert bench.counts() == {"dropped": 1}
    assert "base_url" in caplog.text and "edge-runtime[advisor]" in caplog.text


def test_with_the_radio_off_nothing_is_asked_over_the_network() -> None:
    bench = Bench(None, base_url="http://192.0.2.1", model="m")
    bench.is_radio_on = False
    bench.advisors.ask(asked())
    assert bench.counts() == {"dropped": 1}


# --- Nothing within reach ----------------------------------------------------------------------------------------

POWERS = (Node, Store, Spool, Live, ObjectState, Context, AskAdvisor)
VALUES = (str, int, float, bool, bytes, type(None))


def reach(thing: Any, found: list[Any], depth: int = 0) -> None:
    """Collect what an advisor gets at by attributes and items, without the machinery of types and functions."""
    found.append(thing)
    if isinstance(thing, VALUES) or depth > 6:
        return
    if isinstance(thing, Mapping):
        for key, item in thing.items():
            reach(key, found, depth + 1)
            reach(item, found, depth + 1)
    elif isinstance(thing, tuple):
        for item in thing:
            reach(item, found, depth + 1)
    for name in dir(thing):
        if not name.startswith("__"):
            value = getattr(thing, name)
            if not callable(value):
                reach(value, found, depth + 1)


def test_an_advisor_reaches_plain_values_and_nothing_that_acts() -> None:
    """Behaviour: 2.2: probed by attribute in a whole device's view, and by import of everything there is."""
    views: list[AdvisorView] = []
    app = App("probe")

    @app.intent("travel")
    async def travel(ctx: Context, goal: dict[str, Any]) -> None:
        await ctx.advice("route", {"a": [1, {"b": b"c"}]}, 5, default=None)

    @app.advisor("route")
    def advise(view: AdvisorView) -> None:
        views.append(view)

    world = World("base", apps=[app])
    world.device("base").fact("battery.percent", 40)
    world.device("base").submit("travel", {"goal": {"x": [1, [2.5, None]]}}, name="t", labels=["red"])
    world.run(minutes=1)
    found: list[Any] = []
    reach(views[0], found)
    assert len(found) > 20
    assert all(isinstance(item, (*VALUES, tuple, Mapping, AdvisorView)) for item in found), found
    for change in (lambda: setattr(views[0], "topic", "x"), lambda: views[0].question.update(a=1)):
        with pytest.raises((AttributeError, TypeError)):
            change()
    for module in pkgutil.walk_packages(edge_runtime.__path__, "edge_runtime."):
        if not module.name.endswith("__main__"):
            held = vars(importlib.import_module(module.name))
            assert not [name for name, value in held.items() if isinstance(value, POWERS)], module.name


def test_an_async_advisor_and_a_second_one_on_a_topic_are_refused_where_they_are_declared() -> None:
    app = App("advisors")

    async def later(view: AdvisorView) -> None: ...

    with pytest.raises(UsageError, match="async"):
        app.advisor("route")(later)
    app.advisor("route")(lambda view: None)
    with pytest.raises(UsageError, match="already"):
        app.advisor("route")(lambda view: None)
    assert list(app.advisors) == ["route"]
