"""Conditions as people write them: a subset of Python's expressions, parsed by `ast` against an allow-list.

Examples: `battery.percent >= 40 and link.ground == "up"`, `has(peer.uplink)`, `count(timeout, 3)`,
`age > hours(2)`, `within("06:00", "20:00")`, `fresh(battery.percent, seconds(5)) < 30`, `mode in ("auto", "hold")`.
A name that is no Python name stands in quotes: `fact("link.3f2a") == "up"`, `has("class")`, `fresh("age", hours(1))`.
Only local text is parsed; what comes in entries is a tree.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Callable
from typing import TypeVar, assert_never

from ..base.errors import UsageError
from ..base.limits import (
    CONDITION_DEPTH_MAX,
    CONDITION_NODES_MAX,
    CONDITION_TEXT_BYTES_MAX,
    FACT_NAME_BYTES_MAX,
    FACT_VALUE_BYTES_MAX,
    INTEGER_MAX,
    VALUE_INTEGER_MAX,
    VALUE_INTEGER_MIN,
)
from ..base.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from .codec import encode_value
from .conditions import (
    SIGNS,
    Age,
    Both,
    Compare,
    Condition,
    Count,
    Either,
    Has,
    IsTrue,
    Member,
    Negated,
    Operator,
    Scalar,
    Within,
    count_nodes,
    is_name,
)

T = TypeVar("T")

EXAMPLE = "battery.percent >= 40 and link.ground == 'up'"
UNITS_MS = {"milliseconds": 1, "seconds": SECOND_MS, "minutes": MINUTE_MS, "hours": HOUR_MS, "days": DAY_MS}
# Names of outcomes by their numbers in `executed` records (`judge.outcomes` is a floor above; a test compares).
OUTCOMES = (
    "ok", "partial", "unreachable", "timeout", "slow", "busy", "refused", "incapable", "invalid", "crashed",
    "unknown", "fenced", "expired",
)  # fmt: skip

_OPERATORS: dict[type[ast.cmpop], Operator] = {
    ast.Eq: Operator.EQUAL,
    ast.NotEq: Operator.UNEQUAL,
    ast.Lt: Operator.LESS,
    ast.LtE: Operator.LESS_EQUAL,
    ast.Gt: Operator.GREATER,
    ast.GtE: Operator.GREATER_EQUAL,
}
# `40 <= battery.percent` reads the other way round.
_MIRRORED = {
    Operator.EQUAL: Operator.EQUAL,
    Operator.UNEQUAL: Operator.UNEQUAL,
    Operator.LESS: Operator.GREATER,
    Operator.LESS_EQUAL: Operator.GREATER_EQUAL,
    Operator.GREATER: Operator.LESS,
    Operator.GREATER_EQUAL: Operator.LESS_EQUAL,
}


def parse(text: str) -> Condition:
    """Return the condition that a text spells.

    Raises:
        UsageError: the text is no condition; says at which part, and shows an example.
    """
    condition = parse_with(text, lambda node: convert(node, 1))
    check_size(count_nodes(condition))
    return condition


def parse_with(text: str, read: Callable[[ast.expr], T]) -> T:
    """Return what `read` makes of a text's expression.

    Raises:
        UsageError: too long, no expression, or what `read` raises.
    """
    if len(text.encode("utf-8", "replace")) > CONDITION_TEXT_BYTES_MAX:
        raise UsageError(f"A condition is at most {CONDITION_TEXT_BYTES_MAX} bytes of text.")
    try:
        return read(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise refusal(text.strip(), f"near column {error.offset or 1}") from None
    except (RecursionError, MemoryError, ValueError):
        raise refusal(text.strip()[:60], "too deeply nested, or not text") from None


def check_size(nodes: int) -> None:
    """Raise UsageError for a condition of more nodes than one may have."""
    if nodes > CONDITION_NODES_MAX:
        raise UsageError(f"The condition has more than {CONDITION_NODES_MAX} parts: split it.")


def refusal(part: str, why: str) -> UsageError:
    """Return the error that names the part which is not right, why, and what would be."""
    return UsageError(f"Not a condition: `{part[:80]}` ({why}). Write it like: {EXAMPLE}")


def _too_deep() -> UsageError:
    return UsageError(f"The condition is nested deeper than {CONDITION_DEPTH_MAX}: simplify it.")


def convert(node: ast.expr, depth: int) -> Condition:
    """Return the condition of an expression at a depth of the whole; UsageError says what is not right."""
    if depth > CONDITION_DEPTH_MAX:
        raise _too_deep()
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return Both(tuple(convert(item, depth + 1) for item in values))
        case ast.BoolOp(op=ast.Or(), values=values):
            return Either(tuple(convert(item, depth + 1) for item in values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Negated(convert(operand, depth + 1))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _convert_comparison(node, left, op, right, depth)
        case ast.Compare():
            raise refusal(ast.unparse(node), "join comparisons with `and`")
        case ast.Call(func=ast.Name(id="has"), args=[capability], keywords=[]):
            return Has(_capability(capability))
        case ast.Call(func=ast.Name(id="count"), args=[outcome, number], keywords=[]):
            return Count(_outcome(outcome), _whole(number))
        case ast.Call(func=ast.Name(id="within"), args=[begin, end], keywords=[]):
            return Within(_minute(begin), _minute(end))
        case _:
            name, fresh_ms = _operand(node)
            return IsTrue(name, fresh_ms)


def _convert_comparison(whole: ast.expr, left: ast.expr, op: ast.cmpop, right: ast.expr, depth: int) -> Condition:
    if isinstance(op, (ast.In, ast.NotIn)):
        name, fresh_ms = _operand(left)
        if not isinstance(right, (ast.Tuple, ast.List)) or not right.elts:
            raise refusal(ast.unparse(right), "give the values in brackets, such as ('auto', 'hold')")
        member = Member(name, tuple(_literal(item) for item in right.elts), fresh_ms)
        if isinstance(op, ast.NotIn) and depth == CONDITION_DEPTH_MAX:
            raise _too_deep()  # `not in` is two nodes, one above the other
        return member if isinstance(op, ast.In) else Negated(member)
    operator = _OPERATORS.get(type(op))
    if operator is None:
        raise refusal(ast.unparse(whole), "compare with ==, !=, <, <=, >, >= or in")
    if _is_literal(left):
        left, right, operator = right, left, _MIRRORED[operator]
    if isinstance(left, ast.Name) and left.id == "age":
        return Age(operator, duration_ms_of(right))
    name, fresh_ms = _operand(left)
    return Compare(name, operator, _literal(right), fresh_ms)


def _operand(node: ast.expr) -> tuple[str, int]:
    match node:
        case ast.Call(func=ast.Name(id="fresh"), args=[fact, duration], keywords=[]):
            return name_of(fact), max(1, duration_ms_of(duration))
        case ast.Call(func=ast.Name(id="fact"), args=[ast.Constant() as fact], keywords=[]):
            return name_of(fact), 0
        case ast.Name(id="age"):
            raise refusal("age", "compare the object's age with a duration, such as age > hours(2)")
        case ast.Name() | ast.Attribute():
            return _dotted(node), 0
    raise refusal(ast.unparse(node), "expected a fact's name, has(), count(), within(), fresh() or a comparison")


def name_of(node: ast.expr) -> str:
    """Return a name given bare or in quotes; UsageError for anything else."""
    match node:
        case ast.Constant(value=str() as text):
            if is_name(text):
                return text
            raise refusal(ast.unparse(node), "a name is words of letters, digits and _, joined by dots")
    return _dotted(node)


def _capability(node: ast.expr) -> str:
    # Bare, a capability may carry the word `peer`, as the fact about it does; in quotes it is taken as it stands.
    name = name_of(node)
    return name if isinstance(node, ast.Constant) else name.removeprefix("peer.")


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            text = name
        case ast.Attribute(value=value, attr=attr):
            text = f"{_dotted(value)}.{attr}"
        case _:
            raise refusal(ast.unparse(node), "expected a name such as battery.percent")
    if not text.isascii():  # Python would normalise it, and names are compared as bytes
        raise refusal(text, "write a name with such letters in quotes, as in fact(\"...\")")
    if len(text.encode()) > FACT_NAME_BYTES_MAX:
        raise refusal(text, "the name is too long")
    return text


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)
    )


def _literal(node: ast.expr) -> Scalar:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            found: Scalar = value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if not isinstance(
            value, bool
        ):
            found = -value
        case _:
            raise refusal(ast.unparse(node), "expected a number, a text in quotes, True or False")
    try:
        size = len(encode_value(found))
    except ValueError:
        bounds = f"{VALUE_INTEGER_MIN} to {VALUE_INTEGER_MAX}"
        raise refusal(ast.unparse(node), f"only finite numbers and integers from {bounds}") from None
    if size > FACT_VALUE_BYTES_MAX:
        raise refusal(ast.unparse(node), f"a text of more than {FACT_VALUE_BYTES_MAX} bytes")
    return found


def _whole(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool) and 0 <= value <= INTEGER_MAX:
            return value
    raise refusal(ast.unparse(node), f"expected a whole number up to {INTEGER_MAX}")


def duration_ms_of(node: ast.expr) -> int:
    """Return the ms of a duration such as `seconds(5)`; UsageError for anything else."""
    match node:
        case ast.Call(func=ast.Name(id=unit), args=[number], keywords=[]) if unit in UNITS_MS:
            return min(_whole(number) * UNITS_MS[unit], INTEGER_MAX)
    raise refusal(ast.unparse(node), "expected a duration such as seconds(5), minutes(10), hours(2)")


def _outcome(node: ast.expr) -> int:
    if isinstance(node, ast.Name) and node.id in OUTCOMES:
        return OUTCOMES.index(node.id)
    if isinstance(node, ast.Constant):
        return _whole(node)  # an outcome that only a newer version has a word for
    raise refusal(ast.unparse(node), f"expected one of {', '.join(OUTCOMES)}")


def _minute(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=str() as text) if len(text) == 5 and text[2] == ":":
            hours, minutes = text[:2], text[3:]
            if text.isascii() and hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60:
                return int(hours) * 60 + int(minutes)
    raise refusal(ast.unparse(node), 'expected a time of day such as "06:00"')


def format(condition: Condition) -> str:
    """Return a text that `parse` reads back as the same condition, unless it is longer than `parse` takes."""
    match condition:
        case Both(items):
            return " and ".join(_inner(item) for item in items)
        case Either(items):
            return " or ".join(_inner(item) for item in items)
        case Negated(item):
            return f"not {_inner(item)}"
        case Compare(name, operator, value, fresh_ms):
            return f"{_fact(name, fresh_ms)} {SIGNS[operator]} {value!r}"
        case Member(name, values, fresh_ms):
            return f"{_fact(name, fresh_ms)} in [{', '.join(repr(value) for value in values)}]"
        case IsTrue(name, fresh_ms):
            return _fact(name, fresh_ms)
        case Has(capability):
            return f"has(peer.{capability})" if _is_bare(capability) else f'has("{capability}")'
        case Count(outcome, at_least):
            word = OUTCOMES[outcome] if outcome < len(OUTCOMES) else str(outcome)
            return f"count({word}, {at_least})"
        case Age(operator, age_ms):
            return f"age {SIGNS[operator]} {_duration(age_ms)}"
        case Within(begin, end):
            return f'within("{begin // 60:02}:{begin % 60:02}", "{end // 60:02}:{end % 60:02}")'
        case _:
            assert_never(condition)


def _inner(condition: Condition) -> str:
    text = format(condition)
    return f"({text})" if isinstance(condition, (Both, Either, Negated)) else text


def _fact(name: str, fresh_ms: int) -> str:
    # Neither the object's age nor a word of Python may pass for a fact's name.
    shown = name if _is_bare(name) and name != "age" else f'"{name}"'
    if fresh_ms:
        return f"fresh({shown}, {_duration(fresh_ms)})"
    return shown if shown == name else f"fact({shown})"


def _is_bare(name: str) -> bool:
    parts = name.split(".")
    return name.isascii() and all(part.isidentifier() and not keyword.iskeyword(part) for part in parts)


def _duration(ms: int) -> str:
    for unit in ("days", "hours", "minutes", "seconds"):
        if ms and ms % UNITS_MS[unit] == 0:
            return f"{unit}({ms // UNITS_MS[unit]})"
    return f"milliseconds({ms})" if ms else "seconds(0)"
