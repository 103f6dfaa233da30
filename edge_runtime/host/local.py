"""Commands that work with no daemon: the same node, opened under the spool's lock, asked once, and closed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..base.errors import Exit, UsageError
from ..judge.policy import Policy
from ..node.commands import Command, FleetCreate
from ..node.effects import Answer
from ..node.events import Asked, Event, FleetMade
from ..node.turns import run_turn
from ..objects.keys import SigningKey
from .clock import Clock
from .device import host_name, make_node
from .root_keys import MARK
from .statedir import SEED_BYTES, StateDir


def answer_locally(path: Path, command: Command) -> Any:
    """Return the answer's value to one command, with no daemon.

    Raises:
        UsageError: refused, or a daemon has the state.
    """
    return _answer_event(path, lambda state: make_fleet(state, 1, command.name)
                         if isinstance(command, FleetCreate) else Asked(1, command))  # fmt: skip


def restore_fleet(path: Path, name: str, key: SigningKey) -> Any:
    """Keep a root key that comes back from its backup, and make this device operator and executor of its fleet.

    Raises:
        UsageError: a daemon has the state.
    """
    def keep(state: StateDir) -> Event:
        file = state.keep_root(key)
        file.with_suffix(MARK).touch(mode=0o600)  # it came from a backup
        return FleetMade(1, name, key)

    return _answer_event(path, keep)


def _answer_event(path: Path, make_event: Callable[[StateDir], Event]) -> Any:
    state = StateDir.open(path)
    try:
        node = make_node(state, (), Policy.default(), clock := Clock(), host_name())
        event = make_event(state)
        turn, _ = run_turn(node, [event], clock.read)
        node.parts.store.connection.close()
    finally:
        state.close()
    for effect in turn.effects:
        if isinstance(effect, Answer):
            if effect.error is not None:
                raise effect.error
            return effect.value
    raise UsageError("This command needs a running daemon: start one with `edge-runtime run`.", Exit.NO_DAEMON)


def make_fleet(state: StateDir, ticket: int, name: str) -> FleetMade:
    """Make a root key, store it durably, and return the event that founds the fleet."""
    key = SigningKey.from_seed(os.urandom(SEED_BYTES))
    state.keep_root(key)
    return FleetMade(ticket, name, key)
