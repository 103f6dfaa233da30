"""The registered facts: each name with its type, unit, usual interval, greatest age and source. `docs/facts.md`.

Names that are not here are the user's own: set by hand, or fed in by a file, a topic or a command of theirs.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ..base.limits import FACT_MAX_AGE_MS_DEFAULT
from ..base.units import MINUTE_MS, SECOND_MS

# A fact that was not read for three of its usual intervals is unknown: one reading may fail, and one may be late.
MAX_AGE_INTERVALS = 3

# Where a fact comes from.
USER, DEVICE, LINK, PEER, SENSOR, FILE, MQTT, MAVLINK = (
    "user", "device", "link", "peer", "sensor", "file", "mqtt", "mavlink",
)  # fmt: skip
# No file and no topic speaks for these. What the vehicle says decides who flies; it may be set by hand, where there is
# no bridge, and the bridge's next word replaces that.
SPEAK_FOR_THEMSELVES = (DEVICE, MAVLINK)
# What others feed in without bound on names: at FACTS_MAX theirs give way.
BRIDGES = (FILE, MQTT, MAVLINK)


class FactKind(Enum):
    """What a fact's value is."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "true or false"


class FactName(Struct, frozen=True):
    """One registered name, or a family of them (`link.*`).

    Attributes:
        unit: of a number, or the words that a text may be; for people.
        interval_ms: how often the source looks; 0: it is told of each change.
        source: where the value comes from, for people.
    """

    name: str
    kind: FactKind
    unit: str
    interval_ms: int
    origin: str
    source: str

    @property
    def max_age_ms(self) -> int:
        """Older than that it is unknown; what the runtime itself knows holds until it changes."""
        return MAX_AGE_INTERVALS * self.interval_ms or FACT_MAX_AGE_MS_DEFAULT


NUMBER, TEXT, BOOLEAN = FactKind.NUMBER, FactKind.TEXT, FactKind.BOOLEAN
REGISTERED: tuple[FactName, ...] = (
    FactName("battery.percent", NUMBER, "%, the lowest of several", MINUTE_MS, SENSOR, "/sys/class/power_supply"),
    FactName("battery.charging", BOOLEAN, "", MINUTE_MS, SENSOR, "/sys/class/power_supply"),
    FactName("disk.free_bytes", NUMBER, "bytes, in whole MiB", MINUTE_MS, SENSOR, "file system of the state"),
    FactName("load", NUMBER, "1-minute load for each core; 1.0: all busy", MINUTE_MS, SENSOR, "getloadavg(3)"),
    FactName("temperature.cpu_c", NUMBER, "°C, the hottest CPU zone", MINUTE_MS, SENSOR, "/sys/class/thermal"),
    FactName("observer.undervoltage", BOOLEAN, "", MINUTE_MS, SENSOR, "/sys/class/hwmon, `rpi_volt`"),
    FactName("link.*", TEXT, "`up`, `down`", 0, LINK, "contacts; `*` is the peer's name"),
    FactName("peer.*", BOOLEAN, "", 0, PEER, "adverts of peers in contact; `*` is a capability"),
    FactName("time.trust", TEXT, "`none`, `restored`, `peer`, `ntp`, `gps`", 0, DEVICE, "the kernel's clock state"),
    FactName("policy.version", TEXT, "hash of the policy in force, hex", 0, DEVICE, "`policy.toml`"),
    FactName("radio", TEXT, "`on`, `off`", 0, DEVICE, "`edge-runtime radio`"),
    FactName("mavlink.connected", BOOLEAN, "", 5 * SECOND_MS, MAVLINK, "HEARTBEAT of the autopilot"),
    FactName("mavlink.heartbeat_age_ms", NUMBER, "ms, in a few steps", 5 * SECOND_MS, MAVLINK, "HEARTBEAT"),
    FactName("mavlink.mode", TEXT, "such as `GUIDED`", 5 * SECOND_MS, MAVLINK, "HEARTBEAT"),
    FactName("mavlink.armed", BOOLEAN, "", 5 * SECOND_MS, MAVLINK, "HEARTBEAT"),
    FactName("mavlink.outranked", BOOLEAN, "", 5 * SECOND_MS, MAVLINK, "HEARTBEAT: failsafe, or a mode of the pilot"),
    FactName("mavlink.battery_percent", NUMBER, "%", 5 * SECOND_MS, MAVLINK, "SYS_STATUS, BATTERY_STATUS"),
    FactName("mavlink.latitude", NUMBER, "degrees", 5 * SECOND_MS, MAVLINK, "GLOBAL_POSITION_INT"),
    FactName("mavlink.longitude", NUMBER, "degrees", 5 * SECOND_MS, MAVLINK, "GLOBAL_POSITION_INT"),
    FactName("mavlink.altitude_m", NUMBER, "m above sea, one decimal", 5 * SECOND_MS, MAVLINK, "GLOBAL_POSITION_INT"),
    FactName("mavlink.height_m", NUMBER, "m above home, one decimal", 5 * SECOND_MS, MAVLINK, "GLOBAL_POSITION_INT"),
)  # fmt: skip
_BY_NAME = {item.name: item for item in REGISTERED}


def find_registered(name: str) -> FactName | None:
    """Return what is registered under a name, itself or as one of a family; None for a user's own name."""
    return _BY_NAME.get(name) or _BY_NAME.get(f"{name.partition('.')[0]}.*")


def kind_of(value: bool | int | float | str) -> FactKind:
    """Return what a value is."""
    if isinstance(value, bool):
        return BOOLEAN
    return TEXT if isinstance(value, str) else NUMBER
