"""`replay`: saved objects, or those of a running device, played against the handlers that are here now."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ...base.errors import Exit, PeerError, UsageError
from ...base.limits import OBJECT_BYTES_MAX
from ...objects.capsule import Capsule, read_capsule
from ...program.app import Intent
from ...program.rehearsal import Rehearsal, Verdict, rehearse
from ..apps import load_app
from .console import Progress, open_client, say
from .files import read_file

ROWS = 10_000  # objects of a device at once, as `ls` answers


def replay(options: Namespace) -> int:
    """Play each object; exit 1 if any differs or cannot be read."""
    intents: dict[str, Intent] = {}
    for spec in options.app:
        intents.update(load_app(spec).intents)
    if not intents:
        raise UsageError("replay: load the handlers to be tried with --app module:name.")
    rows, counts = [], {verdict: 0 for verdict in Verdict}
    for name, found in _play(options, intents):
        counts[found.verdict] += 1
        if found.verdict is not Verdict.SAME:
            rows.append(
                {
                    "object": found.object.hex(), "name": name, "intent": found.intent or None,
                    "verdict": found.verdict.value, "difference": found.difference,
                }
            )  # fmt: skip
    is_well = not counts[Verdict.DIFFERS] and not counts[Verdict.UNREADABLE]
    value = {
        "ok": is_well, "objects": sum(counts.values()), "same": counts[Verdict.SAME],
        "differ": counts[Verdict.DIFFERS], "no_app": counts[Verdict.NO_APP],
        "unreadable": counts[Verdict.UNREADABLE], "found": rows,
    }  # fmt: skip
    say(options, "replay", value)
    return int(Exit.OK if is_well else Exit.FAILED)


def _play(options: Namespace, intents: dict[str, Intent]) -> Iterator[tuple[str, Rehearsal]]:
    """Yield what came of each, with the file's or the object's name; a progress line while it takes long."""
    sources = list(_of_files(options)) if options.files else _of_device(options)
    progress = Progress("replay", len(sources), "objects", is_silent=options.json)
    try:
        for number, (name, load) in enumerate(sources, start=1):
            try:
                found = rehearse(load(), intents)
            except PeerError as error:
                raise UsageError(f"{name} does not verify: {error}. Ask for a fresh copy of it.", Exit.FAILED) from None
            progress.advance(number)
            yield name, found
    finally:
        progress.end()


def _of_files(options: Namespace) -> Iterator[tuple[str, Callable[[], Capsule]]]:
    for name in options.files:
        yield name, partial(_of_file, name)


def _of_file(name: str) -> Capsule:
    return read_capsule(read_file(name, 2 * OBJECT_BYTES_MAX))


def _of_device(options: Namespace) -> list[tuple[str, Callable[[], Capsule]]]:
    client = open_client(options)
    fields: dict[str, Any] = {"most": ROWS}
    if options.ended:
        fields["status"] = "ended"

    def load(object_id: str) -> Capsule:
        return read_capsule(bytes.fromhex(client.ask("export", object=object_id)["capsule"]))

    rows = client.ask("ls", **fields)
    return [(row["name"] or row["object"][:12], partial(load, row["object"])) for row in rows]


COMMANDS: dict[str, Callable[[Namespace], int]] = {"replay": replay}
