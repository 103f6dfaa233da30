"""Finding apps by module, by file, by folder; and those that do not load."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.apps import load_app, load_apps

APP = "from edge_runtime import App\napp = App('{name}')\n"
PLAIN = "async def greet(name): return f'hello {name}'\n"


@pytest.fixture(autouse=True)
def _forget_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Leave search path and modules as they were, and stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = dict(sys.modules)
    yield
    for name in [name for name in sys.modules if name not in known]:
        del sys.modules[name]


def put(folder: Path, name: str, text: str) -> None:
    """Write a module."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_module_in_the_current_directory_is_found_first(tmp_path: Path) -> None:
    put(tmp_path, "colorsys.py", APP.format(name="mine"))  # the standard library has one of that name
    assert load_app("colorsys:app").name == "mine"


def test_a_function_is_an_app_of_one_intent(tmp_path: Path) -> None:
    put(tmp_path, "hello_one.py", PLAIN)
    assert list(load_app("hello_one:greet").intents) == ["greet"]


def test_a_file_can_be_named_and_need_not_be_a_module_name(tmp_path: Path) -> None:
    put(tmp_path, "my-app.py", APP.format(name="dashed"))
    assert load_app("my-app.py:app").name == "dashed"
    assert load_app(f"{tmp_path}/my-app.py:app").name == "dashed"


def test_without_a_name_the_only_app_of_the_module_is_meant(tmp_path: Path) -> None:
    put(tmp_path, "single_one.py", APP.format(name="single"))
    assert load_app("single_one").name == "single"
    assert load_app("single_one.py").name == "single"


def test_without_a_name_several_apps_are_not_guessed_among(tmp_path: Path) -> None:
    put(tmp_path, "double_one.py", APP.format(name="a") + "other = App('b')\n")
    with pytest.raises(UsageError, match="has 2 apps: say which one, as double_one:NAME"):
        load_app("double_one")


def test_a_configured_folder_is_looked_in(tmp_path: Path) -> None:
    put(tmp_path / "opt", "far_one.py", APP.format(name="far"))
    assert load_app("far_one:app", str(tmp_path / "opt")).name == "far"


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    put(tmp_path / "opt", "near_one.py", "NAME = 'neighbour'\n")
    put(tmp_path / "opt", "far_two.py", "from near_one import NAME\n" + APP.format(name="x").replace("'x'", "NAME"))
    assert load_app("far_two.py:app", str(tmp_path / "opt")).name == "neighbour"


BROKEN = {
    "syntax_one": ("def f(:\n", "SyntaxError"),
    "raises_one": ("x = 1\nraise ValueError('no camera')\n", "ValueError: no camera.*raises_one.py, line 2"),
    "exits_one": ("import sys\nsys.exit(3)\n", "SystemExit"),
    "needs_one": ("import missing_library\n", "No module named 'missing_library'"),
    "empty_one": ("", "has no attribute 'app'"),
    "number_one": ("app = 7\n", "an app is an App or a function, not int"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_app_that_does_not_load_says_why(tmp_path: Path, name: str) -> None:
    text, reason = BROKEN[name]
    put(tmp_path, f"{name}.py", text)
    with pytest.raises(UsageError, match=f"(?s){reason}"):
        load_app(f"{name}:app")


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="'nothing_one:app' does not load.*No module named 'nothing_one'"):
        load_app("nothing_one:app")
    with pytest.raises(UsageError, match=r"'nothing_one\.py:app' does not load.*nothing_one\.py"):
        load_app("nothing_one.py:app")


def test_one_broken_app_does_not_keep_the_others_out(tmp_path: Path) -> None:
    put(tmp_path, "good_one.py", APP.format(name="good"))
    put(tmp_path, "bad_one.py", "raise RuntimeError('broken')\n")
    loaded = load_apps([("bad_one:app", ""), ("good_one:app", "")])
    assert [app.name for app in loaded.apps] == ["good"]
    assert len(loaded.failures) == 1 and "bad_one:app" in loaded.failures[0] and "broken" in loaded.failures[0]


def test_control_c_during_an_import_ends_the_start(tmp_path: Path) -> None:
    put(tmp_path, "stopped_one.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_app("stopped_one:app")
