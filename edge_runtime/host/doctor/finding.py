"""What one check came to, and where the device is that is looked at."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from msgspec import Struct


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, and somebody should know what does not
    ERROR = "error"  # something of what was set up cannot work: `doctor` ends with code 1


class Finding(Struct, frozen=True):
    """One line of `doctor`.

    Attributes:
        check: a stable word for programs, such as `disk`.
        says: what is so. do: what to do about it, empty for OK.
    """

    check: str
    level: Level
    says: str
    do: str = ""

    def row(self) -> dict[str, str]:
        """Return it as `--json` prints it."""
        return {"check": self.check, "level": self.level.value, "says": self.says, "do": self.do}


class Place(Struct, frozen=True):
    """The device that is looked at.

    Attributes:
        state: its state directory. config: its configuration file, None for none.
        socket: where its daemon would answer. named: the `--state` that was given, None for none.
    """

    state: Path
    config: Path | None
    socket: Path
    named: str | None = None

    @property
    def policy_folder(self) -> Path:
        """Where its daemon looks for `policy.toml`."""
        return self.config.parent if self.config is not None else self.state


class Known(Struct, frozen=True):
    """What the daemon said, if one answers: `status` and `peers` as they are; None for no daemon.

    Attributes:
        process: the daemon's process id.
        why_not: why nobody answers; empty if somebody does. is_refused: one runs, and does not let the asker in.
    """

    status: dict[str, Any] | None = None
    peers: tuple[dict[str, Any], ...] = ()
    process: int | None = None
    why_not: str = ""
    is_refused: bool = False


def fine(check: str, says: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, Level.OK, says)


def warn(check: str, says: str, do: str) -> Finding:
    """Return a finding that somebody should know of."""
    return Finding(check, Level.WARNING, says, do)


def wrong(check: str, says: str, do: str) -> Finding:
    """Return a finding that must be put right."""
    return Finding(check, Level.ERROR, says, do)
