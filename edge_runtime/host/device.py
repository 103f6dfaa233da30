"""Making a `Node` over a state directory: the same for the daemon and for commands that run without one."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from msgspec.structs import replace

from ..base.limits import NAME_BYTES_MAX
from ..base.units import SECOND_MS
from ..judge.policy import Policy
from ..node.effects import Teller
from ..node.node import Node
from ..node.parts import Reservation, Settings
from ..node.quarantine import open_mending
from ..node.store import Store
from ..program.app import App
from .board import note_board, read_board
from .clock import Clock, read_boot_id
from .config import Config
from .statedir import StateDir
from .task_config import schedules_of

BOOT_BYTES = 8


def host_name() -> str:
    """Return the machine's name, as a first name for the device."""
    return socket.gethostname().split(".")[0][:NAME_BYTES_MAX]


def replace_offers(
    node: Node, apps: Sequence[App], capabilities: Sequence[str], resources: Sequence[str],
    reservations: Sequence[Reservation],
) -> None:  # fmt: skip
    """Say anew what this device offers; on the node thread, inside a turn. What waits for it is looked at."""
    settings = node.parts.settings
    fresh = tuple(sorted(set(capabilities)))
    node.parts.settings = replace(
        settings, capabilities=fresh, resources=tuple(sorted(set(resources))), reservations=tuple(reservations)
    )
    node.replace_apps(apps)  # says the advert anew
    for capability in fresh:
        if capability not in settings.capabilities:
            node.parts.agenda.wake_topic(f"peer:{capability}")


def follow_config(node: Node, config: Config) -> None:
    """Take from the configuration what needs no restart, but for offers; on the node thread, inside a turn or before
    the first."""
    replace_pacing(node, config)
    node.parts.eviction.replace(config.store.terms())
    replace_topics(node, config)
    replace_results(node, config)
    replace_schedules(node, config)
    replace_stance(node, config)


def replace_stance(node: Node, config: Config) -> None:
    """Take from the configuration what runs under grants that may have expired; on the node thread. Who waits looks
    again."""
    stance = config.policy.unsure_grants
    if node.parts.settings.stance is not stance:
        node.parts.settings = replace(node.parts.settings, stance=stance)
        node.parts.agenda.wake_topic("fact:policy.version")


def replace_pacing(node: Node, config: Config) -> None:
    """Take contact plans and the cost of an attempt from the configuration; inside a turn. Who waits looks again."""
    cost_ms = round(config.pacing.delay_per_attempt_s * SECOND_MS)
    node.parts.settings = replace(node.parts.settings, plans=config.plans(), probe_cost_ms=cost_ms)
    node.parts.agenda.wake_topic("fact:link")


def replace_topics(node: Node, config: Config) -> None:
    """Say on which topics the configured advisor may be asked; on the node thread, like `replace_offers`."""
    topics = tuple(config.advisor.topics) if config.advisor.base_url else ()
    node.parts.settings = replace(node.parts.settings, topics=topics)


def replace_schedules(node: Node, config: Config) -> None:
    """Follow the schedules of the configuration; on the node thread, like `replace_offers`."""
    node.schedules.replace(schedules_of(config.schedule))


def replace_results(node: Node, config: Config) -> None:
    """List ends for the broker of the configuration, also while it cannot be reached, and for the outbox.

    Before the first event of a process: what became due while the device was off may end with it.
    """
    mqtt = config.mqtt
    node.results.watch(mqtt.label if mqtt is not None and mqtt.results else "")
    node.results.watch(config.drop.label if config.drop is not None else "", Teller.OUTBOX)


def make_node(
    state: StateDir, apps: Sequence[App], policy: Policy, clock: Clock, name: str,
    capabilities: Sequence[str] = (), resources: Sequence[str] = (), reservations: Sequence[Reservation] = (),
) -> Node:  # fmt: skip
    """Open the spool and build the node, on the thread that will own both.

    Raises:
        UsageError: the spool cannot be opened, or is of a newer schema.
    """
    settings = Settings(
        name, tuple(sorted(set(capabilities))), tuple(sorted(set(resources))), tuple(reservations),
        os.urandom(BOOT_BYTES), read_boot_id(),
    )  # fmt: skip
    key, roots = state.device_key(), state.root_keys()
    with ExitStack() as undo:
        connection = state.connect()
        undo.callback(connection.close)
        store = Store.open(connection)
        with store.transaction():
            note_board(store, read_board())
        node = open_mending(
            store, lambda: Node(store, key, roots, apps, policy, settings, os.urandom, clock.read())
        )  # fmt: skip
        undo.pop_all()  # the node owns it from here
    return node
