"""What devices say they can do: signed adverts, the newest of each device, gossiped to all of the fleet."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ..base.errors import PeerError
from ..base.limits import ADVERT_BYTES_MAX, ADVERT_INTENTS_MAX, ADVERTS_MAX, LIST_ITEMS_MAX, SEQUENCE_JUMP
from ..base.moment import Moment
from ..objects.grants import Advert, Role, check_membership, may_append, sign_advert, verify_advert, verify_grant
from ..objects.kinds import Kind
from .membership import Members
from .store import Store


class Adverts:
    """Adverts in the store, parsed once."""

    def __init__(self, store: Store, members: Members) -> None:
        self.store = store
        self.members = members
        self.by_device: dict[bytes, tuple[Advert, bytes, int]] = {}
        self._acceptors: dict[tuple[bytes, int], bool] = {}
        self._known: dict[bytes, None] = {}
        self.reload()

    def reload(self) -> None:
        """Read all adverts from the store."""
        self.by_device = {}
        self._acceptors.clear()
        for raw, heard_ms in self.store.run("SELECT raw, heard_ms FROM adverts ORDER BY device").fetchall():
            advert = verify_advert(bytes(raw))
            self.by_device[advert.device] = (advert, bytes(raw), heard_ms)
        self._known = {raw: None for _, raw, _ in self.by_device.values()}

    def keep(self, raw: bytes, life_ms: int, moment: Moment, speaker: bytes) -> Advert | None:
        """Store an advert if it is newer than what is here; return it then.

        Args:
            speaker: the device in contact that said it; its own grants were checked when the contact opened.

        Raises:
            PeerError: the bytes are not in order, or (`grant`) the device is a member of none of our fleets: whoever
                gossips it, nothing is offered to it and nobody is told of it.
        """
        if raw in self._known:
            return None  # told in every contact: its signature was checked when it came first
        advert = verify_advert(raw)
        if advert.device == self.members.device:
            return None
        if self.members.is_gone(advert.device):
            raise PeerError("grant", "withdrawn")
        if advert.device != speaker and not self.members.roles_of_device(advert.device):
            roots = self.members.membership().roots
            check_membership((advert.grant,), advert.device, roots, moment.wall_ms, moment.trust)
        had = self.by_device.get(advert.device)
        if had is not None and had[0].counter >= advert.counter:
            return None
        if had is None and len(self.by_device) >= ADVERTS_MAX:
            raise PeerError("adverts", f"more than {ADVERTS_MAX} devices")
        self._put(advert, raw, life_ms)
        return advert

    def say(
        self, capabilities: Sequence[str], resources: Sequence[str], intents: Sequence[tuple[str, int]], life_ms: int
    ) -> bool:
        """Sign this device's advert anew if what it says changed; return whether it did.

        What does not fit ADVERT_BYTES_MAX is left out, by alphabet: intents first, then resources, then capabilities.
        The device still offers it; others only do not know.
        """
        had = self.by_device.get(self.members.device)
        grants = self.members.membership().grants
        draft = Advert(
            self.members.device, 1 if had is None else had[0].counter + 1, self.members.name,
            tuple(sorted(capabilities))[:LIST_ITEMS_MAX], tuple(sorted(resources))[:LIST_ITEMS_MAX],
            tuple(sorted(intents))[:ADVERT_INTENTS_MAX], grants[0] if grants else b"",
        )  # fmt: skip
        raw = sign_advert(self.members.key, draft)
        while len(raw) > ADVERT_BYTES_MAX:
            draft = _shorter(draft)
            raw = sign_advert(self.members.key, draft)
        if had is not None and _without_counter(had[0]) == _without_counter(draft):
            return False
        self._put(draft, raw, life_ms)
        return True

    def jump(self, life_ms: int) -> bytes:
        """Say the same again with a number far above all that was said of this device; return the bytes, if any."""
        had = self.by_device.get(self.members.device)
        if had is None:
            return b""
        advert = replace(had[0], counter=had[0].counter + SEQUENCE_JUMP)
        raw = sign_advert(self.members.key, advert)
        self._put(advert, raw, life_ms)
        return raw

    def _put(self, advert: Advert, raw: bytes, life_ms: int) -> None:
        self.store.run(
            "INSERT OR REPLACE INTO adverts VALUES (?, ?, ?, ?)", (advert.device, advert.counter, raw, life_ms)
        )
        had = self.by_device.get(advert.device)
        if had is not None:
            self._known.pop(had[1], None)
        self._known[raw] = None
        self.by_device[advert.device] = (advert, raw, life_ms)

    def drop(self, device: bytes) -> None:
        """Forget a device's advert: nothing is offered to it, and nobody is told of it."""
        had = self.by_device.pop(device, None)
        if had is not None:
            self.store.run("DELETE FROM adverts WHERE device = ?", (device,))
            self._known.pop(had[1], None)

    def touch(self, device: bytes, life_ms: int) -> None:
        """Remember that a device was met now: candidates met last come first."""
        had = self.by_device.get(device)
        if had is not None:
            self.store.run("UPDATE adverts SET heard_ms = ? WHERE device = ?", (life_ms, device))
            self.by_device[device] = (had[0], had[1], life_ms)

    def raws(self) -> list[bytes]:
        """Return all adverts' bytes, own one first."""
        own = self.members.device
        ordered = sorted(self.by_device, key=lambda device: (device != own, device))
        return [self.by_device[device][1] for device in ordered]

    def others(self) -> list[Advert]:
        """Return the adverts of other devices, by id."""
        return [self.by_device[key][0] for key in sorted(self.by_device) if key != self.members.device]

    def name_of(self, device: bytes) -> str:
        """Return a device's name for people, else the beginning of its id."""
        if device == self.members.device:
            return self.members.name
        had = self.by_device.get(device)
        return had[0].name if had is not None and had[0].name else device.hex()[:8]

    def _may_accept(self, advert: Advert) -> bool:
        """Say whether a device's grants let it take custody: a relay or advisor is never asked."""
        key = (advert.device, advert.counter)
        if key not in self._acceptors:
            try:
                grant = verify_grant(advert.grant)
                is_own = grant.body.audience == advert.device and grant.body.fleet in self.members.membership().roots
                is_own = is_own and not self.members.revocations.is_withdrawn(advert.device, (grant.body.fleet,))
                roles: Sequence[Role] = grant.roles if is_own else ()
            except PeerError:
                roles = ()
            roles = roles or self.members.roles_of_device(advert.device)
            if not may_append(roles, Kind.ACCEPTED):
                return False
            self._acceptors[key] = True
        return True

    def candidates(
        self, needs: Sequence[str], intent: str, excluded: Sequence[bytes], in_contact: Sequence[bytes]
    ) -> list[Advert]:
        """Return devices that offer the intent and every need: in contact first, then last met, then lower id."""
        found = [
            (advert.device not in in_contact, -heard_ms, advert.device, advert)
            for advert, _, heard_ms in self.by_device.values()
            if advert.device != self.members.device
            and advert.device not in excluded
            and self._may_accept(advert)
            and advert.has(needs, intent)
        ]
        return [item[3] for item in sorted(found, key=lambda item: item[:3])]


def _shorter(advert: Advert) -> Advert:
    """Return the advert with less in its first list that still has something; a bare advert is within its bound."""
    for name in ("intents", "resources", "capabilities"):
        items = getattr(advert, name)
        if items:
            return msgspec.structs.replace(advert, **{name: items[: len(items) * 3 // 4]})
    raise AssertionError("an advert with nothing in it is over its bound")


def _without_counter(advert: Advert) -> tuple[object, ...]:
    return (advert.name, advert.capabilities, advert.resources, advert.intents, advert.grant)
