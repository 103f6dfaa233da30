"""What exceptions are evidence of, and what their text may hold."""

from __future__ import annotations

import asyncio
import email.message
import errno
import socket
import ssl
import urllib.error
from datetime import timedelta

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import CAUSES_MAX, ERROR_TEXT_BYTES_MAX, NAME_BYTES_MAX, RESULT_BYTES_MAX
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.objects.attempts import read_partial
from edge_runtime.objects.bodies import HINT_NEVER
from edge_runtime.objects.codec import encode_value
from edge_runtime.program.errors import (
    Busy,
    Incapable,
    PartialError,
    Refused,
    StepFailed,
    TerminalError,
    Unreachable,
    bounded,
    classify_exception,
    describe_exception,
)


def http_error(status: int, **headers: str) -> urllib.error.HTTPError:
    """The error of urllib, as a server's answer makes it."""
    message = email.message.Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return urllib.error.HTTPError("http://host.test/x", status, "no", message, None)


class Response:
    """What httpx and requests hang on their errors."""

    def __init__(self, status_code: int, headers: dict[str, str]) -> None:
        self.status_code = status_code
        self.headers = headers


class HTTPStatusError(Exception):
    """Shaped like httpx's."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(f"status {status}")
        self.response = Response(status, {name.replace("_", "-"): value for name, value in headers.items()})


class ClientResponseError(Exception):
    """Shaped like aiohttp's."""

    def __init__(self, status: int) -> None:
        super().__init__("answer")
        self.status = status


class ConnectError(Exception):
    """Named like httpx's."""


class ReadTimeout(Exception):
    """Named like httpx's, under its base."""


class TimeoutException(Exception):
    """Named like httpx's base."""


EVIDENCE = [
    (TerminalError("no such patient"), Outcome.INVALID),
    (UsageError("wrong"), Outcome.INVALID),
    (Busy("later"), Outcome.BUSY),
    (Unreachable("no link"), Outcome.UNREACHABLE),
    (Refused("not yours"), Outcome.REFUSED),
    (Incapable("no camera"), Outcome.INCAPABLE),
    (TimeoutError(), Outcome.TIMEOUT),
    (type("ReadTimeout", (TimeoutException,), {})(), Outcome.TIMEOUT),
    (OSError(errno.ETIMEDOUT, "silent"), Outcome.TIMEOUT),
    (ConnectionResetError(errno.ECONNRESET, "reset"), Outcome.TIMEOUT),
    (BrokenPipeError(), Outcome.TIMEOUT),
    (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Outcome.UNREACHABLE),
    (ConnectionRefusedError("without number"), Outcome.UNREACHABLE),
    (OSError(errno.EHOSTUNREACH, "no route"), Outcome.UNREACHABLE),
    (OSError(errno.ENETUNREACH, "no network"), Outcome.UNREACHABLE),
    (socket.gaierror(socket.EAI_NONAME, "no name"), Outcome.UNREACHABLE),
    (ConnectError("all attempts failed"), Outcome.UNREACHABLE),
    (urllib.error.URLError(ConnectionRefusedError(errno.ECONNREFUSED, "refused")), Outcome.UNREACHABLE),
    (urllib.error.URLError(socket.gaierror(socket.EAI_AGAIN, "no name")), Outcome.UNREACHABLE),
    (OSError(errno.ENOSPC, "full"), Outcome.BUSY),
    (BlockingIOError(errno.EAGAIN, "full"), Outcome.BUSY),
    (FileNotFoundError(errno.ENOENT, "no file"), Outcome.CRASHED),
    (ssl.SSLError(1, "handshake"), Outcome.CRASHED),
    (ZeroDivisionError("division by zero"), Outcome.CRASHED),
    (asyncio.CancelledError(), Outcome.CRASHED),
    (SystemExit(3), Outcome.CRASHED),
]


@pytest.mark.parametrize(("error", "outcome"), EVIDENCE, ids=lambda value: type(value).__name__)
def test_an_exception_is_read_by_its_evidence(error: BaseException, outcome: Outcome) -> None:
    """Behaviour: 7.1, 7.5; the table under section 6."""
    assert classify_exception(error).outcome is outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.INVALID),
        (401, Outcome.REFUSED),
        (403, Outcome.REFUSED),
        (404, Outcome.INVALID),
        (408, Outcome.TIMEOUT),
        (409, Outcome.INVALID),
        (422, Outcome.INVALID),
        (429, Outcome.BUSY),
        (500, Outcome.BUSY),
        (502, Outcome.BUSY),
        (503, Outcome.BUSY),
        (504, Outcome.TIMEOUT),
        (599, Outcome.BUSY),
        (302, Outcome.CRASHED),
        (600, Outcome.CRASHED),
    ],
)
def test_a_status_code_is_read_alike_from_every_library(status: int, outcome: Outcome) -> None:
    for error in (http_error(status), HTTPStatusError(status), ClientResponseError(status)):
        assert classify_exception(error).outcome is outcome


@pytest.mark.parametrize(
    ("headers", "hint_ms"),
    [
        ({}, None),
        ({"Retry_After": "30"}, 30_000),
        ({"Retry_After": " 0 "}, 0),
        ({"Retry_After": "-1"}, HINT_NEVER),
        ({"Retry_After": "soon"}, HINT_NEVER),
        ({"Retry_After": "99999999999"}, HINT_NEVER),
        ({"Retry_After": "9" * 5000}, HINT_NEVER),
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, HINT_NEVER),
        (
            {"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT", "Date": "Wed, 21 Oct 2015 07:26:30 GMT"},
            90_000,
        ),
        (
            {"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT", "Date": "Wed, 21 Oct 2015 07:29:00 GMT"},
            HINT_NEVER,
        ),
    ],
)
@pytest.mark.parametrize("make", [http_error, HTTPStatusError])
def test_pushback_is_read_from_seconds_or_from_a_date_beside_the_answers_own(
    make: type[HTTPStatusError], headers: dict[str, str], hint_ms: int | None
) -> None:
    """Source of the date: the example of RFC 9110 section 10.2.3."""
    failure = classify_exception(make(429, **headers))
    assert (failure.outcome, failure.hint_ms) == (Outcome.BUSY, hint_ms)


def test_only_pushback_carries_a_hint() -> None:
    assert classify_exception(http_error(404, Retry_After="30")).hint_ms is None
    assert classify_exception(Busy(retry_after=timedelta(seconds=10))).hint_ms == 10_000
    assert classify_exception(Busy(retry_after=2.5)).hint_ms == 2_500
    assert classify_exception(Busy(retry_after=-1)).hint_ms == HINT_NEVER
    assert classify_exception(Busy(retry_after=float("nan"))).hint_ms == HINT_NEVER
    assert classify_exception(Busy()).hint_ms is None


def test_the_reason_is_found_behind_wrappers_and_in_groups() -> None:
    outer = RuntimeError("could not deliver")
    outer.__cause__ = ValueError("bad answer")
    outer.__cause__.__cause__ = http_error(503, Retry_After="7")
    failure = classify_exception(outer)
    assert (failure.outcome, failure.hint_ms, failure.error_type) == (Outcome.BUSY, 7_000, "RuntimeError")
    group = ExceptionGroup("both", [KeyError("x"), OSError(errno.EHOSTUNREACH, "no route")])
    assert classify_exception(group).outcome is Outcome.UNREACHABLE


def test_an_error_that_was_only_being_handled_is_no_evidence() -> None:
    try:
        try:
            raise TimeoutError
        except TimeoutError:
            raise ValueError("a bug in the handler")  # noqa: B904
    except ValueError as error:
        assert classify_exception(error).outcome is Outcome.CRASHED


def test_a_chain_without_end_is_looked_at_only_so_far() -> None:
    errors = [ValueError(str(number)) for number in range(CAUSES_MAX + 1)]
    for outer, inner in zip(errors, errors[1:], strict=False):
        outer.__cause__ = inner
    errors[-1].__cause__ = TimeoutError()
    assert classify_exception(errors[0]).outcome is Outcome.CRASHED
    errors[CAUSES_MAX - 2].__cause__ = TimeoutError()
    assert classify_exception(errors[0]).outcome is Outcome.TIMEOUT
    ring = ValueError("ring")
    ring.__cause__ = KeyError("x")
    ring.__cause__.__cause__ = ring
    assert classify_exception(ring).outcome is Outcome.CRASHED


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("cannot open https://ada:s3cret@host.test/a", "cannot open https://***@host.test/a"),
        ("GET https://host.test/a?token=s3cret&x=1 failed", "GET https://host.test/a?*** failed"),
        ("Authorization: Bearer s3cret", "Authorization: ***"),
        ("sent Bearer s3cret to x", "sent Bearer *** to x"),
        ("password=s3cret rejected", "password=*** rejected"),
        ('{"api_key": "s3cret", "x": 1}', '{"api_key": ***, "x": 1}'),
        ("API-KEY = s3cret", "API-KEY = ***"),
        ("secret_name: 's3cret value' end", "secret_name: *** end"),
        ("an ordinary text: 5 = 5", "an ordinary text: 5 = 5"),
    ],
)
def test_known_shapes_of_secrets_are_masked(text: str, kept: str) -> None:
    """Behaviour: 7.1."""
    assert describe_exception(ValueError(text)) == f"ValueError: {kept}"


def test_the_text_is_one_bounded_line_without_a_traceback() -> None:
    """Behaviour: 7.1."""
    try:
        raise ValueError("first\nFile secret.py, line 3\n" + "x" * 5_000)
    except ValueError as error:
        assert describe_exception(error) == "ValueError: first"
    long = describe_exception(ValueError("é" * 5_000))
    assert len(long.encode()) <= ERROR_TEXT_BYTES_MAX
    assert long.startswith("ValueError: é")
    failure = classify_exception(type("E" * 500, (Exception,), {})())
    assert len(failure.error_type) == NAME_BYTES_MAX
    assert describe_exception(ExceptionGroup("g", [ExceptionGroup("h", [KeyError("x")])])) == "KeyError: 'x'"
    assert describe_exception(TimeoutError()) == "TimeoutError"
    assert describe_exception(ValueError("\n \n after blank lines")) == "ValueError: after blank lines"


def test_an_exception_whose_own_text_raises_is_still_described() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert describe_exception(Broken()).startswith("Broken")
    assert classify_exception(Broken()).outcome is Outcome.CRASHED


def test_a_text_is_cut_between_characters_and_lone_surrogates_are_replaced() -> None:
    assert bounded("aé", 2) == "a"
    assert bounded("aé", 3) == "aé"
    assert bounded("a\ud800b", 9) == "a?b"


def test_a_failed_step_reads_well() -> None:
    assert str(StepFailed(Outcome.INVALID, "no such file", "KeyError")) == "invalid: no such file"
    assert str(StepFailed(Outcome.TIMEOUT, "")) == "timeout"


def test_progress_names_what_is_done_and_what_is_left() -> None:
    """Behaviour: 6.3."""
    failure = classify_exception(PartialError(["a", 1], ["b"]))
    assert failure.outcome is Outcome.PARTIAL
    assert read_partial(failure.value) == (encode_value(["a", 1]), encode_value(["b"]))


@pytest.mark.parametrize("rest", [object(), "x" * RESULT_BYTES_MAX])
def test_progress_that_cannot_be_recorded_is_invalid(rest: object) -> None:
    failure = classify_exception(PartialError([], rest))
    assert (failure.outcome, failure.value) == (Outcome.INVALID, b"")
    assert failure.error.startswith("PartialError")


@pytest.mark.parametrize(
    ("error", "outcome", "evidence"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Outcome.UNREACHABLE, "ECONNREFUSED"),
        (OSError(errno.EHOSTUNREACH, "no route"), Outcome.UNREACHABLE, "EHOSTUNREACH"),
        (socket.gaierror(socket.EAI_NONAME, "no name"), Outcome.UNREACHABLE, "gaierror"),
        (TimeoutError(), Outcome.TIMEOUT, "TimeoutError"),
        (Unreachable("no contact"), Outcome.UNREACHABLE, "Unreachable"),
        (http_error(503), Outcome.BUSY, "http 503"),
        (Refused("who are you", until="credential.server"), Outcome.REFUSED, "credential.server"),
        (http_error(401), Outcome.REFUSED, ""),
    ],
)
def test_the_evidence_tells_what_decided(error: Exception, outcome: Outcome, evidence: str) -> None:
    """Behaviours: 7.5, 6.4: refusal, no route and no name are told apart, by what the socket said."""
    failure = classify_exception(error)
    assert (failure.outcome, failure.evidence) == (outcome, evidence)
