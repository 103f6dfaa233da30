"""The page of all keys of `config.toml`, read off the types that parse it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect as kinds

from edge_runtime.host.config import EXAMPLE, Config
from edge_runtime.host.task_config import EXAMPLE as SCHEDULE_EXAMPLE
from tests.support.reference.settings_words import EXAMPLES, WORDS

# Words for the patterns of names: what may stand in them.
NAMES = {
    r"^[a-z0-9_]+(\.[a-z0-9_]+)*$": "lower-case words joined by dots",
    r"^[a-z0-9_]+([.-][a-z0-9_]+)*$": "lower-case words joined by dots or hyphens",
    r"^([a-z0-9_]|\{[1-9]\})+(\.([a-z0-9_]|\{[1-9]\})+)*$": "lower-case words joined by dots, `{1}` … `{9}` in them",
    r"^[A-Za-z0-9._-]+$": "host name",
}
HEAD = re.compile(r"^\[+[a-z.]+\]+$", re.M)


def page() -> str:
    """Return the page."""
    lines = [
        "# Configuration",
        "",
        "Every section and key of `config.toml`: what it is for, its type and bounds, what counts if it is left out.",
        "`edge-runtime run --config FILE` names the file; an installed device has `/etc/edge-runtime/config.toml`.",
        "Every section may be left out. A key that is not listed here is refused by name.",
        "",
        "Try a file with `edge-runtime config check FILE`; a daemon reads it again at `systemctl reload edge-runtime`",
        "or `kill -HUP`. What is *read at the start* needs a restart. `policy.toml` beside it has",
        "[a page of its own](../policy.md).",
    ]
    for head, struct in sections():
        lines += ["", f"## `{head}`", "", _said(struct), "", "| key | for | type | default |", "|---|---|---|---|"]
        named = {field.name for field in struct.fields}
        assert named == set(WORDS[head]), f"settings_words.py, {head}: {sorted(named ^ set(WORDS[head]))}"
        lines += [_row(field, WORDS[head][field.name]) for field in struct.fields]
        lines += ["", "```toml", example(head).rstrip(), "```"]
    return "\n".join(lines)


def sections() -> list[tuple[str, kinds.StructType]]:
    """Return heading and type of each section, a nested one after its parent."""
    return list(_sections(kinds.type_info(Config), ""))


def _sections(struct: Any, before: str) -> Iterator[tuple[str, kinds.StructType]]:
    for field in struct.fields:
        kind, is_list = _bare(field.type), False
        if isinstance(kind, kinds.ListType):
            kind, is_list = kind.item_type, True
        if isinstance(kind, kinds.StructType):
            name = f"{before}{field.name}"
            yield f"[[{name}]]" if is_list else f"[{name}]", kind
            yield from _sections(kind, f"{name}.")


def example(head: str) -> str:
    """Return a section as it may be written."""
    if head in EXAMPLES:
        return EXAMPLES[head]
    text = f"{EXAMPLE}\n{SCHEDULE_EXAMPLE}"
    heads = list(HEAD.finditer(text))
    for number, found in enumerate(heads):
        if found[0] == head:
            return text[found.start() : heads[number + 1].start() if number + 1 < len(heads) else len(text)].strip()
    raise AssertionError(f"no example shows {head}")


def _said(struct: kinds.StructType) -> str:
    """Return the first sentence of the type's docstring, without the section's name."""
    first = " ".join((struct.cls.__doc__ or "").split("\n\n")[0].split())
    text = first.partition(": ")[2] or first
    return text[:1].upper() + text[1:]


def _row(field: kinds.Field, words: str) -> str:
    cells = (f"`{field.name}`", words, _type(_bare(field.type)), _default(field))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _bare(kind: Any) -> Any:
    """Return a type without its metadata and without `| None`."""
    while isinstance(kind, kinds.Metadata):
        kind = kind.type
    if isinstance(kind, kinds.UnionType):
        kind = next(item for item in kind.types if not isinstance(item, kinds.NoneType))
    return kind


def _type(kind: Any) -> str:
    match kind:
        case kinds.BoolType():
            return "true or false"
        case kinds.IntType() | kinds.FloatType():
            return ("whole number" if isinstance(kind, kinds.IntType) else "number") + _range(kind)
        case kinds.StrType(pattern=pattern, max_length=longest, min_length=least):
            if pattern is not None and "ms|s|m|h|d" in pattern:
                return "duration, such as `90s` or `1h30m`"
            if pattern is not None:
                return f"{NAMES[pattern]}, at most {longest} characters"
            return "text" + (f", {least or 0} … {longest} characters" if longest else "")
        case kinds.DateTimeType():
            return "date and time with zone"
        case kinds.EnumType(cls=cls):
            return " or ".join(f'`"{member.value}"`' for member in cls)
        case kinds.LiteralType(values=values):
            return " or ".join(f'`"{value}"`' for value in values)
        case kinds.ListType(item_type=item, max_length=most) | kinds.VarTupleType(item_type=item, max_length=most):
            inner = _bare(item)
            what = "tables" if isinstance(inner, kinds.StructType) else f"{_type(inner)}"
            return f"list of {what}" + (f"; at most {most}" if most else "")
        case kinds.DictType(value_type=value, max_length=most):
            return f"table of {_type(_bare(value))}" + (f"; at most {most}" if most else "")
        case kinds.AnyType():
            return "any value"
    raise AssertionError(f"no words for {kind}")


def _range(kind: Any) -> str:
    least = kind.ge if kind.ge is not None else kind.gt
    most = kind.le if kind.le is not None else kind.lt
    if least is None and most is None:
        return ""
    above = "above " if kind.ge is None and least is not None else ""
    return f", {above}{_number(least)} … {_number(most)}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{int(value):_}" if value == int(value) else str(value)


def _default(field: kinds.Field) -> str:
    if field.default is not msgspec.NODEFAULT:
        value = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    else:
        return "**must be said**"
    value = msgspec.to_builtins(value)
    if value is None or value in ("", [], {}, ()):
        return "–"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"`{_number(value)}`"
    return f"`{msgspec.json.encode(value).decode()}`"
