"""`join CODE` with no daemon: look for who invited, under the state's lock, then take the membership."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ..base.errors import Exit, UsageError
from ..node.commands import Join
from ..node.events import Asked
from .channel import Identity
from .dialling import instance_of
from .discovery import Card, Discovery
from .local import answer_in, read_membership
from .netlink import LinkListener
from .pairing import RADIO_OFF, Newcomer, read_wanted
from .statedir import StateDir


def pair_alone(path: Path, fields: Mapping[str, Any], interfaces: tuple[str, ...]) -> Any:
    """Return what `join` answers.

    Args:
        fields: of the command `join`. interfaces: names to look on; empty for all but loopback.

    Raises:
        UsageError: nobody admitted this device, the radio is off, or a daemon has the state; nothing was changed.
    """
    try:
        command = msgspec.convert({**fields}, Join)
    except msgspec.ValidationError as error:
        raise UsageError(f"join: {error}.") from None
    state = StateDir.open(path)
    try:
        membership = read_membership(state)
        if not membership.is_radio_on:
            raise UsageError(RADIO_OFF, Exit.REFUSED)
        file = asyncio.run(_look(state, membership.device, command, interfaces))
        return answer_in(state, Asked(1, Join(file.hex())))
    finally:
        state.close()


async def _look(state: StateDir, device: bytes, command: Join, interfaces: tuple[str, ...]) -> bytes:
    wanted = await read_wanted(command)
    newcomer = Newcomer(Identity(state.device_key(), state.channel_seed(), ()), wanted)
    listener = LinkListener()
    watching: asyncio.Task[None] | None = None
    discovery: Discovery | None = None
    with suppress(OSError):  # a sandbox without netlink: the addresses that were given must do
        await listener.start()
        names = interfaces or None
        discovery = Discovery(instance_of(device), 0, Card(1, "none", "none"), names, listener.table, newcomer.see)
        await discovery.start()
        watching = asyncio.create_task(_follow(listener, discovery))
    try:
        return await newcomer.look(command.wait_ms / 1000)
    finally:
        if watching is not None:
            watching.cancel()
        if discovery is not None:
            await discovery.stop()
        listener.close()


async def _follow(listener: LinkListener, discovery: Discovery) -> None:
    async for event in listener.events():
        await discovery.link_changed(event)
