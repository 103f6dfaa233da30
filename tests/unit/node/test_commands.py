"""docs/control.md lists every command with every field."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from edge_runtime.node.commands import Command

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "control.md").read_text()


@pytest.mark.parametrize("command", get_args(Command), ids=lambda command: command.__struct_config__.tag)
def test_a_command_stands_on_the_page_with_all_its_fields(command: type[msgspec.Struct]) -> None:
    tag = command.__struct_config__.tag
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{tag}` |"))
    for field in msgspec.structs.fields(command):
        assert f"`{field.name}`" in row


def test_a_request_with_an_unknown_field_or_command_is_refused() -> None:
    decoder = msgspec.json.Decoder(type=Command)
    for line in (b'{"command": "show", "object": "x", "colour": 1}', b'{"command": "fly"}', b'{"object": "x"}', b"[]"):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(line)
