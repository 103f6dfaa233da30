"""Who this device is: its key, its fleets and grants, and the counters under which it signs."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import REVOCATION_BYTES_MAX, SEQUENCE_BLOCK, SEQUENCE_JUMP
from ..base.moment import Moment
from ..objects.grants import Grant, MembershipFile, Role, check_membership, issue_grant, verify_grant
from ..objects.keys import SigningKey
from ..objects.revocations import Revocation, Revocations, issue_revocation, verify_revocation
from .store import Store
from .validity import Terms


class Membership(Struct, frozen=True):
    """What the host needs for links. `roots`: keys trusted here; `grants`: own ones, to be presented.

    `revoked`: pairs of fleet and device whose grants are withdrawn. `invitations`: open ones, (number, key).
    """

    device: bytes
    name: str
    roots: tuple[bytes, ...]
    fleets: tuple[tuple[str, bytes], ...]
    grants: tuple[bytes, ...]
    is_radio_on: bool
    revoked: frozenset[tuple[bytes, bytes]] = frozenset()
    invitations: tuple[tuple[int, bytes], ...] = ()

    def standing_with(self, device: bytes) -> tuple[bytes, ...]:
        """Return the roots of the fleets in which neither this device's grants nor that one's are withdrawn."""
        return tuple(
            root for root in self.roots
            if (root, device) not in self.revoked and (root, self.device) not in self.revoked
        )  # fmt: skip


QUARANTINE = "quarantine"  # in `meta`: why this device writes nothing; empty while it may


def jump_sequence_of(store: Store) -> None:
    """Let numbers begin far above all that this key may have given out, in a store that no node has open."""
    store.set_meta("sequence_end", int(store.get_meta("sequence_end", 0)) + SEQUENCE_JUMP)


class Members:
    """Fleets, grants and sequence numbers in the store, with small caches."""

    def __init__(self, store: Store, key: SigningKey, root_keys: Sequence[SigningKey], name: str) -> None:
        self.store = store
        self.key = key
        self.root_keys = {root.public: root for root in root_keys}
        if name and not store.get_meta("name"):
            store.set_meta("name", name)
        self._roles: dict[bytes, tuple[Role, ...]] = {}
        self._root_of: dict[bytes, bytes] = {}
        self._terms: dict[bytes, tuple[Terms, ...]] = {}
        self.grants_kept = 0  # counted, so that whoever takes grants in can tell that there are new ones
        self._next_sequence = 0
        self._sequence_end = 0
        self.reload()

    @property
    def device(self) -> bytes:
        """This device's id."""
        return self.key.public

    @property
    def name(self) -> str:
        """This device's name for people."""
        return str(self.store.get_meta("name", "") or self.device.hex()[:8])

    def reload(self) -> None:
        """Read the fleets from the store (after a rollback, too)."""
        rows = self.store.run("SELECT root, name, own_grant FROM fleets ORDER BY n DESC").fetchall()
        self.fleets = [(bytes(root), str(name), bytes(grant)) for root, name, grant in rows]
        kept = self.store.run("SELECT raw, heard_ms FROM revocations").fetchall()
        self.revocations = Revocations()
        self.revocations.add([(verify_revocation(bytes(raw)), heard_ms) for raw, heard_ms in kept])
        self._roles.clear()
        self._root_of.clear()
        self._terms.clear()

    def membership(self) -> Membership:
        """Return a snapshot for the host."""
        grants = tuple(self.grant_bytes(grant) for _, _, grant in self.fleets)
        return Membership(
            self.device, self.name, tuple(root for root, _, _ in self.fleets),
            tuple((name, root) for root, name, _ in self.fleets), grants, self.is_radio_on,
            self.revocations.revoked, self._invitations(),
        )  # fmt: skip

    def _invitations(self) -> tuple[tuple[int, bytes], ...]:
        rows = self.store.run("SELECT number, key FROM invitations ORDER BY number").fetchall()
        return tuple((number, bytes(key)) for number, key in rows)

    @property
    def is_radio_on(self) -> bool:
        """Whether this device may transmit at all."""
        return bool(self.store.get_meta("radio", 1))

    def current_fleet(self) -> tuple[bytes, str, bytes]:
        """Return (root, name, own grant's id) of the fleet joined last: new objects belong to it.

        Raises:
            UsageError: this device is in no fleet yet.
        """
        if not self.fleets:
            raise UsageError("This device is in no fleet. Run `edge-runtime fleet create NAME` or `join FILE`.")
        return self.fleets[0]

    def grant_under(self, roots: Sequence[bytes]) -> tuple[bytes, tuple[Role, ...]] | None:
        """Return (grant id, roles) under which this device may write into an object of these roots.

        None also where it is declared compromised, since what it wrote would be void; and in quarantine.
        """
        if self.is_quarantined:
            return None
        for root, _, grant in self.fleets:
            if root in roots and not self.revocations.is_compromised(root, self.device):
                return grant, self.roles_of(grant, self.device, roots) or ()
        return None

    # --- Grants ---------------------------------------------------------------------------------------------------

    def keep_grant(self, raw: bytes) -> Grant:
        """Check and store a grant.

        Raises:
            PeerError: it is not in order.
        """
        grant = verify_grant(raw)
        cursor = self.store.run("INSERT OR IGNORE INTO grants VALUES (?, ?)", (grant.id, grant.raw))
        if cursor.rowcount > 0:
            self.grants_kept += 1
            self._terms.clear()
        return grant

    def grant_bytes(self, grant_id: bytes) -> bytes:
        """Return a stored grant's bytes, or nothing."""
        found = self.store.run("SELECT raw FROM grants WHERE id = ?", (grant_id,)).fetchone()
        return b"" if found is None else bytes(found[0])

    def roles_of(self, grant_id: bytes, author: bytes, roots: Sequence[bytes]) -> tuple[Role, ...] | None:
        """Return what a grant lets its author be in an object of these roots.

        Returns:
            None if the grant is not here yet (the entry is kept aside and the grant asked for); an empty tuple never.

        Raises:
            PeerError: `grant`: audience, or root: the entry is refused on every device alike.
        """
        key = grant_id + author
        if key not in self._roles:
            raw = self.grant_bytes(grant_id)
            if not raw:
                return None
            grant = verify_grant(raw)
            if grant.body.audience != author:
                raise PeerError("grant", "audience is another device")
            if len(self._roles) > 4096:
                self._roles.clear()
                self._root_of.clear()
            self._roles[key] = grant.roles
            self._root_of[key] = grant.body.fleet
        if self._root_of[key] not in roots:
            raise PeerError("grant", "the grant is of another fleet than the object")
        return self._roles[key]

    def terms_of(self, grant_id: bytes, author: bytes) -> tuple[Terms, ...]:
        """Return for how long a device's grant permits effects: never empty; where it is not here, for ever.

        Another one of the same roles that is here counts beside it: whoever renews a grant need not make its objects
        anew.
        """
        key = grant_id + author
        if key not in self._terms:
            raw = self.grant_bytes(grant_id)
            body = verify_grant(raw).body if raw else None
            found = [Terms()] if body is None else [Terms(body.expires_ms, body.max_age_ms)]
            if body is not None and (body.expires_ms or body.max_age_ms):
                others = [verify_grant(bytes(row[0])).body for row in self.store.run("SELECT raw FROM grants")]
                found += [Terms(other.expires_ms, other.max_age_ms) for other in others if
                          (other.audience, other.fleet, other.roles) == (body.audience, body.fleet, body.roles)
                          ]  # fmt: skip
            self._terms[key] = tuple(found)
        return self._terms[key]

    def roles_of_device(self, device: bytes) -> tuple[Role, ...]:
        """Return what a device may be in this device's fleets by all grants that are here. Cost: one check a grant."""
        roots, found = [root for root, _, _ in self.fleets], dict[Role, None]()
        for (raw,) in self.store.run("SELECT raw FROM grants").fetchall():
            if device in bytes(raw):  # cheaper than its signature, for those of others
                grant = verify_grant(bytes(raw))
                if grant.body.audience == device and grant.body.fleet in roots and not self.revocations.is_withdrawn(
                    device, (grant.body.fleet,)
                ):
                    found.update(dict.fromkeys(grant.roles))
        return tuple(found)

    # --- Fleets ---------------------------------------------------------------------------------------------------

    def add_fleet(self, root: bytes, name: str, grant: Grant) -> None:
        """Become a member."""
        self.store.run("INSERT OR IGNORE INTO grants VALUES (?, ?)", (grant.id, grant.raw))
        number = self.store.run("SELECT coalesce(max(n), 0) + 1 FROM fleets").fetchone()[0]
        self.store.run("INSERT OR REPLACE INTO fleets VALUES (?, ?, ?, ?)", (root, name, grant.id, number))
        self.reload()

    def found_fleet(self, name: str, key: SigningKey, wall_ms: int) -> Grant:
        """Make this device operator and executor of a new fleet whose root key is here."""
        self.root_keys[key.public] = key
        grant = issue_grant(key, self.device, (Role.EXECUTOR, Role.OPERATOR), wall_ms)
        self.add_fleet(key.public, name, grant)
        return grant

    def join(self, data: bytes, moment: Moment) -> tuple[bytes, str, Grant]:
        """Take the membership of a file.

        Raises:
            UsageError: the file is not one, or is for another device.
        """
        try:
            file = MembershipFile.from_bytes(data)
            grants = check_membership(file.grants, self.device, (file.root,), moment.wall_ms, moment.trust)
        except PeerError as error:
            raise UsageError(
                f"This membership cannot be taken: {error}. Ask the operator for a file made with "
                f"`edge-runtime grant {self.device.hex()} --roles executor -o FILE`."
            ) from None
        self.add_fleet(file.root, file.fleet_name, grants[0])
        return file.root, file.fleet_name, grants[0]

    def issue(
        self, device: bytes, roles: Sequence[Role], replaces: bytes, wall_ms: int, root: bytes = b""
    ) -> tuple[Grant, MembershipFile]:
        """Sign a membership of a fleet: of the one with this root, else of the newest whose root key is here.

        Raises:
            UsageError: its root key is not here.
        """
        root, name = self.fleet_with_root_key(root)
        grant = issue_grant(self.root_keys[root], device, roles, wall_ms, replaces)
        return grant, MembershipFile(name, root, (grant.raw,))

    def fleet_with_root_key(self, wanted: bytes = b"") -> tuple[bytes, str]:
        """Return (root, name) of the newest fleet whose root key is here, or of the one that is wanted.

        Raises:
            UsageError: there is none.
        """
        for root, name, _ in self.fleets:
            if root in self.root_keys and wanted in (b"", root):
                return root, name
        raise UsageError(
            "No fleet's root key is on this device. Run this where `fleet create` was run, or bring the key here from "
            "its backup: `edge-runtime fleet restore FILE`.", Exit.REFUSED,
        )  # fmt: skip

    # --- Revocations ----------------------------------------------------------------------------------------------

    def is_gone(self, device: bytes) -> bool:
        """Say whether a device is a member of none of our fleets any more, for its grants were withdrawn."""
        roots = [root for root, _, _ in self.fleets]
        return self.revocations.is_withdrawn(device, roots) and not self.roles_of_device(device)

    def revoke(
        self, device: bytes, from_sequence: int | None, moment: Moment, operations: Sequence[str] = ()
    ) -> list[Revocation]:
        """Sign revocations of a device in the fleets where this device may; with a root key where it is here.

        What is said already is not said again: the list may be empty.

        Raises:
            UsageError: it may in none.
        """
        may = [fleet for fleet in self.fleets if self._may_revoke(fleet[0], fleet[2])]
        if not may:
            raise UsageError(
                "Only an operator of the fleet revokes. Run `revoke` on one, or where `fleet create` was run.",
                Exit.REFUSED,
            )
        rows = [bytes(raw) for (raw,) in self.store.run("SELECT raw FROM grants")]
        granted = [verify_grant(raw).body for raw in rows if device in raw]
        fleets = {body.fleet: None for body in granted if body.audience == device}
        found: list[Revocation] = []
        for root, _, own_grant in [fleet for fleet in may if fleet[0] in fleets] or may[:1]:
            if self.revocations.says_already(root, device, from_sequence, operations):
                continue
            key = self.root_keys.get(root)
            grant = b"" if key is not None else self.grant_bytes(own_grant)
            sequence = self.take_sequence()
            said = issue_revocation(
                key or self.key, grant, root, device, from_sequence, sequence, moment, operations
            )
            if len(said.raw) > REVOCATION_BYTES_MAX:
                raise UsageError("These kinds of work take too many bytes for one revocation: name fewer at once.")
            found.append(said)
        return found

    def _may_revoke(self, root: bytes, own_grant: bytes) -> bool:
        if root in self.root_keys:
            return True
        roles = self.roles_of(own_grant, self.device, (root,)) or ()
        return Role.OPERATOR in roles and not self.revocations.is_withdrawn(self.device, (root,))

    def keep_revocation(self, revocation: Revocation, life_ms: int) -> None:
        """Store a revocation that is not here yet.

        Raises:
            PeerError: `fleet`: of none of ours; `revocations`: there are too many.
        """
        if revocation.body.fleet not in [root for root, _, _ in self.fleets]:
            raise PeerError("fleet", "a revocation of none of this device's fleets")
        self.revocations.add([(revocation, life_ms)])
        self.store.run("INSERT INTO revocations VALUES (?, ?, ?)", (revocation.id, revocation.raw, life_ms))

    @property
    def is_quarantined(self) -> bool:
        """Whether this device may write nothing until it has learnt what peers hold of it."""
        return bool(self.store.get_meta(QUARANTINE, ""))

    # --- Sequence -------------------------------------------------------------------------------------------------

    def take_sequence(self) -> int:
        """Return the next number of this device's counter; blocks are reserved on disk before use."""
        if self._next_sequence >= self._sequence_end:
            self._next_sequence = int(self.store.get_meta("sequence_end", 0))
            self._sequence_end = self._next_sequence + SEQUENCE_BLOCK
            self.store.set_meta("sequence_end", self._sequence_end)
        self._next_sequence += 1
        return self._next_sequence - 1

    @property
    def sequence_bound(self) -> int:
        """No number from here on was ever given out here."""
        return int(self.store.get_meta("sequence_end", 0))

    def jump_sequence(self) -> None:
        """Begin numbers far above all that this key may have given out on another board."""
        jump_sequence_of(self.store)
        self.forget_sequence()

    def forget_sequence(self) -> None:
        """After a rollback: the block may not have been reserved, so take the next one from disk."""
        self._next_sequence = self._sequence_end = 0
