"""What the command line gives a daemon beside its configuration file."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ..base.errors import UsageError
from .config import Config
from .web_config import WebConfig


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
    web: str = ""
    log_level: str = "info"

    @property
    def folder(self) -> Path:
        """Where `policy.toml` stands: beside the configuration file, or in the state directory."""
        return self.config.parent if self.config is not None else self.state

    def web_of(self, config: Config) -> WebConfig | None:
        """Return where the status page listens, None where nobody asked for one.

        Raises:
            UsageError: `--web` is no address, or one beyond loopback that the file does not allow.
        """
        if not self.web:
            return config.web
        try:
            return replace(config.web or WebConfig(), listen=self.web)
        except ValueError as error:
            raise UsageError(f"--web: {error}.") from None
