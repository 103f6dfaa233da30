"""The page of public Python names, read off their source and docstrings."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import Any

import edge_runtime
from edge_runtime import testing

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Writing handlers": (
        "What a module with an app needs. The [tutorial](../tutorial/one-device.md) uses most of it.",
        ("App", "Context", "Retry", "EffectClass", "Child", "Joined", "ChildEnd", "End", "Advice", "AdvisorView"),
    ),
    "Inside a step": (
        "A step is a plain function, called by `ctx.run`.",
        ("current_attempt", "Attempt"),
    ),
    "Errors that a step raises": (
        "Each says why it did not work, and so when it is tried again: [outcomes](../architecture.md#outcomes).",
        ("TerminalError", "Busy", "Unreachable", "Refused", "Incapable", "PartialError", "Outcome"),
    ),
    "Errors that a handler catches": (
        "They are raised at an `await` of the handler, in the first run and in every replay alike.",
        ("StepFailed", "RefinementRefused", "JoinFailed", "BodyFreed"),
    ),
    "Testing without a device": (
        "Imported from `edge_runtime.testing`: whole devices in memory, on virtual time; see [a test of a mission]"
        "(../tutorial/mission.md#test-it-without-a-device).",
        ("World", "DevicePlan", "Device"),
    ),
    "Asking a device from another program": (
        "Both clients speak the [control socket](../control.md).",
        ("BlockingClient", "Client", "UsageError", "EdgeError"),
    ),
}
SECTIONS = re.compile(r"^(Args|Attributes|Returns|Yields|Raises(?: \(all calls\))?|Cost|Source):\s*(.*)$")
ITEM = re.compile(r"^([\w*][\w, *.]*): (.*)$")
WIDE = 100
Function = ast.FunctionDef | ast.AsyncFunctionDef


def page() -> str:
    """Return the page."""
    named = [name for _, names in GROUPS.values() for name in names if name not in testing.__all__]
    assert sorted(named) == sorted(edge_runtime._PLACES), "each public name stands in exactly one group"
    lines = [
        "# Python",
        "",
        "Every public name of `edge_runtime`: what it takes, gives and raises, and what to do about that. All are",
        "imported from `edge_runtime` itself, but for those of tests, and loaded at first use. Names in capitals are",
        "[limits](limits.md).",
    ]
    for title, (text, names) in GROUPS.items():
        lines += ["", f"## {title}", "", text]
        for name in names:
            lines += ["", *_thing(name, getattr(testing if name in testing.__all__ else edge_runtime, name))]
    return "\n".join(lines)


def _thing(name: str, thing: Any) -> Iterator[str]:
    yield f"### `{name}`"
    if not inspect.isclass(thing):
        yield from _signature(name, _parsed(thing))
        yield from _text(inspect.getdoc(thing))
        return
    if not issubclass(thing, Enum):
        yield from _signature(name, _maker(thing))
    yield from _text(inspect.getdoc(thing))
    if issubclass(thing, Enum):
        yield ""
        yield ", ".join(f"`{member.name}`" for member in thing) + "."
    for member, owner in _members(thing):
        value = inspect.getattr_static(thing, member)
        yield ""
        yield f"#### `{name}.{member}`"
        if isinstance(value, property):
            kind = _parsed(value.fget).returns
            yield from ("", "```python", f"{member}: {ast.unparse(kind) if kind else 'Any'}", "```")
            yield from _text(inspect.getdoc(value))
        else:
            function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            yield from _signature(member, _parsed(function))
            yield from _text(inspect.getdoc(function) or _inherited(owner, member))


def _members(thing: type) -> Iterator[tuple[str, type]]:
    """Yield public methods and properties of our own classes, in the order of the source, the class's own first."""
    seen = set()
    for owner in thing.__mro__:
        if not owner.__module__.startswith("edge_runtime") or issubclass(thing, Enum):
            continue
        for member, value in vars(owner).items():
            is_one = inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))
            if is_one and not member.startswith("_") and member not in seen:
                seen.add(member)
                yield member, owner


def _inherited(owner: type, member: str) -> str:
    return next((text for base in owner.__mro__ if (text := inspect.getdoc(vars(base).get(member)))), "")


def _parsed(function: Any) -> Function:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
    assert isinstance(node, Function)
    return node


def _maker(thing: type) -> Function | None:
    """Return how an instance is made: `__init__` of our own, or the annotated fields of a struct."""
    for owner in thing.__mro__:
        if owner.__module__.startswith("edge_runtime") and "__init__" in vars(owner):
            return _parsed(vars(owner)["__init__"])
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    assert isinstance(node, ast.ClassDef)
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
    shown = [ast.unparse(field).replace(" = ", "=", 1) for field in fields]
    (made,) = ast.parse(f"def f({', '.join(shown)}): ...").body if fields else (None,)
    assert made is None or isinstance(made, Function)
    return made


def _signature(name: str, node: Function | None) -> Iterator[str]:
    if node is None:
        return
    arguments = ast.parse(ast.unparse(node)).body[0].args  # type: ignore[attr-defined]
    for kind in (arguments.posonlyargs, arguments.args):
        if kind and kind[0].arg in ("self", "cls"):
            kind.pop(0)
    text = ast.unparse(arguments)
    gives = f" -> {ast.unparse(node.returns)}" if node.returns is not None and node.name != "__init__" else ""
    start = f"{'await ' if isinstance(node, ast.AsyncFunctionDef) else ''}{name}"
    line = f"{start}({text}){gives}"
    yield from ("", "```python")
    if len(line) <= WIDE:
        yield line
    else:
        yield f"{start}("
        yield textwrap.indent(textwrap.fill(text, WIDE - 4, break_long_words=False), "    ")
        yield f"){gives}"
    yield "```"


def _text(doc: str | None) -> Iterator[str]:
    """Yield a docstring as Markdown: sections become bold, their entries a list."""
    section = ""
    yield ""
    for line in (doc or "").splitlines():
        if found := SECTIONS.match(line):
            section = found[1]
            yield ""
            yield f"**{section}:** {found[2]}".rstrip()
            yield ""
        elif section and line.startswith("    "):
            item = ITEM.match(line[4:])
            more = line.strip()
            yield f"- `{item[1]}`: {_plain(item[2])}" if item else f"  {_plain(more)}" if section != "Returns" else more
        else:
            section = "" if line.strip() else section
            yield _plain(line)


def _plain(text: str) -> str:
    """Return text in which no angle bracket is taken for a tag; what stands in backquotes stays."""
    parts = text.split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))
