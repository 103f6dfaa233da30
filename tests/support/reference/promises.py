"""The page of promises: the table of the README, with the test that shows each spelt out."""

from __future__ import annotations

import re

from tests.support.page import read_page

PROOF = re.compile(r'^\[(\w+)\]: (\S+) "(\w+)"$', re.M)


def page() -> str:
    """Return the page."""
    text = read_page()
    proofs = {label: (file, name) for label, file, name in PROOF.findall(text)}
    section = text.partition("## What is promised")[2].partition("\n")[2].partition("\n## ")[0]
    used = list(dict.fromkeys(label for label in re.findall(r"\]\[(\w+)\]", section)))
    lines = [
        "# What is promised",
        "",
        "At the end of this page you know what you may rely on, what you may not, and which test shows it.",
        "",
        re.sub(r"\[([^\]]+)\]\[\w+\]", r"\1", section).strip(),
        "",
        "## The tests",
        "",
        "| shown by | test |",
        "|---|---|",
    ]
    for label in used:
        file, name = proofs[label]
        said = re.findall(rf"\[([^\]]+)\]\[{label}\]", section)[0]
        lines.append(f"| {said} | `{file}`: {name.removeprefix('test_').replace('_', ' ')} |")
    return "\n".join(lines)
