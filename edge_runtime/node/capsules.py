"""Capsules in and out of the spool: export of one object, import with the same checks as from a peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.errors import Exit, UsageError
from ..objects.capsule import FORMAT_NAME, Header, write_capsule
from ..objects.entries import Entry
from .effects import Answer
from .events import Imported
from .intake import Intake
from .parts import Parts
from .residence import age_from_file
from .spool import Live


class Capsules:
    """Reads objects into capsules, and takes capsules in. `judge`: looks at each entry that is new."""

    def __init__(
        self, parts: Parts, intake: Intake, go_on: Callable[[Live], None], judge: Callable[[Live, Entry], None]
    ) -> None:
        self.judge = judge
        self.parts = parts
        self.intake = intake
        self.go_on = go_on

    def export(self, live: Live) -> dict[str, Any]:
        """Return the capsule's bytes in hex, with what `export` says of it."""
        moment = self.parts.timeline.moment
        entries = [placed.entry for placed in live.state.history.placed.values()]
        grants = [self.parts.members.grant_bytes(grant) for grant in dict.fromkeys(entry.grant for entry in entries)]
        header = Header(
            FORMAT_NAME, live.object, len(entries), self.parts.spool.age_ms(live), live.age_is_exact, moment.wall_ms,
            int(moment.trust),
        )  # fmt: skip
        data = write_capsule(header, grants, [entry.raw for entry in entries])
        heads = [head.hex() for head in live.state.history.heads]
        return {
            "object": live.object.hex(), "entries": len(entries), "verified": "full", "head": heads,
            "capsule": data.hex(),
        }  # fmt: skip

    def take(self, event: Imported) -> Answer:
        """Store a capsule's entries and go on with the object."""
        try:
            self.parts.room.check()
        except UsageError as refusal:
            return Answer(event.ticket, error=refusal)
        now = self.parts.timeline.moment
        age = age_from_file(event.age_ms, event.age_is_exact, event.wall_ms, event.trust, now)
        taken = self.intake.take(event.object, event.grants, event.entries, *age)
        if taken.live is None:
            known = ", ".join(f"{reason} {count}" for reason, count in sorted(self.intake.refusals.items()))
            error = UsageError(
                "Nothing of the capsule was taken: it is of another fleet, for other holders, or past its lifetime "
                f"({known or 'a grant is missing'}).",
                Exit.REFUSED,
            )
            return Answer(event.ticket, error=error)
        for entry in taken.placed:
            self.judge(taken.live, entry)
        if taken.new:
            self.go_on(taken.live)
        heads = [head.hex() for head in taken.live.state.history.heads]
        value = {
            "object": event.object.hex(), "entries": len(event.entries), "new": taken.new, "refused": taken.refused,
            "verified": "full", "head": heads,
        }  # fmt: skip
        return Answer(event.ticket, value)
