"""The picture of `backoff`, or how to get what draws it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.main import main

OWN = Path(__file__).parents[2] / "support" / "passes.csv"


def test_the_picture_is_drawn_or_what_is_missing_is_named_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "picture.png"
    code = main(["backoff", "--small", "--bursts", "2", "--trace", str(OWN), "--plot", str(file)])
    if find_spec("matplotlib") is not None:
        assert code == 0
        assert file.read_bytes().startswith(b"\x89PNG")
    else:
        assert code == 1
        out, err = capsys.readouterr()
        assert (out, "sampled" in err) == ("", False)
        assert "pip install -r benchmarks/requirements.txt" in err
