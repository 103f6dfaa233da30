"""What a step's function returned, as the bytes of its record, or why it cannot be recorded."""

from __future__ import annotations

from typing import Any

from ..base.errors import UsageError
from ..base.limits import ERROR_TEXT_BYTES_MAX, RESULT_BYTES_MAX
from ..judge.outcomes import Outcome
from .errors import Failure, bounded
from .payloads import decode_payload, encode_payload


def encode_result(value: object, result_type: Any, name: str) -> bytes | Failure:
    """Return a step's result as canonical CBOR; outcome `invalid` if it cannot be recorded or read back.

    It is read back here, so that a result that does not fit its annotation fails in the try that made it and not
    in every later replay.

    Args:
        value: what the function returned.
        result_type: `StepCall.result_type`.
        name: the step's, for the text.

    Returns:
        at most RESULT_BYTES_MAX bytes, or the failure.
    """
    what = f"the result of step {name!r}"
    try:
        data = encode_payload(value, what, RESULT_BYTES_MAX)
        if result_type is not Any:
            decode_payload(data, result_type, what)
    except UsageError as error:
        return Failure(Outcome.INVALID, None, bounded(str(error), ERROR_TEXT_BYTES_MAX), type(value).__name__)
    return data
