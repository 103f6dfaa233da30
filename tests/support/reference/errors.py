"""The page of all error texts: what stands in each `UsageError` of the package, with `…` for what differs."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import edge_runtime
from edge_runtime.base.errors import Exit

# The first that a module's path begins with decides; the order is that of the page.
AREAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Letting devices in",
        ("host/pairing", "host/first_join", "objects/invitations", "node/enrolment", "host/cli/enrol"),
    ),
    ("Backups and root keys", ("host/backup", "host/root_keys", "node/returning", "host/cli/upkeep")),
    ("Command line", ("host/cli",)),
    ("Drop folder", ("host/drop",)),
    ("Status page", ("host/web/",)),
    ("Bridges and advisors", ("host/bridges", "host/advising")),
    ("Policy, conditions and triggers", ("judge/policy", "objects/condition", "objects/trigger", "judge")),
    ("Configuration", ("host/config", "host/options", "host/dialling", "host/web_config")),
    ("Configuration", ("host/fact_config", "host/probe_config", "host/task_config")),
    ("Demo", ("host/demo",)),
    ("In a handler or a step", ("program",)),
    ("In a test with `edge_runtime.testing`", ("testing",)),
    ("Objects and devices", ("node", "objects")),
    ("Daemon, state and control socket", ("host", "client")),
)
TEXT = ast.Constant | ast.JoinedStr | ast.BinOp
Function = ast.FunctionDef | ast.AsyncFunctionDef


def page() -> str:
    """Return the page."""
    found: dict[str, set[tuple[str, int]]] = defaultdict(set)
    package = Path(edge_runtime.__file__).parent
    for path in sorted(package.rglob("*.py")):
        name = str(path.relative_to(package))
        for text, code in texts(path.read_text(), "config" in name):
            found[area_of(name)].add((text, code))
    lines = [
        "# Error texts",
        "",
        "Every text with which a command, a request or a handler's call is refused, with the exit code of the command;",
        "`…` stands for what differs. Each says what to change, and nothing was changed. The common ones are",
        "[explained](../how-to/troubleshooting.md).",
    ]
    for area in sorted(found):
        lines += ["", f"## {area}", "", "| text | exit |", "|---|---|"]
        lines += [f"| {escaped(text)} | {code} |" for text, code in sorted(found[area])]
    return "\n".join(lines)


def area_of(name: str) -> str:
    """Return the heading under which a module's texts stand."""
    return next(area for area, starts in AREAS if name.startswith(starts))


def texts(source: str, with_values: bool = False) -> Iterator[tuple[str, int]]:
    """Yield text and exit code of each error that is made in a module; `ValueError` too where a parser adds the key."""
    names = ("UsageError", "ValueError") if with_values else ("UsageError",)
    tree = ast.parse(source)
    scopes: list[ast.AST] = [node for node in ast.walk(tree) if isinstance(node, Function)]
    for scope in scopes:
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and node.args:
                code = next(
                    (ast.unparse(item)[5:] for item in node.args[1:] if ast.unparse(item).startswith("Exit.")), "USAGE"
                )
                for text in _texts(node.args[0], scope):
                    if len(re.findall(r"[a-zA-Z]{2,}", text)) >= 3:
                        yield text, int(Exit[code])


def _texts(node: ast.AST, scope: ast.AST) -> Iterator[str]:
    """Yield what an expression may say: both sides of a choice, each assignment to a name."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, scope)
            yield from _texts(other, scope)
        case ast.BinOp(left=left, right=right):
            yield from (f"{one}{other}" for one in _texts(left, scope) for other in _texts(right, scope))
        case ast.Name(id=name):
            for item in ast.walk(scope):
                if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == name:
                    yield from _texts(item.value, scope)


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is; what stands in backquotes stays code."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    plain = [re.sub(r"([\\*_\[\]<{}])", r"\\\1", part).replace("\\\\|", "\\|") for part in parts]
    return "`".join(part if number % 2 else plain[number] for number, part in enumerate(parts))
