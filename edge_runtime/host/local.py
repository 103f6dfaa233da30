"""Commands that work with no daemon: the same node, opened under the spool's lock, asked once, and closed."""

from __future__ import annotations

import os
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
from .statedir import SEED_BYTES, StateDir


def answer_locally(path: Path, command: Command) -> Any:
    """Return the answer's value to one command, with no daemon.

    Raises:
        UsageError: refused, or a daemon has the state.
    """
    state = StateDir.open(path)
    try:
        node = make_node(state, (), Policy.default(), clock := Clock(), host_name())
        event: Event = Asked(1, command)
        if isinstance(command, FleetCreate):
            event = make_fleet(state, 1, command.name)
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
