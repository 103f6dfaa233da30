"""Facts of this device: set by people (kept), read by sensors and links (in memory), each with age and origin."""

from __future__ import annotations

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import FACT_MAX_AGE_MS_DEFAULT, FACT_NAME_BYTES_MAX, FACT_VALUE_BYTES_MAX, FACTS_MAX
from ..judge.facts import Fact
from ..objects.codec import decode_value, encode_value
from .store import Store


class Facts:
    """The facts by name. At FACTS_MAX a new name is refused; known ones are still updated."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.by_name: dict[str, Fact] = {}
        self.reload()

    def reload(self) -> None:
        """Read the facts that were set by hand."""
        self.by_name = {name: fact for name, fact in self.by_name.items() if fact.origin != "user"}
        for name, value, set_ms, origin, max_age_ms in self.store.run("SELECT * FROM set_facts ORDER BY name"):
            self.by_name[name] = Fact(name, decode_value(bytes(value)), set_ms, origin, max_age_ms)

    def put(
        self, name: str, value: bool | int | float | str | None, origin: str, max_age_ms: int | None, life_ms: int
    ) -> bool:
        """Set a fact (None withdraws it); return whether its value changed.

        Raises:
            UsageError: a name or value out of bounds, or too many facts.
        """
        _check(name, value)
        had = self.by_name.get(name)
        if value is None:
            self.store.run("DELETE FROM set_facts WHERE name = ?", (name,))
            return self.by_name.pop(name, None) is not None
        if had is None and len(self.by_name) >= FACTS_MAX:
            raise UsageError(f"There are {FACTS_MAX} facts already: withdraw one first.", Exit.REFUSED)
        fact = Fact(name, value, life_ms, origin, FACT_MAX_AGE_MS_DEFAULT if max_age_ms is None else max_age_ms)
        if origin == "user":
            self.store.run(
                "INSERT OR REPLACE INTO set_facts VALUES (?, ?, ?, ?, ?)",
                (name, encode_value(value), life_ms, origin, fact.max_age_ms),
            )
        self.by_name[name] = fact
        return had is None or type(had.value) is not type(value) or had.value != value

    def all(self) -> tuple[Fact, ...]:
        """Return all facts by name."""
        return tuple(self.by_name[name] for name in sorted(self.by_name))


def _check(name: str, value: object) -> None:
    parts = name.split(".")
    if len(name.encode()) > FACT_NAME_BYTES_MAX or not all(part.replace("_", "a").isalnum() for part in parts):
        raise UsageError(
            f"{name[:60]!r} is no name for a fact: use lower-case words joined by dots, such as battery.percent"
        )
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise UsageError("A fact is a number, true, false or a text.")
    try:
        size = 0 if value is None else len(encode_value(value))
    except (ValueError, PeerError) as error:
        raise UsageError(f"This value cannot be kept: {error}.") from None
    if size > FACT_VALUE_BYTES_MAX:
        raise UsageError(f"A fact's value is at most {FACT_VALUE_BYTES_MAX} bytes.")
