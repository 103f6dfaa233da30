"""What the command line gives a daemon beside its configuration file."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class RunOptions(Struct, frozen=True):
    """What `run` was given; lists add to the configuration file's."""

    state: Path
    config: Path | None = None
    name: str = ""
    apps: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    listen: str = ""
    peers: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    log_level: str = "info"

    @property
    def folder(self) -> Path:
        """Where `policy.toml` stands: beside the configuration file, or in the state directory."""
        return self.config.parent if self.config is not None else self.state
