"""The package's front page: every name is there, and costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edge_runtime


@pytest.mark.parametrize("name", sorted(edge_runtime._PLACES))
def test_every_public_name_is_where_the_front_page_says(name: str) -> None:
    assert getattr(edge_runtime, name).__name__ == name
    assert name in dir(edge_runtime)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'edge_runtime' has no attribute 'Nothing'"):
        _ = edge_runtime.Nothing


def test_importing_the_package_loads_none_of_it() -> None:
    code = (
        "import sys; before = set(sys.modules); import edge_runtime; "
        "print(sorted(name for name in set(sys.modules) - before if name.startswith(('edge_runtime.', 'asyncio'))))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"
