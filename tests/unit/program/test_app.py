"""Registering intents, and how a submitted value becomes arguments."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from edge_runtime import App, Context, UsageError
from edge_runtime.base.limits import NAME_BYTES_MAX
from edge_runtime.objects.codec import decode_value, encode_value
from edge_runtime.program.app import Intent
from edge_runtime.program.driver import Body, Completed
from tests.support.replay_child import START, Bench, Facts, new_script, outcome_of


@dataclass
class Area:
    """One argument with fields of its own."""

    cells: int
    name: str = "field"


async def greet(ctx: Context, name: str) -> str:
    return f"hello {name}"


async def survey(ctx: Context, area: Area) -> str:
    return f"{area.name} {area.cells}"


async def move(ctx: Context, x: int, y: int = 0) -> list[int]:
    return [x, y]


async def rest(ctx: Context) -> str:
    return "rested"


async def count(ctx: Context, n: int = 7) -> int:
    return n


async def both(ctx: Context, a: str = "A", b: str = "B") -> str:
    return a + b


async def anything(ctx: Context, thing: Any) -> Any:
    return thing


async def table(ctx: Context, rows: dict[str, int]) -> int:
    return sum(rows.values())


async def untyped(ctx, name):
    return name


def intent_of(function: Any) -> Intent:
    app = App("test")
    app.intent("it")(function)
    return app.intents["it"]


def called(function: Any, value: Any) -> Any:
    """Submit a value to a handler that waits for nothing, and return its result."""
    intent, arguments = intent_of(function), encode_value(value)
    intent.check(arguments)
    script = new_script(value)
    body = Body(intent, START, script)
    body.replay(Facts())
    body.free()
    assert isinstance(body.ended, Completed), body.ended
    return decode_value(body.ended.value)


@pytest.mark.parametrize(
    ("function", "value", "result"),
    [
        (greet, "Ada", "hello Ada"),
        (greet, {"name": "Ada"}, "hello Ada"),
        (untyped, "Ada", "Ada"),
        (survey, {"cells": 3}, "field 3"),
        (survey, {"cells": 3, "name": "shore"}, "shore 3"),
        (survey, {"area": {"cells": 3}}, "field 3"),
        (move, {"x": 1, "y": 2}, [1, 2]),
        (move, {"x": 1}, [1, 0]),
        (rest, None, "rested"),
        (rest, {}, "rested"),
        (count, None, 7),
        (count, {}, 7),
        (count, 3, 3),
        (count, {"n": 3}, 3),
        (both, None, "AB"),
        (both, {}, "AB"),
        (both, {"b": "x"}, "Ax"),
        (anything, None, None),
        (anything, {}, {}),
        (anything, [1], [1]),
        (anything, {"other": 1}, {"other": 1}),
        (anything, {"thing": {"thing": 1}}, {"thing": 1}),
        (anything, {1: b"x"}, {1: b"x"}),
        (table, {"a": 1, "b": 2}, 3),
        (table, {}, 0),
        (table, {"rows": {"rows": 4}}, 4),
    ],
)
def test_a_value_is_passed_by_the_three_rules(function: Any, value: Any, result: Any) -> None:
    assert called(function, value) == result


@pytest.mark.parametrize(
    ("function", "value", "says"),
    [
        (greet, None, "argument 'name' of it does not fit: Expected `str`, got `null`"),
        (greet, 5, "argument 'name' of it does not fit: Expected `str`, got `int`"),
        (greet, {"nam": "Ada"}, r"argument 'name' of it \(a map is its value, unless all its keys are among: name\)"),
        (greet, {"name": "Ada", "age": 3}, "unless all its keys are among: name"),
        (survey, {"cells": "three"}, r"Expected `int`, got `str` - at `\$.cells`"),
        (survey, {"cell": 3}, "missing required field `cells`"),
        (move, None, r"it takes a map with x, y \(optional\), not nothing"),
        (move, 5, "it takes a map with .*, not a value of type int"),
        (move, [1, 2], "not a value of type list"),
        (move, {"x": 1, "z": 2}, "it takes a map with .*, not one with z"),
        (move, {}, r"it takes a map with x, y \(optional\): x is missing"),
        (move, {"y": 1}, "x is missing"),
        (move, {"x": 1.5}, "argument 'x' of it does not fit: Expected `int`, got `float`"),
        (rest, 5, "it takes no arguments, not a value of type int"),
        (rest, {"x": 1}, "it takes no arguments, not one with x"),
        (both, {1: 2}, "not one with 1"),
        (table, {"a": "x"}, "Expected `int`, got `str`"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_submission_by_name(
    function: Any, value: Any, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        intent_of(function).check(encode_value(value))


def test_arguments_that_are_no_value_are_refused() -> None:
    with pytest.raises(UsageError, match="the argument of it cannot be read"):
        intent_of(greet).check(b"\xff")


# --- Registering --------------------------------------------------------------------------------------------------


def test_an_intent_is_named_by_the_decorator_or_by_its_function() -> None:
    app = App("survey", version=3)

    @app.intent("survey.area", needs={"gps", "camera"})
    async def area(ctx: Context) -> None: ...

    @app.intent
    async def bare(ctx: Context) -> None: ...

    @app.intent()
    async def called_without_a_name(ctx: Context) -> None: ...

    assert list(app.intents) == ["survey.area", "bare", "called_without_a_name"]
    intent = app.intents["survey.area"]
    assert (intent.version, intent.needs, intent.function) == (3, ("camera", "gps"), area)
    with pytest.raises(TypeError):
        app.intents["x"] = intent  # type: ignore[index]
    with pytest.raises(UsageError, match="app 'survey' has an intent 'bare' already"):
        app.intent(bare)


@pytest.mark.parametrize(
    ("name", "version"), [("", 1), ("x" * (NAME_BYTES_MAX + 1), 1), (None, 1), ("x", 0), ("x", "1"), ("x", True)]
)
def test_an_app_has_a_name_and_a_whole_version(name: Any, version: Any) -> None:
    with pytest.raises(UsageError):
        App(name, version)


def _sync(ctx: Context) -> None: ...


async def _yielding(ctx: Context) -> Any:
    yield 1


def _generator() -> Any:
    yield 1


async def _many(ctx: Context, *args: int) -> None: ...


async def _keywords(ctx: Context, **more: int) -> None: ...


async def _positional(ctx: Context, a: int, /) -> None: ...


async def _lost(ctx: Context, a: Missing) -> None: ...  # noqa: F821


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (_sync, "takes a context and so must be async"),
        (_yielding, "yields: a handler returns its result"),
        (_generator, "yields"),
        (_many, r"parameter \*args: 'int' of x has no name to give it by"),
        (_keywords, "has no name to give it by"),
        (_positional, "has no name to give it by"),
        (_lost, "annotations of _lost cannot be resolved: name 'Missing' is not defined"),
    ],
)
def test_a_function_that_cannot_be_an_intent_is_refused_where_it_is_registered(function: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        App("test").intent("x")(function)


def test_a_context_is_known_by_annotation_or_by_name() -> None:
    async def by_type(terms: Context) -> None: ...

    async def by_name(ctx) -> None: ...

    async def neither(terms: str) -> None: ...

    by_type.__annotations__["terms"] = Context
    assert [intent_of(f).is_one_step for f in (by_type, by_name, neither)] == [False, False, True]
    by_type.__annotations__["terms"] = "edge_runtime.Context"
    assert not intent_of(by_type).is_one_step


# --- One step -----------------------------------------------------------------------------------------------------


async def hello(name: str, loud: bool = False) -> str:
    return f"hello {name}{'!' if loud else ''}"


def area_of(area: Area) -> Area:
    return Area(area.cells + 1)


def test_a_plain_function_is_an_intent_of_one_idempotent_step() -> None:
    app = App.of(hello)
    assert (app.name, app.version, list(app.intents)) == ("hello", 1, ["hello"])
    bench = Bench.begin(app.intents["hello"], {"name": "Ada"})
    [call] = bench.body.steps()
    assert (call.path, call.effect.name, call.result_type) == ("0/0/hello:1", "IDEMPOTENT", str)
    assert asyncio.run(call.function(*call.arguments)) == "hello Ada"
    with pytest.raises(UsageError, match=r"takes a map with name, loud \(optional\)"):
        app.intents["hello"].check(encode_value("Ada"))
    bench.body.free()


def test_a_plain_function_gets_its_arguments_as_its_types() -> None:
    bench = Bench.begin(App.of(area_of).intents["area_of"], {"cells": 4})
    [call] = bench.body.steps()
    assert call.function(*call.arguments) == Area(5)
    bench.deliver(outcome_of(call, 1, 1))
    assert isinstance(bench.body.ended, Completed)
    assert decode_value(bench.body.ended.value) == {"cells": 5, "name": "field"}
    bench.body.free()


def test_an_app_stays_itself_and_what_is_neither_app_nor_function_is_refused() -> None:
    app = App("x")
    assert App.of(app) is app
    for thing in (3, "hello", None, Area, print):
        with pytest.raises(UsageError, match="an app is an App or a function"):
            App.of(thing)
