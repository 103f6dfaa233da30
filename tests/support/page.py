"""The README as data: its code, and its commands as a person would type them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEVICES = ("first", "second")


@dataclass(frozen=True)
class Line:
    """One command of a shell block.

    Attributes:
        words: without the comment and without the `&`. device: on which it is typed; the first where none is said.
        is_background: ends with `&`. expected: text that stands behind `->` in its comment, or empty.
    """

    words: tuple[str, ...]
    device: str
    is_background: bool
    expected: str


def read_page() -> str:
    """Return the text of the README."""
    return (ROOT / "README.md").read_text()


def python_blocks() -> dict[str, str]:
    """Return file name -> code: the first line of each block names its file."""
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", read_page(), re.S)
    return dict(blocks)


def shell_blocks() -> list[list[Line]]:
    """Return the commands of each shell block, in the order of the page."""
    return [
        [read_line(text) for text in block.splitlines()] for block in re.findall(r"```sh\n(.*?)```", read_page(), re.S)
    ]


def read_line(text: str) -> Line:
    """Return one command. A comment may say on which device, and what is shown after `->`."""
    command, _, comment = text.partition("  #")
    words = shlex.split(command)
    is_background = words[-1:] == ["&"]
    named = [device for device in DEVICES if f"on the {device}" in comment]
    _, _, expected = comment.partition("-> ")
    return Line(
        tuple(words[:-1] if is_background else words), named[0] if named else "first", is_background, expected.strip()
    )
