"""What replay promises, over programs that hypothesis writes: same calls, same records, same result, anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.objects.codec import decode_value
from edge_runtime.program.driver import Completed
from tests.support.replay_child import Bench, Case, app, continue_case, new_script
from tests.support.requires import other_python, require

ROOT = Path(__file__).parents[2]
PLAN = app.intents["plan"]

WORDS = st.sampled_from(["shoot", "send", "timer", "bad"])
DELAYS = st.integers(min_value=0, max_value=60)
LEAVES = st.one_of(
    st.tuples(st.just("step"), WORDS, st.sampled_from(["a", "b", "bad"])),
    st.tuples(st.just("sleep"), DELAYS),
    st.tuples(st.just("signals"), WORDS, st.integers(min_value=1, max_value=2)),
    st.tuples(st.just("promise"), WORDS, DELAYS),
    st.tuples(st.just("poll"), WORDS, DELAYS),
    st.tuples(st.just("fact"), WORDS),
    st.tuples(st.just("make")),
)
BRANCHES = ["seq", "gather", "group", "race", "queue", "completed", "locked"]


def _inner(nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(nodes, min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.sampled_from(BRANCHES), lists).map(lambda pair: [pair[0], *pair[1]]),
        st.tuples(st.sampled_from(["wait_for", "timeout", "shield", "guard"]), DELAYS, nodes),
        st.tuples(st.just("event"), st.integers(min_value=1, max_value=4), nodes),
    )


PLANS = st.lists(st.recursive(LEAVES, _inner, max_leaves=10), min_size=1, max_size=3)

# The brief of 1.13: a group of twenty, a race, a queue with signals between, and each kind of `wait_for`.
MISSION: list[Any] = [
    ["group", *(["step", "shoot", f"cell {n}"] for n in range(20))],
    ["race", ["step", "left", "a"], ["step", "right", "b"], ["sleep", 30]],
    ["queue", ["step", "send", "1"], ["signals", "go", 2], ["step", "send", "2"], ["signals", "go", 1]],
    ["gather", ["wait_for", 40, ["step", "slow", "a"]], ["wait_for", 0, ["step", "never", "b"]], ["make"]],
    ["wait_for", 25, ["seq", ["step", "one", "1"], ["gather", ["step", "two", "2"], ["fact", "f"]]]],
    ["gather", ["poll", "door", 60], ["poll", "door", 60], ["wait_for", 9, ["poll", "tank", 90]], ["step", "s", "1"]],
    ["poll", "door", 60],
    ["promise", "approval", 100],
]


def run_to_end(bench: Bench, rng: Random, is_cut_everywhere: bool = False) -> int:
    """Resume until the body has ended; cut everywhere means: freed and rebuilt before each resumption."""
    count = 0
    while bench.body.ended is None:
        if is_cut_everywhere:
            check_rebuilt(bench)
        assert bench.go_on(rng, 1) == 1, "a plan always has something that can resume it"
        count += 1
    return count


def check_rebuilt(bench: Bench) -> None:
    """Rebuild from records: the node sees the same, nothing is made again, nothing looked at again."""
    before = (bench.waits(), dict(bench.script.learned), dict(bench.script.published), bench.world.looks)
    bench.rebuild()
    after = (bench.waits(), dict(bench.script.learned), dict(bench.script.published), bench.world.looks)
    assert after == before


@settings(max_examples=60, deadline=None)
@given(PLANS, st.integers(min_value=0, max_value=2**32))
def test_a_body_rebuilt_before_every_resumption_does_what_the_uncut_one_does(plan: Any, seed: int) -> None:
    """Behaviour: 1.12, 3.9."""
    uncut = Bench.begin(PLAN, {"nodes": plan})
    run_to_end(uncut, Random(seed))
    cut = Bench.begin(PLAN, {"nodes": plan})
    run_to_end(cut, Random(seed), is_cut_everywhere=True)
    check_rebuilt(cut)
    assert cut.waits() == uncut.waits()
    assert cut.script == uncut.script
    assert isinstance(cut.body.ended, Completed), cut.body.ended
    cut.body.free()
    uncut.body.free()


@settings(max_examples=40, deadline=None)
@given(PLANS, st.integers(min_value=0, max_value=2**32))
def test_a_result_that_comes_for_a_call_nobody_awaits_changes_nothing(plan: Any, seed: int) -> None:
    """Behaviour: 1.12."""
    bench = Bench.begin(PLAN, {"nodes": plan})
    rng = Random(seed)
    while bench.body.ended is None:
        late = [choice for choice in bench.choices() if choice.path in bench.body.abandoned_steps()]
        if late:
            before = bench.waits()
            bench.deliver(rng.choice(late))
            after = bench.waits()
            before[1] = [path for path in before[1] if path != bench.script.resumptions[-1].path]
            assert after == before
            check_rebuilt(bench)
        else:
            bench.go_on(rng, 1)
    bench.body.free()


def test_the_mission_ends_with_the_results_in_the_order_in_which_its_steps_ended() -> None:
    bench = Bench.begin(PLAN, {"nodes": MISSION})
    assert [call.path for call in bench.body.steps()] == [f"0/{n}/shoot:1" for n in range(1, 21)]
    run_to_end(bench, Random(4), is_cut_everywhere=True)
    assert isinstance(bench.body.ended, Completed)
    seen = decode_value(bench.body.ended.value)
    ended = [r.path for r in bench.script.resumptions if "/shoot:" in r.path]
    assert seen[:20] == [f"cell {int(path.split('/')[1]) - 1}" for path in ended]
    assert seen[:20] != sorted(seen[:20])


# --- Other processes --------------------------------------------------------------------------------------------


class Child:
    """A device in another process, perhaps of another Python."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def go_on(self, case: Case) -> Case:
        """Replay there, and go on there."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(case) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Case)


@contextmanager
def child(python: str, hash_seed: int = 0) -> Iterator[Child]:
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
    command = [python, "-m", "tests.support.replay_child"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe) as process:
        yield Child(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Child]:
    """A device that runs another minor version of Python."""
    require("python-other")
    with child(str(other_python())) as device:
        yield device


def relay(here_first: bool, elsewhere: Child, plan: Any, rng: Random, hop: int) -> Case:
    """Carry an object to and fro until it ends, `hop` resumptions on each device; each must see what the last saw."""
    case = Case("plan", new_script({"nodes": plan}), rng.randrange(2**32), hop)
    is_here, seen = here_first, None
    while True:
        before = len(case.script.resumptions)
        case = continue_case(case) if is_here else elsewhere.go_on(case)
        replayed, waits = case.waits
        if seen is not None:
            assert replayed == seen
        seen = waits
        if waits[-1] is not None:
            return case
        assert len(case.script.resumptions) > before, "a plan always has something that can resume it"
        case.seed, case.resumptions, is_here = rng.randrange(2**32), hop, not is_here


@pytest.mark.parametrize("here_first", [True, False])
@pytest.mark.parametrize("hop", [1, 3])
def test_an_object_that_goes_to_another_python_and_back_makes_the_same_calls(
    elsewhere: Child, here_first: bool, hop: int
) -> None:
    """Behaviour: 1.13."""
    for seed in range(5):
        case = relay(here_first, elsewhere, MISSION, Random(seed), hop)
        assert case.waits[1][-1][0] == "Completed"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PLANS, st.integers(min_value=0, max_value=2**32))
def test_any_program_may_move_between_versions_of_python_at_every_resumption(
    elsewhere: Child, plan: Any, seed: int
) -> None:
    """Behaviour: 1.13."""
    case = relay(True, elsewhere, plan, Random(seed), hop=1)
    assert case.waits[1][-1][0] == "Completed"


def test_sets_of_tasks_come_in_the_same_order_whatever_the_hash_seed() -> None:
    """Behaviour: 1.13. The standard library iterates sets of tasks; by address, their order differs between runs."""
    race = ["race", *(["step", "run", str(n)] for n in range(9))]
    plan = [["race", *[["seq", race, race]] * 3], ["completed", *(["step", "one", str(n)] for n in range(9))], race]
    case = Case("plan", new_script({"nodes": plan}), 5, 100)
    answers = []
    for hash_seed in (0, 1, 2, 3, 4):
        with child(sys.executable, hash_seed) as device:
            answers.append(msgspec.json.encode(device.go_on(case)))
    assert len(set(answers)) == 1
    assert b"Completed" in answers[0]
