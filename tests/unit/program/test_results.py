"""A step's result as the bytes of its record, or why not."""

from __future__ import annotations

from typing import Any

from edge_runtime.base.limits import RESULT_BYTES_MAX
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.objects.codec import decode_value
from edge_runtime.program.errors import Failure
from edge_runtime.program.results import encode_result


def test_a_result_is_recorded() -> None:
    data = encode_result({"x": [1, b"2"]}, Any, "shoot")
    assert isinstance(data, bytes)
    assert decode_value(data) == {"x": [1, b"2"]}


def test_a_result_above_the_bound_is_invalid_and_says_what_to_do() -> None:
    failure = encode_result(b"x" * RESULT_BYTES_MAX, bytes, "shoot")
    assert isinstance(failure, Failure)
    assert failure.outcome is Outcome.INVALID
    assert failure.error == (
        "the result of step 'shoot' has 16387 bytes, at most 16384 can be recorded (16 KiB). "
        "Write it to a file and pass the file's path."
    )
    assert isinstance(encode_result(b"x" * (RESULT_BYTES_MAX - 3), bytes, "shoot"), bytes)


def test_a_result_that_cannot_be_recorded_or_read_back_is_invalid() -> None:
    unknown = encode_result(object(), Any, "shoot")
    assert isinstance(unknown, Failure)
    assert (unknown.outcome, unknown.error_type) == (Outcome.INVALID, "object")
    wrong = encode_result("text", int, "shoot")
    assert isinstance(wrong, Failure)
    assert wrong.outcome is Outcome.INVALID
    assert wrong.error == "the result of step 'shoot' does not fit: Expected `int`, got `str`"
