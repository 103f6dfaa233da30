"""`config.toml`: what the machine's owner says of this device. Parsed once, unknown keys refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ..base.errors import UsageError
from ..base.limits import LIST_ITEMS_MAX, NAME_BYTES_MAX
from ..judge.policy import Policy

Word = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
Words = Annotated[list[Word], Meta(max_length=LIST_ITEMS_MAX)]
Capability = Annotated[str, Meta(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=NAME_BYTES_MAX)]
Capabilities = Annotated[list[Capability], Meta(max_length=LIST_ITEMS_MAX)]

EXAMPLE = """[device]
name = "drone-1"
capabilities = ["camera"]

[network]
interfaces = ["wlan0"]
peers = ["base.local:4711"]

[[apps]]
module = "survey:app"
path = "/opt/survey"
"""


class DeviceConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[device]`: name for people; capabilities and resources, lower-case dotted names."""

    name: str = ""
    capabilities: Capabilities = []
    resources: Capabilities = []


class NetworkConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[network]`: where to listen (`host:port`; empty: any address, a free port), whom to dial, on what links."""

    listen: str = ""
    peers: Words = []
    interfaces: Words = []


class AppConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[[apps]]`: `module:name` and the folder it is imported from."""

    module: Word
    path: str = ""


class Config(Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    device: DeviceConfig = DeviceConfig()
    network: NetworkConfig = NetworkConfig()
    apps: Annotated[list[AppConfig], Meta(max_length=LIST_ITEMS_MAX)] = []


def read_config(path: Path) -> Config:
    """Return the parsed file.

    Raises:
        UsageError: it cannot be read or is not right; names file and key, and shows an example.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from None
    try:
        return msgspec.toml.decode(text, type=Config)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path}: {error}. An example:\n{EXAMPLE}") from None


def read_policy(folder: Path) -> Policy:
    """Return the policy that stands in a folder, or the default where there is none.

    Raises:
        UsageError: the file is not right.
    """
    file = folder / "policy.toml"
    if not file.exists():
        return Policy.default()
    try:
        return Policy.parse(file.read_text(), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from None
