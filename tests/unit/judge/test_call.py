"""What rules see of a call: bounded paths into arguments, reserved names, and nothing where nothing is known."""

from __future__ import annotations

import pytest

from edge_runtime.base.limits import ARGUMENT_DEPTH_MAX
from edge_runtime.judge.call import KNOWN, RESERVED, Call, CallView, is_known, is_reserved, walk
from edge_runtime.objects.conditions import Scalar
from tests.support.snapshots import snapshot

CALL = Call(
    "survey.area", "", ("executor", "operator"), b"\xab" * 32, 3, "trip", ("urgent",), {"area": {"cells": [4, 5]}},
    "shoot", "idempotent", "camera0", ("camera", "gpu.cuda"), {"max_bytes": 10, "job": {"tags": ["x"], "on": True}},
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("intent", "survey.area"), ("step.name", "shoot"), ("step.effect", "idempotent"),
        ("step.resource", "camera0"), ("step.needs.camera", True), ("step.needs.gpu.cuda", True),
        ("step.needs.gps", False), ("arg.max_bytes", 10), ("arg.job.tags.0", "x"), ("arg.job.on", True),
        ("object.priority", 3), ("object.name", "trip"), ("object.label.urgent", True),
        ("object.label.calm", False), ("object.arg.area.cells.1", 5), ("creator.role", "operator"),
        ("creator.device", "ab" * 32),
        # What is not there is unknown.
        ("arg.min_bytes", None), ("arg.job", None), ("arg.job.tags.1", None), ("arg.job.tags.x", None),
        ("arg.max_bytes.more", None), ("intent.more", None), ("object.arg.cells", None), ("step.more", None),
    ],
)  # fmt: skip
def test_a_name_means_one_thing(name: str, value: Scalar | None) -> None:
    assert is_reserved(name)
    found = CallView(CALL, snapshot({"other": 1})).fact_value(name, None)
    assert found == value and type(found) is type(value)


def test_without_a_step_what_is_said_of_steps_is_unknown() -> None:
    call = Call("survey.area", arguments={"max_bytes": 1})
    for name in ("step.name", "step.effect", "step.needs.camera", "arg.max_bytes"):
        assert call.value(name) is None
    assert call.value("creator.role") == "none"


def test_facts_and_calls_cannot_stand_for_each_other() -> None:
    """Behaviour: 2.7."""
    view = CallView(CALL, snapshot({"battery.percent": 50, "arg.max_bytes": 99, "step.name": "other"}))
    assert view.fact_value("arg.max_bytes", None) == 10
    assert view.fact_value("step.name", None) == "shoot"
    assert view.fact_value("battery.percent", None) == 50
    loud = Call("x", step="s", arguments={"battery.percent": 1, "battery": {"percent": 1}})
    assert CallView(loud, snapshot()).fact_value("battery.percent", None) is None


def test_a_path_is_bounded() -> None:
    deep: object = 7
    for _ in range(ARGUMENT_DEPTH_MAX):
        deep = {"a": deep}
    assert walk(deep, ".".join("a" * ARGUMENT_DEPTH_MAX)) == 7
    assert walk({"a": deep}, ".".join("a" * (ARGUMENT_DEPTH_MAX + 1))) is None
    assert walk([1], "999999999999999999999") is None
    assert walk([1], "-1") is None and walk([1], "٠") is None


def test_every_name_is_listed_and_reserved() -> None:
    assert all(is_known(name.replace("…", "x")) for name in KNOWN)
    assert {name.partition(".")[0] for name in KNOWN} == set(RESERVED)
    assert not is_known("step.nme") and not is_known("arg.") and not is_known("arg")
