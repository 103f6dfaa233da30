"""`policy check` and `policy test`: is the file right, and does it say what its owner expects?"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...base.errors import Exit
from ...base.limits import POLICY_BYTES_MAX
from .console import say
from .files import read_file


def policy(options: Namespace) -> int:
    """Check a policy file, or try the cases of a file; 1 if one of them comes out otherwise.

    Raises:
        UsageError: a file cannot be read or is not right; names file, rule or case, and key.
    """
    return _test(options) if options.what == "test" else _check(options)


def _check(options: Namespace) -> int:
    from ...judge.policy import Policy

    found = Policy.parse(_read(options.file), options.file)
    value = {"ok": True, "file": options.file, "rules": len(found.rules), "policy": found.hash.hex()}
    return say(options, "policy", value)


def _test(options: Namespace) -> int:
    from ...judge.policy import Policy
    from ...judge.policy_cases import parse_cases, try_case
    from ...judge.rule_looks import look_rows

    cases = parse_cases(_read(options.file), options.file)
    beside = str(Path(options.file).parent / cases.policy)
    found = Policy.parse(_read(beside), beside)
    results = [try_case(found, case) for case in cases.case]
    failed = sum(1 for result in results if result.differences)
    value = {
        "ok": not failed, "file": options.file, "policy_file": beside, "policy": found.hash.hex(),
        "cases": len(results), "failed": failed,
        "results": [
            {
                "case": result.case.name, "ok": not result.differences, "differences": list(result.differences),
                "effect": result.verdict.effect.value, "rule": result.verdict.rule, "why": result.verdict.why,
                "narrowed": {name: result.narrowed.get(name) for name in result.case.narrowed},
                "rules": look_rows(result.looks),
            }
            for result in results
        ],
    }  # fmt: skip
    say(options, "policy", value)
    return int(Exit.FAILED if failed else Exit.OK)


def _read(file: str) -> str:
    return read_file(file, POLICY_BYTES_MAX).decode(errors="replace")


def render_looks(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each rule that was looked at: what it read, and what came of it."""
    lines = []
    for row in rows:
        if row["look"] in ("an earlier rule decided", "it speaks of other intents"):
            continue
        reads = ", ".join(f"{name} = {'unknown' if value is None else value}" for name, value in row["reads"].items())
        when = f" [{row['when']}]" if row["when"] else ""
        lines.append(f"rule {row['rule']!r}{when}: {row['look']}" + (f" ({reads})" if reads else ""))
    return lines


def render_cases(value: dict[str, Any]) -> str:
    """Return what came of the cases: those that differ, each with its reason, then the count."""
    lines = []
    for result in value["results"]:
        if result["ok"]:
            continue
        lines.append(f"FAILED {result['case']}")
        lines.extend(f"    {difference}" for difference in result["differences"])
        lines.extend(f"      {line}" for line in render_looks(result["rules"]))
        if result["why"]:
            lines.append(f"      {result['why']}")
    good = value["cases"] - value["failed"]
    lines.append(f"{good} of {value['cases']} cases came out as expected ({value['policy_file']}).")
    return "\n".join(lines)


COMMANDS: dict[str, Callable[[Namespace], int]] = {"policy": policy}
