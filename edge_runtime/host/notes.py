"""Notes of the node as lines of the log: stages are debug, what a person would want to know is info."""

from __future__ import annotations

import logging

from ..node.effects import Note

log = logging.getLogger("edge_runtime")


def is_logged(note: Note) -> bool:
    """Say whether the log takes a note of this level."""
    return log.isEnabledFor(_level_of(note))


def log_note(note: Note) -> None:
    """Log a note, if the log takes its level."""
    level = _level_of(note)
    if log.isEnabledFor(level):
        fields = " ".join(f"{name}={value}" for name, value in note.fields.items())
        log.log(level, "%s %s %s", note.object.hex()[:12], note.stage.value, fields)


def _level_of(note: Note) -> int:
    return logging.INFO if note.is_info else logging.DEBUG
