"""What is typed becomes values."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.cli.console import Progress, read_duration_ms, read_pair, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-1.5", -1.5), ("true", True), ("null", None), ('"3"', "3"), ('{"a": [1]}', {"a": [1]}),
        ("Ada", "Ada"), ("", ""), ("True", "True"), ("01", "01"), ("[1", "[1"), ("a b", "a b"), ("é", "é"),
        ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("[NaN]", "[NaN]"), ("[" * 100_000, "[" * 100_000),
    ],
    ids=lambda item: repr(item)[:20],
)  # fmt: skip
def test_a_value_is_json_where_it_is_json_and_else_the_text(text: str, value: Any) -> None:
    assert read_value(text) == value and type(read_value(text)) is type(value)


def test_a_pair_is_cut_at_its_first_sign() -> None:
    assert read_pair("--arg", "a=b=c", "name=Ada") == ("a", "b=c")
    assert read_pair("--arg", "a=", "name=Ada") == ("a", "")
    for text in ("a", "=a", "", "="):
        with pytest.raises(UsageError, match="--arg name=Ada"):
            read_pair("--arg", text, "name=Ada")


def test_a_duration_has_a_unit_and_is_not_nothing() -> None:
    assert read_duration_ms("--lifetime", "24h") == 86_400_000
    for text in ("0s", "24", "soon", "-1s", ""):
        with pytest.raises(UsageError, match=f"--lifetime {text}: .*24h"):
            read_duration_ms("--lifetime", text)


class Terminal:
    """Takes what is printed, as a terminal or a file would."""

    def __init__(self, is_terminal: bool) -> None:
        self.text = ""
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        """Say what it is."""
        return self.is_terminal

    def write(self, text: str) -> None:
        """Keep the text."""
        self.text += text

    def flush(self) -> None:
        """Nothing is held back."""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_said_on_a_terminal_only_and_taken_away(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    terminal = Terminal(is_terminal)
    now_s = iter([100.0, 100.1, 102.0, 102.1])
    monkeypatch.setattr("sys.stderr", terminal)
    progress = Progress("a.capsule", 8_000_000, clock=lambda: next(now_s))
    for done in (500_000, 4_000_000, 8_000_000):
        progress.advance(done)
    progress.end()
    if is_terminal:
        assert terminal.text == "\ra.capsule: 4.0 of 8.0 MB, 2.0 MB/s, 2 s left\x1b[K\r\x1b[K"
    else:
        assert terminal.text == ""


def test_progress_counts_other_things_too_and_is_silent_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_silent in (False, True):
        terminal = Terminal(True)
        now_s = iter([0.0, 2.0, 2.1])
        monkeypatch.setattr("sys.stderr", terminal)
        progress = Progress("replay", 400, "objects", clock=lambda: next(now_s), is_silent=is_silent)
        progress.advance(100)
        progress.end()
        said = "\rreplay: 100 of 400 objects, 50 objects/s, 6 s left\x1b[K\r\x1b[K"
        assert terminal.text == ("" if is_silent else said)
