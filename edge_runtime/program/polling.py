"""`ctx.poll`: wait until what a named probe reads has changed, or says something.

Where one can subscribe (a fact, a signal, a link), do not poll. A probe is named here and made in the device's
configuration, so that no object can have a device read or run what its owner did not name.
"""

from __future__ import annotations

from typing import Any

from ..base.errors import UsageError
from ..base.limits import CONDITION_TEXT_BYTES_MAX, POLL_MS_MAX, POLL_MS_MIN, POLL_UNTIL_BYTES_MAX
from ..objects.codec import encode
from ..objects.condition_text import parse
from ..objects.conditions import to_tree
from .arguments import Duration, checked_duration, checked_name
from .calls import PollWait
from .waiting import Waiting

CHANGED = "changed"


class PollCalls(Waiting):
    """The part of a context that polls."""

    __slots__ = ()

    async def poll(
        self,
        probe: str,
        *,
        every: Duration | tuple[Duration, Duration],
        timeout: Duration | None = None,
        until: str = CHANGED,
    ) -> Any:
        """Poll a probe until a reading ends the wait, and return that reading, as it was recorded.

        Args:
            probe: its name in the configuration of the device that runs this object, or a built-in one.
            every: the interval, or its least and its most: it grows to a tenth of the time since the last change.
            until: `changed`, or a condition over the fields of the reading, such as `size > 0` or `status == 200`.
                The first reading of a source is what later ones are compared with; a log has changed when it has
                lines that no reading of this object held.

        Raises:
            TimeoutError: no reading ended the wait within that time.
            UsageError: an argument is none of the above, or another wait polls this probe already.
        """
        ledger = self._ledger
        least_ms, most_ms = checked_cadence(every)
        checked_name(until, "the condition", CONDITION_TEXT_BYTES_MAX)
        tree = b"" if until == CHANGED else encode(to_tree(parse(until)))
        if len(tree) > POLL_UNTIL_BYTES_MAX:
            raise UsageError(f"until={until[:60]!r}… is longer than {POLL_UNTIL_BYTES_MAX} bytes: simplify it")
        path = ledger.path_for("poll")
        name = checked_name(probe, "a probe's name")
        wait = PollWait(path, name, least_ms, most_ms, ledger.loop.age_ms, tree, until)
        return await self._within(ledger.ask_poll(wait), timeout, f"poll {probe!r} until {until}")


def checked_cadence(every: Any) -> tuple[int, int]:
    """Return (least, most) interval in ms; UsageError for bounds that are out of range or the wrong way round."""
    least, most = every if isinstance(every, tuple) and len(every) == 2 else (every, every)
    least_ms, most_ms = checked_duration(least, "every"), checked_duration(most, "every")
    if not POLL_MS_MIN <= least_ms <= most_ms <= POLL_MS_MAX:
        raise UsageError(
            f"every={every!r} is no cadence: give an interval from {POLL_MS_MIN // 1_000} s to "
            f"{POLL_MS_MAX // 3_600_000} h, or its least and its most, such as every=(60, 3600)"
        )
    return least_ms, most_ms
