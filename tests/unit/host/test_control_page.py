"""docs/control.md: what it says of requests and bounds is so. Its fields: `tests/unit/node/test_commands.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from edge_runtime.base import limits
from edge_runtime.base.errors import Exit
from edge_runtime.node.commands import Command

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "control.md").read_text()
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0].splitlines()
TAGS = [command.__struct_config__.tag for command in get_args(Command)]


@pytest.mark.parametrize("line", EXAMPLES, ids=lambda line: line[:30])
def test_an_example_is_a_request(line: str) -> None:
    msgspec.json.decode(line, type=Command)


def test_every_command_has_one_example_and_one_row_in_the_same_order() -> None:
    assert [msgspec.json.decode(line)["command"] for line in EXAMPLES] == TAGS
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE) == TAGS


def test_the_bounds_and_exit_codes_are_the_ones_in_force() -> None:
    for text in (
        f"| {limits.CONTROL_CLIENTS_MAX} connections",
        f"| {limits.CONTROL_REQUESTS_MAX:,} requests",
        f"| {limits.CONTROL_LINE_BYTES_MAX // limits.KIB} KiB for a request",
        f"beyond {limits.CONTROL_UNREAD_BYTES_MAX // limits.MIB} MiB",
        f"text of at most {limits.NAME_BYTES_MAX}",
        f"{Exit.FAILED} failed, {Exit.USAGE} usage, {Exit.NO_DAEMON} no daemon, {Exit.NOT_FOUND} not found, "
        f"{Exit.REFUSED} refused",
    ):
        assert text in PAGE
