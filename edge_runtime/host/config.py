"""`config.toml`: what the machine's owner says of this device. Parsed once, unknown keys refused by name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ..base.errors import UsageError
from ..base.limits import (
    ADVISOR_CALLS_PER_HOUR_MAX, ADVISOR_TIMEOUT_S_MAX, CARRIED_PERCENT_DEFAULT, ENDED_KEPT_MS_DEFAULT,
    ENDED_KEPT_MS_MAX, ENDED_PERCENT_DEFAULT, LIST_ITEMS_MAX, NAME_BYTES_MAX, PLAN_PASSES_MAX, PROBE_COST_MS,
    PROBE_COST_MS_MAX, PROBES_MAX, SCHEDULES_MAX, STORE_BYTES_DEFAULT, STORE_BYTES_MAX, STORE_BYTES_MIN,
)  # fmt: skip
from ..base.units import DAY_MS, SECOND_MS
from ..judge.plan import Pass, Plan, plan_of
from ..judge.policy import Policy
from ..node.eviction import StoreTerms
from ..node.parts import Reservation
from ..node.validity import Stance
from ..objects.condition_text import parse
from .fact_config import EXAMPLE as FACTS_EXAMPLE
from .fact_config import FactsConfig, MavlinkConfig, MqttConfig
from .probe_config import ProbeConfig, check_probes
from .task_config import ScheduleConfig, schedules_of
from .web_config import EXAMPLE as WEB_EXAMPLE
from .web_config import WebConfig

Word = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
Instant = Annotated[datetime, Meta(tz=True)]
Words = Annotated[list[Word], Meta(max_length=LIST_ITEMS_MAX)]
Capability = Annotated[str, Meta(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=NAME_BYTES_MAX)]
Capabilities = Annotated[list[Capability], Meta(max_length=LIST_ITEMS_MAX)]

EXAMPLE = """[device]
name = "drone-1"
capabilities = ["camera"]

[network]
interfaces = ["wlan0"]
peers = ["base.local:4711"]

[join]
invitation = "/boot/firmware/edge-runtime.invitation"

[[cannot]]
capability = "camera"
when = "battery.percent < 20"

[[apps]]
module = "survey:app"
path = "/opt/survey"

[[plan]]
peer = "orbiter"
start = 2026-03-01T06:00:00Z
end = 2026-03-01T06:08:00Z
error_s = 5

[store]
max_bytes = 1_000_000_000

"""  # what follows says where facts come from
EXAMPLE += FACTS_EXAMPLE + WEB_EXAMPLE


PLAN_EXAMPLE = "Such as: start = 2026-03-01T06:00:00Z, end = 2026-03-01T06:08:00Z"


class DeviceConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[device]`: name for people, which counts from the next start on, over `init --name`;
    capabilities and resources, lower-case dotted names."""

    name: str = ""
    capabilities: Capabilities = []
    resources: Capabilities = []


class NetworkConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[network]`: where to listen (`host:port`; empty: any address, a free port), whom to dial, on what links."""

    listen: str = ""
    peers: Words = []
    interfaces: Words = []


class JoinConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[join]`: the file of an invitation, or of `grant`, by which this device joins a fleet at its first start."""

    invitation: str = ""


class AppConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[[apps]]`: `module:name` and the folder it is imported from."""

    module: Word
    path: str = ""


class AdvisorConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[advisor]`: an OpenAI-compatible endpoint, and the budget of every advisor here.

    `base_url` empty: there is none. `key_file` holds the key, if one is needed. `topics`: what it is asked about, `*`
    for all. `timeout_s` of one call; `calls_per_hour` of one advisor.
    """

    base_url: str = ""
    model: str = ""
    key_file: str = ""
    topics: Words = msgspec.field(default_factory=lambda: ["*"])
    timeout_s: Annotated[float, Meta(gt=0, le=ADVISOR_TIMEOUT_S_MAX)] = 30.0
    calls_per_hour: Annotated[int, Meta(ge=0, le=ADVISOR_CALLS_PER_HOUR_MAX)] = 60


class PassConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[[plan]]`: one pass of a destination (`peer`: its name), `start` and `end` with their time zone.

    `error_s` is how early or late either may be; `delay_s` the one-way delay: what is sent earlier meets nobody.
    """

    peer: Word
    start: Instant
    end: Instant
    error_s: Annotated[float, Meta(ge=0, le=86_400)] = 0
    delay_s: Annotated[float, Meta(ge=0, le=86_400)] = 0


class DropConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[drop]`: files in the state directory's `inbox/` are taken; results of objects with `label` go to `outbox/`."""

    label: Word = "outbox"


class PacingConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[pacing]`: how much delay is worth one attempt in vain, where nothing says when a destination comes back."""

    delay_per_attempt_s: Annotated[float, Meta(gt=0, le=PROBE_COST_MS_MAX / SECOND_MS)] = PROBE_COST_MS / SECOND_MS


class StoreConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[store]`: how much the spool may take, and what of it may be kept for what (`docs/disk.md`).

    `max_bytes` of the spool's file. An object is kept for `ended_days` after its end, less long if ended ones take more
    than `ended_percent` of `max_bytes`. `carried_percent` of it is for objects that others made and turn.
    """

    max_bytes: Annotated[int, Meta(ge=STORE_BYTES_MIN, le=STORE_BYTES_MAX)] = STORE_BYTES_DEFAULT
    ended_days: Annotated[float, Meta(ge=0, le=ENDED_KEPT_MS_MAX / DAY_MS)] = ENDED_KEPT_MS_DEFAULT / DAY_MS
    ended_percent: Annotated[int, Meta(ge=0, le=100)] = ENDED_PERCENT_DEFAULT
    carried_percent: Annotated[int, Meta(ge=0, le=100)] = CARRIED_PERCENT_DEFAULT

    def terms(self) -> StoreTerms:
        """Return it in milliseconds and bytes."""
        kept_ms = round(self.ended_days * DAY_MS)
        return StoreTerms(self.max_bytes, kept_ms, self.ended_percent, self.carried_percent)


class PolicyConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[policy]`: what runs under a grant that has expired by a clock that is not trusted, never a gated effect.

    `unsure_grants`: `deny` nothing, `observe` steps that only observe, `work` all but gated ones.
    """

    unsure_grants: Stance = Stance.OBSERVE


class CannotConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[[cannot]]`: a capability that this device does not have while a condition over its facts holds."""

    capability: Capability
    when: Word


class Config(Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    device: DeviceConfig = DeviceConfig()
    network: NetworkConfig = NetworkConfig()
    join: JoinConfig = JoinConfig()
    advisor: AdvisorConfig = AdvisorConfig()
    apps: Annotated[list[AppConfig], Meta(max_length=LIST_ITEMS_MAX)] = []
    cannot: Annotated[list[CannotConfig], Meta(max_length=LIST_ITEMS_MAX)] = []
    plan: Annotated[list[PassConfig], Meta(max_length=PLAN_PASSES_MAX)] = []
    pacing: PacingConfig = PacingConfig()
    store: StoreConfig = StoreConfig()
    policy: PolicyConfig = PolicyConfig()
    facts: FactsConfig = FactsConfig()
    mqtt: MqttConfig | None = None
    mavlink: MavlinkConfig | None = None
    web: WebConfig | None = None
    probes: Annotated[list[ProbeConfig], Meta(max_length=PROBES_MAX)] = []
    drop: DropConfig | None = None
    schedule: Annotated[list[ScheduleConfig], Meta(max_length=SCHEDULES_MAX)] = []

    def at_start(self) -> tuple[object, ...]:
        """Return what is read at the start of the daemon only."""
        return self.device.name, self.network, self.apps, self.web

    def plans(self) -> dict[str, Plan]:
        """Return the contact plans by destination, in wall time.

        Raises:
            UsageError: a pass ends before it starts.
        """
        passes: dict[str, list[Pass]] = {}
        for number, item in enumerate(self.plan, start=1):
            if item.end <= item.start:
                raise UsageError(f"[[plan]] number {number} ({item.peer!r}): end is not after start. {PLAN_EXAMPLE}")
            start_ms, end_ms = (round(when.timestamp() * SECOND_MS) for when in (item.start, item.end))
            start_ms += round(item.delay_s * SECOND_MS)
            error_ms = round(item.error_s * SECOND_MS)
            passes.setdefault(item.peer, []).append(Pass(start_ms, max(start_ms, end_ms), error_ms))
        return {name: plan_of(items) for name, items in passes.items()}

    def reservations(self) -> tuple[Reservation, ...]:
        """Return when which capability is denied.

        Raises:
            UsageError: `when` is no condition; names the entry and says where.
        """
        return tuple(_reservation_of(item) for item in self.cannot)


def _reservation_of(item: CannotConfig) -> Reservation:
    try:
        return Reservation(item.capability, parse(item.when))
    except UsageError as error:
        raise UsageError(f"[[cannot]] {item.capability}: when: {error.message}") from None


def read_config(path: Path) -> Config:
    """Return the parsed file.

    Raises:
        UsageError: it cannot be read or is not right; names file and key, and shows an example.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from None
    try:
        config = msgspec.toml.decode(text, type=Config)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path}: {error}. An example:\n{EXAMPLE}") from None
    try:
        config.plans()
        config.reservations()
        check_probes(config.probes)
        schedules_of(config.schedule)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}") from None
    return config


def read_policy(folder: Path) -> Policy:
    """Return the policy that stands in a folder, or the default where there is none.

    Raises:
        UsageError: the file is not right.
    """
    file = folder / "policy.toml"
    if not file.exists():
        return Policy.default()
    try:
        return Policy.parse(file.read_text(), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from None
