"""Triggers as people write them: a condition in which happenings may stand beside facts.

Examples: `event(landed)`, `changed(battery.percent) and link.ground == "up"`, `entry(timeout) or age > hours(2)`,
`steady(link.ground == "up", seconds(5))`, `done("<id of an object>")`, `signal(go) or after(minutes(10))`,
`at("2026-11-24 06:00")`, `peer(camera)`. Names stand bare or in quotes. Only local text is parsed.
"""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta

from ..base.errors import UsageError
from ..base.limits import CONDITION_DEPTH_MAX, INTEGER_MAX, NAME_BYTES_MAX
from ..base.moment import Trust
from . import condition_text as text_of
from .conditions import count_nodes
from .triggers import After, All, Any, At, Changed, Done, Not, OnEntry, OnEvent, OnPeer, OnSignal, Steady, Trigger, When

NAMED: dict[str, type[OnEvent | Changed | OnSignal | OnPeer | OnEntry]] = {
    "event": OnEvent, "changed": Changed, "signal": OnSignal, "peer": OnPeer, "entry": OnEntry,
}  # fmt: skip
WORDS = (*NAMED, "done", "at", "after", "steady")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_trigger(text: str, age_ms: int = 0) -> Trigger:
    """Return the trigger that a text spells; a text without happenings is one condition.

    Args:
        age_ms: of the object now: `after` counts from it.

    Raises:
        UsageError: the text is none; says at which part, and shows an example.
    """
    return text_of.parse_with(text, lambda node: _convert(node, 1, age_ms))


def _convert(node: ast.expr, depth: int, age_ms: int) -> Trigger:
    if depth > CONDITION_DEPTH_MAX:
        raise UsageError(f"The condition is nested deeper than {CONDITION_DEPTH_MAX}: simplify it.")
    if not any(_word_of(inner) for inner in ast.walk(node)):
        return _level(node)
    match node:
        case ast.BoolOp(op=op, values=values):
            items = tuple(_convert(item, depth + 1, age_ms) for item in values)
            return All(items) if isinstance(op, ast.And) else Any(items)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Not(_convert(operand, depth + 1, age_ms))
        case ast.Call(func=ast.Name(id=word), args=args, keywords=[]):
            return _leaf(node, word, args, age_ms)
    raise text_of.refusal(ast.unparse(node), "a happening stands alone, or is joined by and, or, not")


def _word_of(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Name(id=word)) if word in WORDS:
            return word
    return ""


def _level(node: ast.expr) -> When:
    condition = text_of.convert(node, 1)
    text_of.check_size(count_nodes(condition))
    return When(condition)


def _leaf(node: ast.expr, word: str, args: list[ast.expr], age_ms: int) -> Trigger:
    match word, args:
        case _, [name] if word in NAMED:
            return NAMED[word](_name(name))
        case "done", [ast.Constant(value=str() as reference)]:
            return Done(_object_id(reference))
        case "after", [duration]:
            return After(min(age_ms + text_of.duration_ms_of(duration), INTEGER_MAX))
        case "at", [ast.Constant(value=str() as date)]:
            return At(_wall_ms(date), Trust.NTP)
        case "at", [ast.Constant(value=str() as date), ast.Name(id=trust)] if trust.upper() in Trust.__members__:
            return At(_wall_ms(date), Trust[trust.upper()])
        case "steady", [condition, duration]:
            return Steady(_level(condition).condition, text_of.duration_ms_of(duration))
    raise text_of.refusal(ast.unparse(node), f"expected one of {', '.join(WORDS)} with what it takes")


def _name(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str() as text):
            if 1 <= len(text.encode("utf-8", "replace")) <= NAME_BYTES_MAX:
                return text
            raise text_of.refusal(ast.unparse(node), f"a name is 1 to {NAME_BYTES_MAX} bytes")
    return text_of.name_of(node)


def _object_id(reference: str) -> bytes:
    try:
        found = bytes.fromhex(reference)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise text_of.refusal(f"done({reference!r})", "give the object's whole id, 64 hex digits")
    return found


def _wall_ms(date: str) -> int:
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise text_of.refusal(f"at({date!r})", 'give a date such as "2026-11-24 06:00", in UTC') from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0, (moment - EPOCH) // timedelta(milliseconds=1))
