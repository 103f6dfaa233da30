"""`[join]`: a device whose image or card holds an invitation joins by itself, once it finds who invited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ..base.errors import EdgeError, Exit, UsageError
from ..base.limits import GRANT_BYTES_MAX, PAIRING_MS_MAX
from ..node.commands import Join
from ..node.events import Asked
from ..node.membership import Membership
from ..objects.grants import MembershipFile
from ..objects.invitations import InvitationFile
from .links import Links
from .pairing import RETRY_S, Ask, read_wanted

log = logging.getLogger("edge_runtime")


async def join_at_first(file: str, links: Links, membership: Callable[[], Membership], ask: Ask) -> None:
    """Join with a file of `enroll -o` or of `grant`, unless this device is a member of its fleet; else look on and on.

    While the radio is off nobody is looked for. What is wrong with the file, or why whoever invited does not let this
    device in, is logged once: the daemon goes on.
    """
    try:
        data = Path(file).read_bytes()[: 8 * GRANT_BYTES_MAX]
        invitation = InvitationFile.from_bytes(data)
        root = MembershipFile.from_bytes(data).root if invitation is None else invitation.root
    except (OSError, EdgeError) as error:
        log.error("[join] invitation: %s: %s. This device joins nothing.", file, error)
        return
    if root in membership().roots:
        return
    while invitation is not None:
        while not membership().is_radio_on:
            await asyncio.sleep(RETRY_S)
        wanted = Join(code=str(invitation.code), peers=list(invitation.peers), root=root.hex())
        try:
            data = await links.pair(await read_wanted(wanted), PAIRING_MS_MAX / 1000)
            break
        except UsageError as error:
            if error.exit is not Exit.FAILED and membership().is_radio_on:  # FAILED is nobody found yet
                log.error("[join] invitation: %s", error.message)
                return
    try:
        await ask(lambda ticket: Asked(ticket, Join(data.hex())))
    except UsageError as error:
        log.error("[join] invitation: %s: %s", file, error.message)
