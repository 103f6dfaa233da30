"""Running code that may raise anything: steps, apps being imported, one event of a turn. What it raises is a value.

It may raise anything at all, and no daemon dies of it; so this is the one place that catches everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct


class Caught(Struct):
    """What came of a block of foreign code. `error` is None where it went through."""

    error: BaseException | None = None


@contextmanager
def contained() -> Iterator[Caught]:
    """Run a block of foreign code; what it raises is in `Caught.error` afterwards, cancellation too."""
    caught = Caught()
    try:
        yield caught
    except BaseException as error:
        caught.error = error
