"""The far end is busy once, wants a key, and keeps what it took under it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from edge_runtime.host.demo.server import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on a free loopback port."""
    made = Receiver()
    yield made
    made.close()


def post(receiver: Receiver, body: bytes, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(receiver.url, body, named, method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        found: dict[str, str] = json.load(answer)
    return found


def test_the_first_request_is_told_to_come_back_and_a_known_key_is_answered_as_before(receiver: Receiver) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(receiver, b"[1]", Idempotency_Key="k")
    assert caught.value.code == 503 and caught.value.headers["Retry-After"] == "1"
    assert post(receiver, b"[1]", Idempotency_Key="k") == post(receiver, b"[2]", Idempotency_Key="k")
    assert receiver.deliveries == {"k": b"[1]"} and receiver.requests == 3


def test_a_report_without_a_key_is_refused(receiver: Receiver) -> None:
    assert receiver.take("", b"")[0] == 503
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(receiver, b"[1]")
    assert caught.value.code == 400 and not receiver.deliveries
