"""Invitations of this device: made by an operator, used by a device that proves to know the code.

A use is counted in the commit that comes before the grant is sent. Should the answer be lost, the same device asks
again and gets the same grant: nothing more is used up. For that reason a used invitation stays until it ends.

A wrong code voids nothing: with 70 bits of chance a guess is hopeless, and whoever could void an invitation by guessing
wrong would keep every newcomer out. Source: ours.
"""

from __future__ import annotations

from typing import Any

from ..base.errors import Exit, UsageError
from ..base.limits import INVITATIONS_MAX
from ..objects.grants import ROLES, MembershipFile, Role
from ..objects.invitations import Code
from . import commands as c
from .effects import MembershipChanged, Note, Stage
from .events import Enrolling, Inviting
from .lookup import find_device
from .parts import Parts

AGAIN = "Ask an operator of the fleet for a fresh one: `edge-runtime enroll`."


class Enrolment:
    """Makes, lists and withdraws invitations, and admits who used one."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def invite(self, event: Inviting) -> dict[str, Any]:
        """Make an invitation; its number is the lowest that is free.

        Raises:
            UsageError: a role is none, no root key is here, or INVITATIONS_MAX are open.
        """
        command, parts = event.command, self.parts
        unknown = [role for role in command.roles if role not in ROLES]
        if unknown or not command.roles:
            raise UsageError(f"Roles are {', '.join(ROLES)}; {unknown[0] if unknown else 'none'!r} is none of them.")
        root, name = parts.members.fleet_with_root_key()
        replaces = find_device(parts, command.replaces) if command.replaces else b""
        self._drop_ended()
        taken = {number for (number,) in parts.store.run("SELECT number FROM invitations")}
        free = next((number for number in range(INVITATIONS_MAX) if number not in taken), None)
        if free is None:
            raise UsageError(
                f"{INVITATIONS_MAX} invitations are open. Withdraw one: `edge-runtime enroll --withdraw NUMBER`; "
                "`enroll --list` shows them.", Exit.REFUSED,
            )  # fmt: skip
        roles = tuple(role.value for role in Role if role.value in command.roles)
        ends_ms = parts.timeline.life_ms + command.expires_ms
        parts.store.run(
            "INSERT INTO invitations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (free, event.key, root, " ".join(roles), command.uses, ends_ms, replaces, parts.timeline.life_ms),
        )
        parts.effects.append(MembershipChanged())
        code = str(Code(free, event.secret))
        return {
            "code": code, "number": free, "fleet": root.hex(), "name": name, "roles": list(roles),
            "uses": command.uses, "expires_in_ms": command.expires_ms,
        }  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """Return the open invitations; never a code."""
        self._drop_ended()
        found = self.parts.store.run("SELECT number, root, roles, uses_left, ends_ms FROM invitations ORDER BY 1")
        return [
            {
                "number": number, "fleet": bytes(root).hex(), "roles": roles.split(), "uses_left": left,
                "expires_in_ms": ends_ms - self.parts.timeline.life_ms,
                "devices": [
                    bytes(device).hex() for (device,) in
                    self.parts.store.run("SELECT device FROM invited WHERE number = ? ORDER BY 1", (number,))
                ],
            }
            for number, root, roles, left, ends_ms in found.fetchall()
        ]  # fmt: skip

    def withdraw(self, command: c.Uninvite) -> dict[str, Any]:
        """End an invitation; who joined with it stays a member.

        Raises:
            UsageError: there is none of that number.
        """
        self._drop_ended()
        if not self.parts.store.run("DELETE FROM invitations WHERE number = ?", (command.number,)).rowcount:
            raise UsageError(
                f"No invitation {command.number} is open. `edge-runtime enroll --list` shows them.", Exit.NOT_FOUND
            )
        self.parts.store.run("DELETE FROM invited WHERE number = ?", (command.number,))
        self.parts.effects.append(MembershipChanged())
        return {"ok": True, "number": command.number}

    def admit(self, event: Enrolling) -> dict[str, Any]:
        """Return the membership file of a device that proved to know an invitation's code.

        Raises:
            UsageError: the invitation has ended, is used up, or the device is revoked; the text is for its person.
        """
        parts, number, device = self.parts, event.number, event.device
        found = parts.store.run(
            "SELECT root, roles, uses_left, ends_ms, replaces FROM invitations WHERE number = ? AND key = ?",
            (number, event.key),
        ).fetchone()
        if found is None or found[3] <= parts.timeline.life_ms:
            raise UsageError(f"The invitation has ended. {AGAIN}", Exit.REFUSED)
        root, roles, uses_left, _, replaces = found
        if parts.members.revocations.is_withdrawn(device, (bytes(root),)):
            raise UsageError(
                "This device's key was withdrawn from the fleet, for good. Start it on an empty state directory: that "
                "makes a new key; then join.", Exit.REFUSED,
            )  # fmt: skip
        asked = (number, device)
        before = parts.store.run("SELECT file FROM invited WHERE number = ? AND device = ?", asked).fetchone()
        if before is not None:
            return self._answer(bytes(before[0]))
        if uses_left < 1:
            raise UsageError(f"The invitation is used up. {AGAIN}", Exit.REFUSED)
        wanted = tuple(role for role in Role if role.value in roles.split())
        _, file = parts.members.issue(device, wanted, bytes(replaces), parts.wall_ms, bytes(root))
        parts.store.run("UPDATE invitations SET uses_left = uses_left - 1 WHERE number = ?", (number,))
        parts.store.run("INSERT INTO invited VALUES (?, ?, ?)", (number, device, file.to_bytes()))
        parts.effects.append(Note(Stage.ENTERED, b"", {"enrolled": device.hex()[:16]}, is_info=True))
        return self._answer(file.to_bytes())

    @staticmethod
    def _answer(file: bytes) -> dict[str, Any]:
        return {"file": file.hex(), "name": MembershipFile.from_bytes(file).fleet_name}

    def _drop_ended(self) -> None:
        life_ms = self.parts.timeline.life_ms
        if self.parts.store.run("DELETE FROM invitations WHERE ends_ms <= ?", (life_ms,)).rowcount:
            self.parts.store.run("DELETE FROM invited WHERE number NOT IN (SELECT number FROM invitations)")
            self.parts.effects.append(MembershipChanged())
