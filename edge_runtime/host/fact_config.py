"""The parts of `config.toml` that say where facts come from: `[facts]`, `[mqtt]`, `[mavlink]`."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

from ..base.limits import FACT_INTERVAL_MS_MIN, FACT_NAME_BYTES_MAX, LIST_ITEMS_MAX, NAME_BYTES_MAX
from ..base.units import parse_duration_ms
from ..judge.call import is_reserved
from ..judge.fact_names import DEVICE, MAX_AGE_INTERVALS, SPEAK_FOR_THEMSELVES, find_registered

Duration = Annotated[str, Meta(pattern=r"^([0-9]+(ms|s|m|h|d))+$", max_length=40)]
Path = Annotated[str, Meta(min_length=1, max_length=4_096)]
Word = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
FactName = Annotated[str, Meta(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=FACT_NAME_BYTES_MAX)]
# A wildcard's match stands where its number does: `yard/+/door` as `door.{1}`.
FactTemplate = Annotated[
    str, Meta(pattern=r"^([a-z0-9_]|\{[1-9]\})+(\.([a-z0-9_]|\{[1-9]\})+)*$", max_length=FACT_NAME_BYTES_MAX)
]

EXAMPLE = """[[facts.file]]
path = "/run/tank/level"
name = "tank.level"
interval = "30s"

[mqtt]
host = "localhost"
results = "edge/results/{name}"

[[mqtt.topic]]
topic = "yard/+/door"
name = "door.{1}"

[mavlink]
connection = "udpin:127.0.0.1:14550"
"""


def interval_ms_of(text: str) -> int:
    """Return a cadence in ms.

    Raises:
        ValueError: shorter than is read at all.
    """
    interval_ms = parse_duration_ms(text)
    if interval_ms < FACT_INTERVAL_MS_MIN:
        raise ValueError(f"interval = {text!r} is shorter than {FACT_INTERVAL_MS_MIN} ms")
    return interval_ms


def check_name(name: str) -> None:
    """Refuse a name under which the node takes no reading.

    Raises:
        ValueError: it belongs to calls, to what the device knows of itself, or to the vehicle.
    """
    registered = find_registered(name)
    if is_reserved(name):
        raise ValueError(f"name = {name!r} is one that policy uses for calls: write my.{name}")
    if registered is not None and registered.origin in SPEAK_FOR_THEMSELVES:
        whose = "the device knows of itself" if registered.origin == DEVICE else f"{registered.origin} alone says"
        raise ValueError(f"name = {name!r} is what {whose}: take another one")


class Paced(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is heard or read again and again; older than `max_age` (three intervals) it is unknown."""

    interval: Duration = "1m"
    max_age: Duration = ""

    def __post_init__(self) -> None:
        """Refuse what is out of bounds; the parser adds the key."""
        if self.max_age_ms < interval_ms_of(self.interval):
            raise ValueError(f"max_age = {self.max_age!r} is shorter than the interval {self.interval!r}")

    @property
    def interval_ms(self) -> int:
        """How often it is read or usually heard."""
        return parse_duration_ms(self.interval)

    @property
    def max_age_ms(self) -> int:
        """Older than that it is unknown."""
        return parse_duration_ms(self.max_age) if self.max_age else MAX_AGE_INTERVALS * self.interval_ms


class FileConfig(Paced, frozen=True, kw_only=True):
    """`[[facts.file]]`: a file that holds a number, a text, or JSON."""

    path: Path
    name: FactName

    def __post_init__(self) -> None:
        """Refuse what is out of bounds; the parser adds the key."""
        super().__post_init__()
        check_name(self.name)


class FactsConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[facts]`: the cadence of the machine's own sensors, and files."""

    interval: Duration = "1m"
    sensors: bool = True
    file: Annotated[list[FileConfig], Meta(max_length=LIST_ITEMS_MAX)] = []

    def __post_init__(self) -> None:
        """Refuse what is out of bounds; the parser adds the key."""
        interval_ms_of(self.interval)

    @property
    def interval_ms(self) -> int:
        """How often the machine's own sensors are read."""
        return parse_duration_ms(self.interval)


class TopicConfig(Paced, frozen=True, kw_only=True):
    """`[[mqtt.topic]]`: what comes on a topic is a fact. `+` stands for one level, `#` at the end for the rest."""

    topic: Annotated[str, Meta(min_length=1, max_length=256)]
    name: FactTemplate

    def __post_init__(self) -> None:
        """Refuse what is out of bounds; the parser adds the key."""
        super().__post_init__()
        check_name(self.name)
        levels = self.topic.split("/")
        if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels) or "#" in levels[:-1]:
            raise ValueError(f"topic = {self.topic!r}: + and # stand alone between slashes, # only at the end")
        highest = max((int(number) for number in re.findall(r"\{(\d)\}", self.name)), default=0)
        if highest > levels.count("+"):
            raise ValueError(f"name = {self.name!r} names a + that topic = {self.topic!r} does not have")


class MqttConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[mqtt]`: the broker; topics that are facts; where results of objects with the label go.

    `password_file` holds the password in its first line. `results` is a topic with {object}, {name} or {intent} in it.
    """

    host: Word
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1_883
    tls: bool = False
    user: Annotated[str, Meta(max_length=NAME_BYTES_MAX)] = ""
    password_file: Annotated[str, Meta(max_length=4_096)] = ""
    topic: Annotated[list[TopicConfig], Meta(max_length=LIST_ITEMS_MAX)] = []
    results: Annotated[str, Meta(max_length=256)] = ""
    label: Word = "mqtt"

    def __post_init__(self) -> None:
        """Refuse what is out of bounds; the parser adds the key."""
        if "+" in self.results or "#" in self.results:
            raise ValueError(f"results = {self.results!r}: a topic to publish on has no + or #")
        if not set(re.findall(r"\{(.*?)\}", self.results)) <= {"object", "name", "intent"}:
            raise ValueError(f"results = {self.results!r}: only {{object}}, {{name}} and {{intent}} are filled in")
        if re.search(r"[{}]", re.sub(r"\{\w+\}", "", self.results)):
            raise ValueError(f"results = {self.results!r}: its braces do not match")
        if self.password_file and not self.user:
            raise ValueError("password_file goes with user: MQTT knows no password without one")


class MavlinkConfig(Paced, frozen=True, kw_only=True):
    """`[mavlink]`: the vehicle. In `modes` the autopilot takes orders; in any other, while armed, a pilot flies."""

    connection: Annotated[str, Meta(min_length=1, max_length=256)]
    baud: Annotated[int, Meta(ge=1_200, le=4_000_000)] = 57_600
    system: Annotated[int, Meta(ge=0, le=255)] = 0
    modes: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=LIST_ITEMS_MAX)] = (
        "AUTO", "GUIDED", "MISSION", "OFFBOARD", "TAKEOFF",
    )  # fmt: skip
    interval: Duration = "5s"

    def __post_init__(self) -> None:
        """Refuse what is out of bounds; the parser adds the key."""
        super().__post_init__()
        if self.connection.startswith("tcpin:"):  # the package changes the descriptor when somebody connects
            raise ValueError(f"connection = {self.connection!r}: tcpin cannot be listened to; use tcp: or udpin:")
