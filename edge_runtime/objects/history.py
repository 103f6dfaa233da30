"""The history of one object: a hash-linked graph of entries, the ruling chain in it, and what is void.

Every placed entry has a *view*: what its past (itself included) says about custody. A *tenure* is one stay of custody
with one device: it begins with `created`, `accepted` or `claimed` and is named by (epoch, id of that entry). The view
holds the best tenure of the past and the newest turn (*tip*) of its chain. Views of two branches merge: the higher
epoch wins, then the lower id of the act that began the tenure; inside one tenure the longer chain, and where a cloned
author forked it, the chain whose first differing turn has the lower id. Progress never counts.

An entry whose right to speak does not follow from its past is *void*: stored, carried, an ancestor, without effect.
So all devices with the same entries hold the same history, in whatever order they heard.

Source: `docs/format.md` (Ruling chain); hash graphs with Byzantine writers after Kleppmann 2022, "Making CRDTs
Byzantine fault tolerant".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ..base.errors import PeerError
from . import bodies as b
from .entries import Entry
from .grants import Role, may_append
from .kinds import Kind
from .records import read_clear, read_sealed
from .value_check import check_values


NOBODY: Mapping[bytes, int] = {}


class View(Struct, frozen=True):
    """What the past of an entry says about custody.

    Attributes:
        epoch: number of the best tenure. act: id of the entry that began it. holder: device that has custody.
        tip: id of the newest ruling turn. depth: its place on the chain, 0 for `created`.
        number: the highest epoch number in the past, offers included.
        is_frozen: the tip ends with an offer: its author may only withdraw.
        has_ended: the chain holds `terminated`.
    """

    epoch: int
    act: bytes
    holder: bytes
    tip: bytes
    depth: int
    number: int
    is_frozen: bool
    has_ended: bool


class Placed(Struct, frozen=True):
    """An entry in its history. `void` is empty, or the reason why the entry has no effect.

    `previous` is the turn before it on its chain (empty for inputs, void entries and the first). `height` follows from
    the graph: what the author wrote may be a lie, and no entry above it may have to repeat it.
    """

    entry: Entry
    view: View
    previous: bytes
    void: str
    height: int


class History:
    """All entries of one object, placed. Adding is O(1) but where branches fork.

    Entries are added parents first; the caller keeps an entry aside while a parent is missing.
    """

    def __init__(self, first: Entry, roles: Sequence[Role], void_from: Mapping[bytes, int] = NOBODY) -> None:
        """Begin with the object's first entry.

        Args:
            first: an entry whose first record is `created` (`verify` has checked that).
            roles: what its grant lets its author be.
            void_from: compromised device -> sequence from which on its entries are void. Another such map is another
                history of the same entries: it is begun anew.
        """
        self.void_from = void_from
        clear = read_clear(first.records[0])
        assert isinstance(clear, b.CreatedClear)
        self.created = clear
        self.object = first.id
        self.placed: dict[bytes, Placed] = {}
        self.heads: list[bytes] = []
        self.bytes_size = 0
        void = self._reason_of_first(first, roles)
        view = View(0, first.id, first.author, first.id, 0, 0, False, False)
        self.view = view if void else self._closed_if(first, view)
        self._keep(Placed(first, self.view, b"", void, 0))

    def __contains__(self, entry_id: bytes) -> bool:
        """Say whether the entry is here."""
        return entry_id in self.placed

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.placed)

    def missing(self, entry: Entry) -> tuple[bytes, ...]:
        """Return the parents that are not here."""
        return tuple(parent for parent in entry.parents if parent not in self.placed)

    def add(self, entry: Entry, roles: Sequence[Role]) -> tuple[Placed, bool]:
        """Place an entry whose parents are all here, and return (placed, does the ruling chain only grow).

        The second value is False when another branch rules from now on: the caller folds again.
        """
        assert entry.id not in self.placed and not self.missing(entry)
        before = self.view
        view = self._merge_all([self.placed[parent].view for parent in entry.parents])
        height = self.height_over(entry.parents)
        void = self._find_void(entry, view, roles, height)
        previous = b""
        if not void and not entry.is_input:
            previous = view.tip
            view = self._grow(entry, view)
        placed = Placed(entry, view, previous, void, height)
        self._keep(placed)
        self.view = self._merge(before, view)
        grows = self.view.tip == before.tip or (self.view.tip == entry.id and previous == before.tip)
        return placed, grows

    def may_hold(self, device: bytes) -> bool:
        """Say whether the object's terms let a device take custody."""
        return not self.created.holders or device in self.created.holders

    def height_over(self, parents: Sequence[bytes]) -> int:
        """Return the height of an entry with these parents, 1 at least."""
        return 1 + max(self.placed[parent].height for parent in parents)

    def chain(self, since: bytes = b"") -> list[Entry]:
        """Return the ruling turns in chain order, those after `since` only (empty: from the first)."""
        found: list[Entry] = []
        at = self.view.tip
        while at and at != since:
            placed = self.placed[at]
            found.append(placed.entry)
            at = placed.previous
        found.reverse()
        return found

    def inputs(self) -> Iterator[Entry]:
        """Yield all inputs that have effect, in the order of arrival here."""
        for placed in self.placed.values():
            if placed.entry.is_input and not placed.void:
                yield placed.entry

    def is_behind(self, entry_id: bytes, heads: Sequence[bytes]) -> bool:
        """Say whether an entry is one of the heads or an ancestor of one. Cost: the graph above its height."""
        return entry_id in self.closure(heads, self.placed[entry_id].height)

    def closure(self, heads: Sequence[bytes], height_min: int = 0) -> dict[bytes, None]:
        """Return the heads that are here and their ancestors down to a height, as an ordered set."""
        seen: dict[bytes, None] = {}
        todo = [head for head in heads if head in self.placed]
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen[at] = None
            todo.extend(p for p in self.placed[at].entry.parents if self.placed[p].height >= height_min)
        return seen

    def after(self, heads: Sequence[bytes]) -> list[Entry]:
        """Return the entries that are not behind these heads, parents first: what a peer with those heads lacks."""
        if not heads:
            return [placed.entry for placed in self.placed.values()]
        known = self.closure(heads)
        return [placed.entry for placed in self.placed.values() if placed.entry.id not in known]

    def _keep(self, placed: Placed) -> None:
        entry = placed.entry
        self.placed[entry.id] = placed
        self.heads = sorted([head for head in self.heads if head not in entry.parents] + [entry.id])
        self.bytes_size += len(entry.raw)

    # --- What rules ---------------------------------------------------------------------------------------------

    def _grow(self, entry: Entry, view: View) -> View:
        """Return the view after a valid turn."""
        first = entry.records[0].kind
        if first in (Kind.ACCEPTED, Kind.CLAIMED):
            view = View(entry.epoch, entry.id, entry.author, entry.id, view.depth + 1,
                        max(view.number, entry.epoch), False, False)  # fmt: skip
        else:
            view = View(view.epoch, view.act, view.holder, entry.id, view.depth + 1, view.number, False, False)
        return self._closed_if(entry, view)

    @staticmethod
    def _closed_if(entry: Entry, view: View) -> View:
        """Return the view as a turn leaves it that may end with an offer or with the object's end."""
        match entry.records[-1].kind:
            case Kind.OFFERED:
                offer = read_clear(entry.records[-1])
                assert isinstance(offer, b.OfferedClear)
                return View(view.epoch, view.act, view.holder, view.tip, view.depth,
                            max(view.number, offer.epoch), True, False)  # fmt: skip
            case Kind.TERMINATED:
                return View(view.epoch, view.act, view.holder, view.tip, view.depth, view.number, False, True)
            case _:
                return view

    def _merge_all(self, views: list[View]) -> View:
        merged = views[0]
        for view in views[1:]:
            merged = self._merge(merged, view)
        return merged

    def _merge(self, left: View, right: View) -> View:
        """Return the ruling view of two branches, with the highest number that either has seen."""
        if left.tip == right.tip:
            better = left
        elif left.act != right.act:
            better = min(left, right, key=lambda view: (-view.epoch, view.act))
        else:
            better = self._longer_or_lower(left, right)
        number = max(left.number, right.number)
        if better.number == number:
            return better
        return View(better.epoch, better.act, better.holder, better.tip, better.depth, number,
                    better.is_frozen, better.has_ended)  # fmt: skip

    def _longer_or_lower(self, left: View, right: View) -> View:
        """Choose inside one tenure: an ancestor yields; a fork goes to the lower id of the first differing turn."""
        short, long = (left, right) if left.depth <= right.depth else (right, left)
        at = long.tip
        for _ in range(long.depth - short.depth):
            at = self.placed[at].previous
        if at == short.tip:
            return long
        other = short.tip
        while self.placed[at].previous != self.placed[other].previous:
            at, other = self.placed[at].previous, self.placed[other].previous
        return long if at < other else short

    # --- What is void -------------------------------------------------------------------------------------------

    def _reason_of_first(self, first: Entry, roles: Sequence[Role]) -> str:
        """Return why nobody may turn an object that was begun so, or nothing."""
        kinds = [record.kind for record in first.records]
        return (
            self._reason_of_author(first)
            or self._reason_of_roles(first, roles)
            or self._reason_of_places(kinds)
            or self._reason_of_offer(first, 0)
            or self._reason_not_sealed(first)
        )

    def _find_void(self, entry: Entry, view: View, roles: Sequence[Role], height: int) -> str:
        """Return why an entry has no effect, or nothing. Only its past, its grant and revocations count."""
        if self.placed[self.object].void:
            return "the first entry is void"
        if entry.height != height:
            return "height"
        return (
            self._reason_of_author(entry)
            or self._reason_of_roles(entry, roles)
            or (self._reason_of_input(entry) if entry.is_input else self._reason_of_turn(entry, view, roles))
            or self._reason_not_sealed(entry)
        )

    def _reason_of_author(self, entry: Entry) -> str:
        is_void = entry.author in self.void_from and entry.sequence >= self.void_from[entry.author]
        return "author compromised" if is_void else ""

    @staticmethod
    def _reason_of_roles(entry: Entry, roles: Sequence[Role]) -> str:
        beyond = [record.kind for record in entry.records if not may_append(roles, record.kind)]
        return f"role: kind {beyond[0]}" if beyond else ""

    @staticmethod
    def _reason_not_sealed(entry: Entry) -> str:
        for record in entry.records:
            try:
                body = read_sealed(record)
                if body is not None and record.body is None:
                    check_values(body)
            except PeerError:
                # Not the error's text: it may be another one with another version of a library, and reasons are
                # part of the envelope state, which is equal on all devices.
                return f"malformed: kind {record.kind}"
        return ""

    def _reason_of_input(self, entry: Entry) -> str:
        created = self.created
        for record in entry.records:
            if record.kind == Kind.SIGNALLED and created.may_signal and entry.author not in created.may_signal:
                return "signaller not named"
            if record.kind == Kind.CANCEL_REQUESTED and created.may_cancel and entry.author not in created.may_cancel:
                return "not among those who may cancel"
        return ""

    def _reason_of_turn(self, entry: Entry, view: View, roles: Sequence[Role]) -> str:
        kinds = [record.kind for record in entry.records]
        if view.has_ended:
            return "after the end"
        misplaced = self._reason_of_places(kinds)
        if misplaced:
            return misplaced
        match kinds[0]:
            case Kind.ACCEPTED:
                reason = self._reason_of_acceptance(entry, view)
            case Kind.CLAIMED:
                reason = self._reason_of_claim(entry, view, roles)
            case _ if entry.author != view.holder:
                reason = "not custodian"
            case _ if entry.epoch != view.epoch:
                reason = "epoch"
            case _:
                reason = "offered" if view.is_frozen else ""
        return reason or self._reason_of_offer(entry, max(view.number, entry.epoch))

    @staticmethod
    def _reason_of_places(kinds: Sequence[int]) -> str:
        """Custody begins an entry or, offered, ends it; after the end nothing follows."""
        if any(kind in (Kind.ACCEPTED, Kind.CLAIMED) for kind in kinds[1:]):
            return "custody record out of place"
        if any(kind in (Kind.OFFERED, Kind.TERMINATED) for kind in kinds[:-1]):
            return "a record after an offer or the end"
        return ""

    def _reason_of_acceptance(self, entry: Entry, view: View) -> str:
        accepted = read_clear(entry.records[0])
        assert isinstance(accepted, b.AcceptedClear)
        if not view.is_frozen or accepted.offer != view.tip:
            return "no such offer stands"
        offered = read_clear(self.placed[view.tip].entry.records[-1])
        assert isinstance(offered, b.OfferedClear)
        if offered.to != entry.author:
            return "offered to another"
        if not self.may_hold(entry.author):
            return "not among the holders"
        return "" if entry.epoch == accepted.epoch == offered.epoch else "epoch"

    def _reason_of_claim(self, entry: Entry, view: View, roles: Sequence[Role]) -> str:
        claimed = read_clear(entry.records[0])
        assert isinstance(claimed, b.ClaimedClear)
        if not entry.epoch == claimed.epoch == view.number + 1:
            return "epoch"
        if entry.author == view.holder:
            return ""
        if not self.may_hold(entry.author):
            return "not among the holders"
        if Role.OPERATOR in roles:
            return ""
        recovery_ms = self.created.recovery_ms
        silence_ms = entry.age_ms - self.placed[view.tip].entry.age_ms
        return "" if recovery_ms and silence_ms >= recovery_ms else "may not claim"

    @staticmethod
    def _reason_of_offer(entry: Entry, number: int) -> str:
        if entry.records[-1].kind != Kind.OFFERED:
            return ""
        offered = read_clear(entry.records[-1])
        assert isinstance(offered, b.OfferedClear)
        return "" if offered.epoch == number + 1 else "epoch of the offer"


def roots_of_first(entry: Entry) -> tuple[bytes, ...]:
    """Return the fleet roots that an object's first entry names.

    Raises:
        PeerError: `entry`: it is not a first entry.
    """
    clear = read_clear(entry.records[0]) if entry.is_first else None
    if not isinstance(clear, b.CreatedClear):
        raise PeerError("entry", "not a first entry")
    return clear.roots
