"""Keyed state: values that stay on this device, read and set by a body and recorded where that happens."""

from __future__ import annotations

from typing import Any

from ..base.limits import RESULT_BYTES_MAX
from .arguments import checked_name
from .calls import World
from .ledger import Ledger
from .payloads import decode_payload, encode_payload


class State:
    """Values that stay on this device, by name, for the object's key or else for the object."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def get(self, name: str, default: Any = None) -> Any:
        """Return a value that was set, else the default; recorded where it is read."""
        path = self._ledger.path_for(checked_name(name, "a state's name"))

        def read(world: World) -> bytes:
            made = self._ledger.state_made(name)
            return (world.state_get(name) or b"") if made is None else made

        data = self._ledger.learn(path, f"state {name!r}", read)
        return decode_payload(data, Any, f"state {name!r}") if data else default

    def set(self, name: str, value: object) -> None:
        """Set a value; durable in the commit of this turn.

        Raises:
            UsageError: the value cannot be recorded.
        """
        path = self._ledger.path_for(checked_name(name, "a state's name"))
        self._ledger.set_state(path, name, encode_payload(value, f"state {name!r}", RESULT_BYTES_MAX))
