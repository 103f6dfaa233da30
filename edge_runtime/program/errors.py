"""What a body or a step raises, and what an exception is evidence of.

A step gives evidence, `classify_exception` names the outcome; only `StepFailed` reaches the body. Three errors are
not `Exception`s, so that a body's own handlers let them pass: `BodyFreed`, `BodyOverran`, and asyncio's cancellation.

Source: ours (`docs/programs.md`, "When a step fails"); status codes by RFC 9110 section 15, pushback by section
10.2.3 (Retry-After) and gRPC A6 (what cannot be read means: no timed retry).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from datetime import timedelta
from traceback import TracebackException
from typing import Any

from msgspec import Struct

from ..base.errors import EdgeError, UsageError
from ..base.limits import CAUSES_MAX, ERROR_TEXT_BYTES_MAX, LIFETIME_MS_MAX, NAME_BYTES_MAX, RESULT_BYTES_MAX
from ..base.units import SECOND_MS, duration_ms
from ..judge.outcomes import Outcome
from ..objects.attempts import write_partial
from ..objects.bodies import HINT_NEVER
from ..objects.codec import encode_value


class TerminalError(EdgeError):
    """Raised in a step: this call can never succeed as it was made. Outcome `invalid`: it is not tried again."""


class Busy(EdgeError):
    """Raised in a step: the other side asked for later. Outcome `busy`.

    Args:
        message: why, one line.
        retry_after: a timedelta or seconds; None for no hint. A negative one forbids a timed retry.
    """

    def __init__(self, message: str = "busy", retry_after: timedelta | float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(EdgeError):
    """Raised in a step: there is no way to the other side now. Outcome `unreachable`."""


class PartialError(EdgeError):
    """Raised in a step: some of it is committed, the rest is not. Outcome `partial`: soon tried again, the rest only.

    Args:
        done: what is committed; later tries find it in `current_attempt().done`.
        rest: what is left: the next try's first argument, as a plain value. Both are recordable values.
    """

    def __init__(self, done: object, rest: object) -> None:
        super().__init__("not all of it was done")
        self.done = done
        self.rest = rest


class Refused(EdgeError):
    """Raised in a step: the other side forbids it, as 401 and 403 do. Outcome `refused`: not tried again by time.

    Args:
        until: the fact whose next word may change that, such as `credential.server`; else a new policy or grant does.
    """

    def __init__(self, message: str = "refused", until: str = "") -> None:
        super().__init__(message)
        self.until = until


class Incapable(EdgeError):
    """Raised in a step: this device cannot do it, another may. Outcome `incapable`."""


class StepFailed(EdgeError):
    """Raised in the body, at the first run and in replay alike: a step came to an end without a result.

    Only for `invalid`, and for a step whose own `Retry` is used up; what else goes wrong is tried again.

    Attributes:
        outcome: of the last try.
        message: bounded text for people.
        error_type: name of the exception's class in the step, may be empty.
    """

    def __init__(self, outcome: Outcome, message: str, error_type: str = "") -> None:
        super().__init__(f"{outcome.name.lower()}: {message}" if message else outcome.name.lower())
        self.outcome = outcome
        self.message = message
        self.error_type = error_type


class RefinementRefused(EdgeError):
    """Raised in the body: the intent stays as it was. The text says why; ask for less, or go on unrefined."""


class Nondeterminism(EdgeError):
    """A body asked for something else than its records hold. Nothing was made; another version may fit.

    The text shows both sides (`recorded: …; now: …`). The node makes the object dormant with it.
    """

    def __init__(self, difference: str) -> None:
        super().__init__(difference)
        self.difference = difference


class BodyFreed(BaseException):
    """This body is being taken out of memory, or its run has ended: nothing is recorded from here on.

    Raised at a context's call, or at an `await`, in a `finally` or after `ctx.again`. Let it pass.
    """


class BodyOverran(KeyboardInterrupt):
    """A body did not give control back within BODY_SLICE_MS_MAX; the host raises this in the node's thread.

    It is a KeyboardInterrupt because asyncio's tasks store every other exception and go on, and this one must come
    out at once. `Body.replay` and `Body.deliver` let it pass; that body can only be freed afterwards.
    """


class Failure(Struct, frozen=True):
    """What came of a try that gave no result.

    Attributes:
        outcome: never OK.
        hint_ms: pushback that was asked for; None for none, HINT_NEVER for one that forbids or cannot be read.
        error: one line, at most ERROR_TEXT_BYTES_MAX bytes, without traceback, secrets masked.
        error_type: name of the exception's class.
        evidence: what decided the outcome, such as `ECONNREFUSED` or `http 503`; for `refused` the fact waited for.
        value: for `partial` what `objects.attempts.write_partial` says, else empty.
    """

    outcome: Outcome
    hint_ms: int | None
    error: str
    error_type: str
    evidence: str = ""
    value: bytes = b""


# Each of these says that nothing left this device, or that nobody takes it there.
UNREACHABLE_ERRNOS = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ENONET,
        errno.EADDRNOTAVAIL,
    }
)
# The request may have left and no answer came: the connection broke in between.
SILENT_ERRNOS = frozenset({errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE})
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOBUFS})
# Class names, looked for among all bases: these libraries and the socket module cannot be imported here.
# Sources: socket.gaierror and herror; httpx and httpcore ConnectError; urllib3 NewConnectionError.
UNREACHABLE_NAMES = frozenset({"gaierror", "herror", "ConnectError", "NewConnectionError"})
# Sources: the builtin, urllib3 and asyncio; httpx and httpcore; requests.
SILENT_NAMES = frozenset({"TimeoutError", "TimeoutException", "Timeout"})


def classify_exception(error: BaseException) -> Failure:
    """Return what an exception that ended a step is evidence of; `crashed` if it is evidence of nothing known.

    Wrappers are looked through (`raise … from`, `reason` of urllib, groups), outermost first, at most CAUSES_MAX
    deep. Status codes are read by attribute: `code`, `status`, `status_code`, also on `response`.
    """
    outcome, hint_ms, evidence = Outcome.CRASHED, None, ""
    for inner in _causes(error):
        verdict = _read_one(inner)
        if verdict is not None:
            outcome, hint_ms = verdict
            evidence = _evidence_of(inner)
            if isinstance(inner, PartialError):
                return _read_partial(inner)
            break
    name = bounded(type(error).__name__, NAME_BYTES_MAX)
    return Failure(outcome, hint_ms, describe_exception(error), name, evidence)


def _read_partial(error: PartialError) -> Failure:
    """Return what a step says of its progress; what cannot be recorded was progress of an invalid kind."""
    try:
        value = write_partial(encode_value(error.done), encode_value(error.rest))
    except ValueError as refused:
        return Failure(Outcome.INVALID, None, bounded(f"PartialError: {refused}", ERROR_TEXT_BYTES_MAX), "PartialError")
    if len(value) > RESULT_BYTES_MAX:
        text = f"PartialError: done and rest take {len(value)} bytes; at most {RESULT_BYTES_MAX} are recorded"
        return Failure(Outcome.INVALID, None, text, "PartialError")
    return Failure(Outcome.PARTIAL, None, describe_exception(error), "PartialError", "", value)


def _evidence_of(error: BaseException) -> str:
    """Return what decided the outcome, in a word."""
    if isinstance(error, Refused):
        return bounded(error.until, NAME_BYTES_MAX)
    status = _http_status(error)
    if status is not None:
        return "" if status in (401, 403) else f"http {status}"
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, bounded(type(error).__name__, NAME_BYTES_MAX))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it wraps, depth first, at most CAUSES_MAX of them."""
    waiting, seen = [error], 0
    while waiting and seen < CAUSES_MAX:
        current = waiting.pop()
        seen += 1
        yield current
        inner = [getattr(current, "reason", None), getattr(current, "os_error", None), current.__cause__]
        if isinstance(current, BaseExceptionGroup):
            inner.extend(current.exceptions)
        inner.extend(current.args)
        waiting.extend(found for found in reversed(inner) if isinstance(found, BaseException))


def _read_one(error: BaseException) -> tuple[Outcome, int | None] | None:
    match error:
        case TerminalError() | UsageError():
            return Outcome.INVALID, None
        case Busy():
            return Outcome.BUSY, _hint_of(error.retry_after)
        case PartialError():
            return Outcome.PARTIAL, None
        case Unreachable():
            return Outcome.UNREACHABLE, None
        case Refused():
            return Outcome.REFUSED, None
        case Incapable():
            return Outcome.INCAPABLE, None
    status = _http_status(error)
    if status is not None:
        return _read_status(status, error)
    names = frozenset(base.__name__ for base in type(error).__mro__)
    if names & SILENT_NAMES:
        return Outcome.TIMEOUT, None
    if names & UNREACHABLE_NAMES:
        return Outcome.UNREACHABLE, None
    if isinstance(error, OSError):
        if error.errno in UNREACHABLE_ERRNOS or isinstance(error, ConnectionRefusedError):
            return Outcome.UNREACHABLE, None
        if error.errno in SILENT_ERRNOS or isinstance(error, (ConnectionResetError, BrokenPipeError)):
            return Outcome.TIMEOUT, None
        if error.errno in FULL_ERRNOS:
            return Outcome.BUSY, None
    return None


def _http_status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    for owner in (response, error):
        for name in ("status_code", "status", "code"):
            status = getattr(owner, name, None)
            if type(status) is int and 400 <= status <= 599:
                return status
    return None


def _read_status(status: int, error: BaseException) -> tuple[Outcome, int | None]:
    if status in (408, 504):
        return Outcome.TIMEOUT, None
    if status == 429 or status >= 500:
        return Outcome.BUSY, _hint_of_headers(error)
    if status in (401, 403):
        return Outcome.REFUSED, None
    return Outcome.INVALID, None


def _hint_of(retry_after: timedelta | float | None) -> int | None:
    if retry_after is None:
        return None
    seconds = retry_after.total_seconds() if isinstance(retry_after, timedelta) else retry_after
    if not 0 <= seconds <= LIFETIME_MS_MAX // SECOND_MS:  # false for what is no number too
        return HINT_NEVER
    return duration_ms(seconds)


def _hint_of_headers(error: BaseException) -> int | None:
    """Read Retry-After: seconds, or a date, which counts from the answer's own Date (no clock of ours)."""
    text = _header(error, "Retry-After")
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 12:
        return _hint_of(int(text))
    from email.utils import parsedate_to_datetime  # only here: the package is large and dates are rare

    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(_header(error, "Date") or "")
    except (ValueError, TypeError, OverflowError):
        return HINT_NEVER
    return _hint_of(wait)


def _header(error: BaseException, name: str) -> str | None:
    for owner in (getattr(error, "response", None), error):
        get = getattr(getattr(owner, "headers", None), "get", None)
        if callable(get):
            found: Any = get(name) or get(name.lower())
            if found is not None:
                return str(found).strip()
    return None


# What is often pasted into a message by libraries: credentials in an address, a query, a header, a setting.
SECRETS = (
    (re.compile(r"://[^/\s@]{1,256}@"), "://***@"),
    (re.compile(r"(://[^\s?#'\"]{1,1024})\?[^\s'\"]*"), r"\1?***"),
    (re.compile(r"(?i)\b(bearer|basic) +[^\s'\"]+"), r"\1 ***"),
    (
        re.compile(
            r"(?i)((?:passw(?:or)?d|secret|token|api[_-]?key|authorization|cookie|credential)[\w-]{0,32}"
            r"['\"]?\s{0,4}[=:]\s{0,4})(\"[^\"]*\"|'[^']*'|(?:bearer |basic )?[^\s,;&]+)"
        ),
        r"\1***",
    ),
)


def describe_exception(error: BaseException) -> str:
    """Return `Type: first line of its text`, at most ERROR_TEXT_BYTES_MAX bytes, known shapes of secrets masked.

    A group is described by the first exception in it. An exception whose own text cannot be made still has one.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    name = type(error).__name__
    # TracebackException makes the text with a guard against a `__str__` that itself raises.
    lines = str(TracebackException(type(error), error, None, compact=True)).splitlines()
    line = next((line.strip() for line in lines if line.strip()), "")[: 2 * ERROR_TEXT_BYTES_MAX]
    for pattern, mask in SECRETS:
        line = pattern.sub(mask, line)
    return bounded(f"{name}: {line}" if line else name, ERROR_TEXT_BYTES_MAX)


def bounded(text: str, bytes_max: int) -> str:
    """Return the text cut to so many bytes of UTF-8, never inside a character; lone surrogates become `?`."""
    data = text.encode("utf-8", "replace")
    return data[:bytes_max].decode("utf-8", "ignore")
