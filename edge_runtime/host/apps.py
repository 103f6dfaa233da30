"""Loading the apps whose handlers this device runs. One that fails to import is named; the daemon runs without it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from msgspec import Struct

from ..base.errors import UsageError
from ..program.app import App
from ..base.foreign import contained


class LoadedApps(Struct, frozen=True):
    """The apps that stand, and a line for each that does not."""

    apps: tuple[App, ...]
    failures: tuple[str, ...]


def load_apps(specs: Sequence[tuple[str, str]]) -> LoadedApps:
    """Load apps given as (spec, folder): `module:name`, `file.py:name`, or either without a name.

    The folder, or the current directory, is looked in first.
    """
    apps: list[App] = []
    failures: list[str] = []
    for spec, folder in specs:
        try:
            apps.append(load_app(spec, folder))
        except UsageError as error:
            failures.append(error.message)
    return LoadedApps(tuple(apps), tuple(failures))


def load_app(spec: str, folder: str = "") -> App:
    """Load one app.

    Raises:
        UsageError: it does not import, or the name is not there; the text says which line failed.
    """
    target, _, name = spec.rpartition(":") if ":" in spec else (spec, "", "")
    place = os.path.abspath(folder or os.getcwd())
    if place not in sys.path:
        sys.path.insert(0, place)
    found: object = None
    with contained() as caught:
        module = _import_file(target, place) if target.endswith(".py") else importlib.import_module(target)
        found = getattr(module, name) if name else _only_app(module)
    error = caught.error
    if isinstance(error, (UsageError, KeyboardInterrupt)):
        raise error
    if error is not None:
        what = f"{type(error).__name__}: {error}{_line_of(error)}"
        raise UsageError(f"The app {spec!r} does not load: {what}. Mend it and start again.")
    return App.of(found)


def _import_file(target: str, place: str) -> ModuleType:
    path = Path(place, target)
    found = importlib.util.spec_from_file_location(path.stem, path)
    if found is None or found.loader is None:
        raise UsageError(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(found)
    sys.modules[path.stem] = module
    found.loader.exec_module(module)
    return module


def _only_app(module: ModuleType) -> App:
    found = [value for value in vars(module).values() if isinstance(value, App)]
    if len(found) != 1:
        raise UsageError(f"{module.__name__} has {len(found)} apps: say which one, as {module.__name__}:NAME.")
    return found[0]


def _line_of(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or "importlib" in trace.tb_frame.f_code.co_filename:
        return ""
    return f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"
