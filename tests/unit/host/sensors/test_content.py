"""What files and messages hold, as facts."""

from __future__ import annotations

import pytest

from edge_runtime.base.limits import FACT_CONTENT_BYTES_MAX, FACT_FIELDS_MAX
from edge_runtime.host.sensors.content import read_content, word_of


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b"42\n", {"a.b": 42}), (b"-1.5", {"a.b": -1.5}), (b"true", {"a.b": True}), (b'"on"', {"a.b": "on"}),
        (b"  ajar ", {"a.b": "ajar"}), (b"12 V", {"a.b": "12 V"}),
        (b'{"Open Now": false, "n": 1, "deep": {"x": 1}, "none": null}', {"a.b.open_now": False, "a.b.n": 1}),
    ],
)  # fmt: skip
def test_a_number_a_text_and_json_are_told_apart_by_content(data: bytes, values: dict[str, object]) -> None:
    found = read_content("a.b", data)
    assert found == values and [type(value) for value in found.values()] == [type(value) for value in values.values()]


@pytest.mark.parametrize(
    "data",
    [
        b"", b" \n", b"null", b"[1]", b"{}", b"\xff", b"[" * 4_000, b"x" * (FACT_CONTENT_BYTES_MAX + 1),
        ("{" + ",".join(f'"k{number}":1' for number in range(FACT_FIELDS_MAX + 1)) + "}").encode(),
    ],
)  # fmt: skip
def test_what_is_no_fact_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_content("a", data)


def test_any_text_becomes_a_word_of_a_name() -> None:
    assert (word_of("North Gate"), word_of("ä/+"), word_of("")) == ("north_gate", "___", "_")
