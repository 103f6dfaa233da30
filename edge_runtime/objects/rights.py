"""Rights that an object holds: what was granted at its making, and where each of them is now.

A right is spent by a durable `attempted` before anything acts, once for each (attempt id, try). Rights move to
children, in the entry that makes them and never back, and with custody: those that an offer names have left the
offerer with it and arrive with `accepted`. An offer that expired, and any `claimed`, carries none: whoever had them
may have spent them where nobody heard of it. So

    left + spent + offered + frozen + delegated = granted

always, and what all branches of an object and its children spend together is never more than was granted.

Source: ours; bounded counters after Balegas et al. 2015, "Extending Eventually Consistent Cloud Databases for Enforcing
Numeric Invariants": only the donor transfers, recorded before sending.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from . import bodies as b
from .children import DelegatedSealed
from .records import Record

Amounts = tuple[tuple[str, int], ...]


class Rights(Struct):
    """The rights of one object as its ruling chain tells it; amounts by name, names ascending.

    Attributes:
        left: held by the custodian. offered: named in an offer that nobody has answered.
        frozen: of expired offers and lost devices: nobody may spend them again. delegated: given to children.
        tries: (attempt id, try) of all that was spent, as bytes.
    """

    granted: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    offered: dict[str, int] = field(default_factory=dict)
    frozen: dict[str, int] = field(default_factory=dict)
    tries: dict[bytes, None] = field(default_factory=dict)
    delegated: dict[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, granted: Amounts) -> Rights:
        """Return the rights of a new object; a name that comes twice counts once, the last time."""
        amounts = dict(sorted(granted))
        return cls(amounts, dict(amounts))

    def spend(self, body: b.AttemptedSealed) -> None:
        """Take what one try spends; the same try again spends nothing, and nobody spends what is not there."""
        key = key_of(body)
        if not body.rights or key in self.tries:
            return
        self.tries[key] = None
        for name, amount in body.rights:
            _move(self.left, self.spent, name, amount)

    def delegate(self, named: Amounts) -> bool:
        """Give a child its rights, all of them or none; say whether they were there."""
        if any(amount > self.left.get(name, 0) for name, amount in summed(named)):
            return False
        for name, amount in named:
            _move(self.left, self.delegated, name, amount)
        return True

    def offer(self, named: Amounts) -> None:
        """Take what an offer names from the offerer."""
        for name, amount in named:
            _move(self.left, self.offered, name, amount)

    def accept(self) -> None:
        """Give the receiver what the offer named; what stayed behind has no custodian any more."""
        _move_all(self.left, self.frozen)
        _move_all(self.offered, self.left)

    def claim(self) -> None:
        """Custody was taken without an acceptance: no right comes with it."""
        _move_all(self.left, self.frozen)
        _move_all(self.offered, self.frozen)

    def why_not(self, asked: Amounts, made: Iterable[Record] = ()) -> str:
        """Return what is missing for a try, empty if nothing is.

        Args:
            made: records of this turn, not yet folded: what they spend or give to children is gone as well.
        """
        made = tuple(made)
        bodies = [record.body for record in made if isinstance(record.body, DelegatedSealed)]
        gone = dict(summed(right for body in bodies for item in body.slots for right in item.rights))
        for body in dict((key_of(item), item) for item in map(_attempted, made) if item is not None).values():
            if key_of(body) not in self.tries:
                for name, amount in body.rights:
                    gone[name] = gone.get(name, 0) + amount
        for name, amount in asked:
            left = max(0, self.left.get(name, 0) - gone.get(name, 0))
            if amount > left:
                return f"rights: {amount} {name} asked, {left} left"
        return ""

    def amounts_left(self) -> Amounts:
        """Return what the custodian holds."""
        return tuple((name, amount) for name, amount in self.left.items() if amount)

    def rows(self) -> list[dict[str, str | int]]:
        """Return a row for each name, for people."""
        return [
            {"name": name, "granted": amount, "left": self.left.get(name, 0), "spent": self.spent.get(name, 0),
             "offered": self.offered.get(name, 0), "frozen": self.frozen.get(name, 0),
             "delegated": self.delegated.get(name, 0)}
            for name, amount in self.granted.items()
        ]  # fmt: skip


def summed(amounts: Iterable[tuple[str, int]]) -> Amounts:
    """Return the sum of each name, names in the order in which they come first."""
    found: dict[str, int] = {}
    for name, amount in amounts:
        found[name] = found.get(name, 0) + amount
    return tuple(found.items())


def key_of(body: b.AttemptedSealed) -> bytes:
    """Return what names one try of one attempt."""
    return body.attempt + body.try_number.to_bytes(8, "big")


def _attempted(record: Record) -> b.AttemptedSealed | None:
    return record.body if isinstance(record.body, b.AttemptedSealed) else None


def _move(source: dict[str, int], target: dict[str, int], name: str, amount: int) -> None:
    """Move as much of an amount as is there: whatever a record claims, no right is made by it."""
    moved = min(amount, source.get(name, 0))
    if moved:
        source[name] -= moved
        target[name] = target.get(name, 0) + moved


def _move_all(source: dict[str, int], target: dict[str, int]) -> None:
    for name in source:
        _move(source, target, name, source[name])
