"""Running code that may raise anything: steps, apps being imported, one event of a turn. What it raises is a value.

It may raise anything at all, and no daemon dies of it; so this is the one place that catches everything.
"""

from __future__ import annotations

from types import TracebackType

from msgspec import Struct


class Caught(Struct):
    """What came of a block of foreign code. `error` is None where it went through."""

    error: BaseException | None = None

    def __enter__(self) -> Caught:
        """Begin the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """Keep whatever the block raised, and let it go no further."""
        self.error = error
        return True


def contained() -> Caught:
    """Run a block of foreign code; what it raises is in `Caught.error` afterwards, cancellation too."""
    return Caught()  # a context manager by hand: several blocks are entered each turn
