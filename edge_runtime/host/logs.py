"""Where the daemon's log goes: standard error, for people with a letter before each line, for journald with its level.

Source: sd-daemon(3), the prefixes `<3>` and so on; systemd.exec(5), `$JOURNAL_STREAM`.
"""

from __future__ import annotations

import logging
import os
import sys

ERROR, WARNING, INFO, DEBUG = 3, 4, 6, 7  # Source: syslog(3)
LEVELS = ((logging.ERROR, ERROR), (logging.WARNING, WARNING), (logging.INFO, INFO))


def with_level(text: str, level: int) -> str:
    """Return a message with its level before each line: journald takes each line for a message of its own."""
    return "\n".join(f"<{level}>{line}" for line in text.splitlines())


class JournalFormatter(logging.Formatter):
    """Says the level in the way that journald reads."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message with its level."""
        level = next((number for least, number in LEVELS if record.levelno >= least), DEBUG)
        return with_level(super().format(record), level)


def is_journal() -> bool:
    """Say whether standard error goes to journald itself, and not to a file or terminal that was put in its place."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def start_logging(level: str) -> None:
    """Log what is at least of this level (`info`), from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if is_journal() else logging.Formatter("%(levelname).1s %(message)s"))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
