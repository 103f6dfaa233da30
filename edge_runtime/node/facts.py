"""Facts of this device: set by people (kept), read by sensors, links and bridges (in memory), each with age and origin.

The newest word counts, whoever says it. A fact that has grown too old is unknown; the next reading is a change then,
also if it says the same.
"""

from __future__ import annotations

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import FACT_MAX_AGE_MS_DEFAULT, FACT_NAME_BYTES_MAX, FACT_VALUE_BYTES_MAX, FACTS_MAX
from ..judge.call import RESERVED, is_reserved
from ..judge.fact_names import BRIDGES, DEVICE, SPEAK_FOR_THEMSELVES, USER, find_registered, kind_of
from ..judge.facts import Fact
from ..objects.codec import decode_value, encode_value
from .fact_past import FactPast
from .store import Store


class Facts:
    """The facts by name.

    At FACTS_MAX a new name takes the place of the fact that a bridge set longest ago; without such a fact it is
    refused. Names that are there are still updated.

    Attributes:
        dropped: facts of bridges that gave way. refused: readings that were not taken. Since the process began.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.by_name: dict[str, Fact] = {}
        self.past = FactPast()
        self.dropped = 0
        self.refused = 0
        self.reload()

    def reload(self) -> None:
        """Read the facts that were set by hand."""
        self.by_name = {name: fact for name, fact in self.by_name.items() if fact.origin != USER}
        for name, value, set_ms, origin, max_age_ms in self.store.run("SELECT * FROM set_facts ORDER BY name"):
            self.by_name[name] = Fact(name, decode_value(bytes(value)), set_ms, origin, max_age_ms)

    def put(
        self, name: str, value: bool | int | float | str | None, origin: str, max_age_ms: int | None, life_ms: int
    ) -> bool:
        """Set a fact (None withdraws it); return whether what is known changed.

        Raises:
            UsageError: a name, type or value out of bounds, or too many facts.
        """
        _check(name, value, origin)
        had = self.by_name.get(name)
        if had is not None and had.origin == USER and (origin != USER or value is None):
            self.store.run("DELETE FROM set_facts WHERE name = ?", (name,))
        if had is not None and (type(had.value) is not type(value) or had.value != value):
            self.past.note(had, life_ms)
        if value is None:
            return self.by_name.pop(name, None) is not None
        if had is None and len(self.by_name) >= FACTS_MAX:
            self._make_room()
        fact = Fact(name, value, life_ms, origin, FACT_MAX_AGE_MS_DEFAULT if max_age_ms is None else max_age_ms)
        if origin == USER:
            self.store.run(
                "INSERT OR REPLACE INTO set_facts VALUES (?, ?, ?, ?, ?)",
                (name, encode_value(value), life_ms, origin, fact.max_age_ms),
            )
        self.by_name[name] = fact
        if had is None or not had.is_known_at(life_ms):
            return True
        return type(had.value) is not type(value) or had.value != value

    def _make_room(self) -> None:
        fed_in = [fact for fact in self.by_name.values() if fact.origin in BRIDGES]
        if not fed_in:
            raise UsageError(f"There are {FACTS_MAX} facts already: withdraw one first.", Exit.REFUSED)
        oldest = min(fed_in, key=lambda fact: (fact.set_ms, fact.name))
        del self.by_name[oldest.name]
        self.dropped += 1

    def all(self) -> tuple[Fact, ...]:
        """Return all facts by name."""
        return tuple(self.by_name[name] for name in sorted(self.by_name))


def _check(name: str, value: object, origin: str) -> None:
    parts = name.split(".")
    if len(name.encode()) > FACT_NAME_BYTES_MAX or not all(part.replace("_", "a").isalnum() for part in parts):
        raise UsageError(
            f"{name[:60]!r} is no name for a fact: use lower-case words joined by dots, such as battery.percent"
        )
    if is_reserved(name):
        raise UsageError(
            f"{name} is a name that policy uses for calls: no fact begins with {', '.join(RESERVED)}. "
            f"Call it my.{name}."
        )
    registered = find_registered(name)
    own = None if registered is None or registered.origin not in SPEAK_FOR_THEMSELVES else registered
    if own is not None and own.origin == DEVICE and (origin == USER or origin in BRIDGES):
        raise UsageError(f"{name} is what the device knows of itself ({own.source}): it cannot be set by hand.")
    if own is not None and origin in BRIDGES and origin != own.origin:
        raise UsageError(f"{name} is the word of {own.origin} ({own.source}): no {origin} may set it.")
    if value is None:
        return
    if not isinstance(value, (bool, int, float, str)):
        raise UsageError("A fact is a number, true, false or a text.")
    if registered is not None and kind_of(value) is not registered.kind:
        raise UsageError(f"{name} is {registered.kind.value}, not {value!r:.60}. Names of your own take any value.")
    try:
        size = len(encode_value(value))
    except (ValueError, PeerError) as error:
        raise UsageError(f"This value cannot be kept: {error}.") from None
    if size > FACT_VALUE_BYTES_MAX:
        raise UsageError(f"A fact's value is at most {FACT_VALUE_BYTES_MAX} bytes.")
