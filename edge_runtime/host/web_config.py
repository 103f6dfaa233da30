"""`[web]` of `config.toml`: where the status page listens. Without the section nothing of it is imported."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from msgspec import Meta, Struct

from ..base.errors import UsageError
from ..base.limits import LIST_ITEMS_MAX, NAME_BYTES_MAX
from .dialling import split_address

EXAMPLE = """
[web]
listen = "127.0.0.1:8080"
"""
LISTEN = "127.0.0.1:8080"
HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+$", max_length=NAME_BYTES_MAX)]


class WebConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[web]`: the status page, `/metrics` and `/healthz`.

    Args:
        listen: `address:port`; port 0 takes a free one. The file `web.url` in the state directory says which.
        hosts: further names under which browsers may reach the page, such as `drone-1.local`.
        beyond_loopback: must be true for an address that other machines can reach: whoever reaches the page reads
            everything that this device holds in clear.

    Raises:
        ValueError: `listen` is no address, or not one of loopback and that was not asked for; says what to change.
    """

    listen: str = LISTEN
    hosts: Annotated[list[HostName], Meta(max_length=LIST_ITEMS_MAX)] = []
    beyond_loopback: bool = False

    def __post_init__(self) -> None:
        """Refuse what is out of bounds; the parser adds the key."""
        host, _ = self.address
        if not is_loopback(host) and not self.beyond_loopback:
            raise ValueError(
                f"listen = {self.listen!r} can be reached from other machines, and whoever reaches the page reads what "
                "this device holds. Write an address such as 127.0.0.1:8080, or say beyond_loopback = true under [web] "
                "of the configuration file"
            )

    @property
    def address(self) -> tuple[str, int]:
        """The host, an IP address or `localhost`, and the port.

        Raises:
            ValueError: it is not of that form.
        """
        try:
            host, port = split_address(self.listen)
        except UsageError as error:
            raise ValueError(error.message.removesuffix(".")) from None
        if host != "localhost":
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise ValueError(f"listen = {self.listen!r}: write an IP address, such as {LISTEN}") from None
        return host, port


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine alone; a name is so only if it is `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
