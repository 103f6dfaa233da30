"""What this device has measured of others: round trips, retry tokens, encounters; by peer, kind of link, size.

Losing it costs speed only: it is kept in the table `pacing`, written when it has changed by enough to matter. What one
peer did is never held against another, and nothing that a late observer saw is held against anybody (Lifeguard).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct, structs

from ..base.limits import DESTINATIONS_MAX, LATE_ANSWERS_MAX, TOKENS_MILLI_MAX
from ..base.units import KIB
from ..judge.encounters import Encounters
from ..judge.outcomes import BLAMES_PEER, Outcome
from ..judge.rto import Rto, floor_ms_of
from ..judge.slowness import is_slow
from ..judge.throttle import Tokens
from ..objects.attempts import DEGRADED, StepMemory, read_partial
from ..objects.codec import encode_value
from .events import StepEnded
from .parts import Parts

# A narrow link carries 256 bytes in a moment and 16 KiB in minutes: their round trips are different things.
SIZES = (KIB, 4 * KIB)
LIMIT_GROWTH = 4  # a call's own limit is what its author thought of answers; beyond four times it is wrong
_NOTHINGS: tuple[object, ...] = (None, [], {}, "", 0)
NOTHING_DONE = tuple(encode_value(nothing) for nothing in _NOTHINGS)


class Way(Struct, frozen=True):
    """What round trips are kept apart by.

    Attributes:
        name: the peer, or the step's name where it names nobody. link: kind of link, empty where it is not known.
        size: class of the request's size, 0 .. len(SIZES).
    """

    name: str
    link: str = ""
    size: int = 0

    @property
    def key(self) -> str:
        """The key of its row."""
        return f"{self.size}\n{self.link}\n{self.name}"


class Pacing:
    """The estimators of this device.

    Args:
        link_of: returns the kind of link by which a peer of that name is in contact, empty for none.
    """

    def __init__(self, parts: Parts, link_of: Callable[[str], str]) -> None:
        self.parts = parts
        self._link_of = link_of
        self._rtos: OrderedDict[str, Rto] = OrderedDict()
        self._saved_us: dict[str, int] = {}
        self._tokens: dict[str, Tokens] = {}
        self._encounters: dict[str, Encounters] = {}
        self._unanswered: OrderedDict[tuple[bytes, int], Way] = OrderedDict()
        self._load()

    # --- Round trips ----------------------------------------------------------------------------------------------

    def way(self, name: str, bytes_size: int) -> Way:
        """Return the way that a request of that size to a peer (or a step's own destination) takes now."""
        link = self._link_of(name)
        if not link:
            fact = self.parts.facts.by_name.get("link.kind")
            is_known = fact is not None and fact.is_known_at(self.parts.timeline.life_ms)
            link = str(fact.value)[:32] if fact is not None and is_known else ""
        return Way(name, link, sum(bytes_size > bound for bound in SIZES))

    def rto(self, way: Way) -> Rto:
        """Return the round-trip estimate of a way; its kind of link may have a floor."""
        found = self._rtos.get(way.key, Rto())
        floor_ms = floor_ms_of(way.link)
        return found if floor_ms == found.floor_ms else structs.replace(found, floor_ms=floor_ms)

    def limit_ms(self, way: Way, timeout_ms: int) -> int:
        """Return the time limit of one try: the call's own, and up to four times as long where answers take longer."""
        rto = self.rto(way)
        if not rto.samples:
            return timeout_ms
        return max(timeout_ms, min(rto.timeout_ms(0), LIMIT_GROWTH * timeout_ms))

    def read(self, way: Way, event: StepEnded, memory: StepMemory | None) -> StepEnded:
        """Return an outcome as it is to be recorded: late results are `slow`, progress of nothing is `busy`."""
        evidence, outcome = event.evidence, event.outcome
        if event.is_observer_late:
            evidence = f"{DEGRADED} {evidence}".rstrip()
        elif outcome == Outcome.OK and is_slow(self.rto(way), event.latency_ms):
            outcome = int(Outcome.SLOW)
        value = event.value
        if outcome == Outcome.PARTIAL:
            parts, rest = read_partial(value), None if memory is None else memory.rest
            if parts is None or parts[0] in NOTHING_DONE or parts[1] == rest:
                outcome, value = int(Outcome.BUSY), b""
        return structs.replace(event, outcome=outcome, evidence=evidence, value=value)

    def learn(self, way: Way, event: StepEnded) -> bool:
        """Let the estimators learn from an outcome; return whether its destination may still be tried again at will.

        Karn's algorithm: no sample from a request that was repeated, for its answer may be the first one's.
        """
        if event.is_observer_late:
            return True
        outcome = Outcome(event.outcome)
        if outcome in (Outcome.OK, Outcome.SLOW):
            if event.try_number == 1:
                self._sample(way, event.latency_ms)
            self._put_tokens(way.name, self.tokens(way.name).after_answer())
        elif outcome in BLAMES_PEER:
            self._put_tokens(way.name, self.tokens(way.name).after_failure())
            self._unanswered[(event.attempt, event.try_number)] = way
            while len(self._unanswered) > LATE_ANSWERS_MAX:
                self._unanswered.popitem(last=False)
            return self.tokens(way.name).may_retry
        return True

    def measure_late(self, event: StepEnded) -> None:
        """Take the round trip of an answer that came after its try was given up; it names its try. No other effect."""
        way = self._unanswered.pop((event.attempt, event.try_number), None)
        if way is not None and not event.is_observer_late:
            self._sample(way, event.latency_ms)

    def _sample(self, way: Way, latency_ms: int) -> None:
        rto = self.rto(way).after(latency_ms)
        self._rtos[way.key] = rto
        self._rtos.move_to_end(way.key)
        # Each step writing a row would cost as much as its record: a change of an eighth is worth one.
        if abs(rto.base_us() - self._saved_us.get(way.key, 0)) * 8 > rto.base_us():
            self._saved_us[way.key] = rto.base_us()
            self._save("rto", way.key, f"{rto.srtt_us} {rto.rttvar_us} {rto.samples}")
        while len(self._rtos) > DESTINATIONS_MAX:
            self._drop("rto", self._rtos.popitem(last=False)[0])

    # --- Retry tokens ---------------------------------------------------------------------------------------------

    def tokens(self, name: str) -> Tokens:
        """Return the retry tokens of a destination."""
        return self._tokens.get(name, Tokens())

    def _put_tokens(self, name: str, tokens: Tokens) -> None:
        if tokens == self.tokens(name):
            return
        self._tokens.pop(name, None)
        if tokens.milli == TOKENS_MILLI_MAX:
            self._drop("tokens", name)
            return
        self._tokens[name] = tokens
        self._save("tokens", name, str(tokens.milli))
        while len(self._tokens) > DESTINATIONS_MAX:
            oldest = next(iter(self._tokens))
            del self._tokens[oldest]
            self._drop("tokens", oldest)

    # --- Encounters -----------------------------------------------------------------------------------------------

    def meet(self, device: bytes) -> None:
        """A contact with a device opened."""
        key = device.hex()
        found = self._encounters.pop(key, Encounters()).after_meeting(self.parts.timeline.life_ms)
        self._encounters[key] = found
        self._save("encounters", key, f"{found.ppb} {found.met_ms} {found.aged_ms}")
        while len(self._encounters) > DESTINATIONS_MAX:
            oldest = next(iter(self._encounters))
            del self._encounters[oldest]
            self._drop("encounters", oldest)

    def likelihood_ppb(self, device: bytes) -> int:
        """Return how likely a device is met again, in ppb."""
        return self._encounters.get(device.hex(), Encounters()).at(self.parts.timeline.life_ms).ppb

    # --- The table ------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        for kind, key, value in self.parts.store.run("SELECT kind, key, value FROM pacing ORDER BY rowid").fetchall():
            numbers = [int(word) for word in value.split()]
            match kind:
                case "rto":
                    self._rtos[key] = Rto(*numbers)
                    self._saved_us[key] = self._rtos[key].base_us()
                case "tokens":
                    self._tokens[key] = Tokens(*numbers)
                case "encounters":
                    self._encounters[key] = Encounters(*numbers)

    def _save(self, kind: str, key: str, value: str) -> None:
        self.parts.store.run("INSERT OR REPLACE INTO pacing (kind, key, value) VALUES (?, ?, ?)", (kind, key, value))

    def _drop(self, kind: str, key: str) -> None:
        if kind == "rto":
            self._saved_us.pop(key, None)
        self.parts.store.run("DELETE FROM pacing WHERE kind = ? AND key = ?", (kind, key))
