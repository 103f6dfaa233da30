"""`config.toml`: what is taken, and that what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.host.config import EXAMPLE, Config, read_config


def write(folder: Path, text: str) -> Path:
    """Return a file of this text."""
    file = folder / "config.toml"
    file.write_text(text)
    return file


def test_the_example_that_errors_show_is_itself_in_order(tmp_path: Path) -> None:
    found = read_config(write(tmp_path, EXAMPLE))
    assert found.device.name == "drone-1"
    assert found.device.capabilities == ["camera"]
    assert found.network.peers == ["base.local:4711"]
    assert (found.apps[0].module, found.apps[0].path) == ("survey:app", "/opt/survey")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert read_config(write(tmp_path, "")) == Config()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[device]\ncolour = 'red'", "colour"),
        ("[devise]\nname = 'x'", "devise"),
        ("[network]\nlisten = 4711", r"\$.network.listen"),
        ("[network]\npeers = 'base:1'", r"\$.network.peers"),
        ("[device]\ncapabilities = ['Camera']", r"\$.device.capabilities"),
        ("[device]\ncapabilities = ['a..b']", r"\$.device.capabilities"),
        ("[[apps]]\npath = '/opt'", "module"),
        ("[apps]\nmodule = 'x'", r"\$.apps"),
        ("[device\nname = 'x'", "line"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_an_example(tmp_path: Path, text: str, named: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UsageError, match=named) as caught:
        read_config(file)
    assert str(file) in caught.value.message
    assert "[[apps]]" in caught.value.message
    assert caught.value.exit is Exit.USAGE


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read"):
        read_config(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"name = '\xff'")
    with pytest.raises(UsageError, match=r"broken\.toml cannot be read"):
        read_config(broken)


def test_lists_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="64"):
        read_config(write(tmp_path, f"[device]\ncapabilities = {[f'c{number}' for number in range(65)]}"))
