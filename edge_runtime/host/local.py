"""Commands that work with no daemon: the same node, opened under the spool's lock, asked once, and closed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..base.errors import Exit, UsageError
from ..judge.policy import Policy
from ..node.commands import Command, Enroll, FleetCreate
from ..node.effects import Answer
from ..node.events import Asked, Event, FleetMade, Inviting
from ..node.membership import Membership
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

    def make(state: StateDir) -> Event:
        match command:
            case FleetCreate():
                return make_fleet(state, 1, command.name)
            case Enroll():
                return make_inviting(1, command)
            case _:
                return Asked(1, command)

    return _answer_event(path, make)


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
        return answer_in(state, make_event(state))
    finally:
        state.close()


def answer_in(state: StateDir, event: Event) -> Any:
    """Return the answer's value to one event, under a lock that is held already.

    Raises:
        UsageError: refused.
    """
    node = make_node(state, (), Policy.default(), clock := Clock(), host_name())
    try:
        turn, _ = run_turn(node, [event], clock.read)
    finally:
        node.parts.store.connection.close()
    for effect in turn.effects:
        if isinstance(effect, Answer):
            if effect.error is not None:
                raise effect.error
            return effect.value
    raise UsageError("This command needs a running daemon: start one with `edge-runtime run`.", Exit.NO_DAEMON)


def read_membership(state: StateDir) -> Membership:
    """Return who this device is, under a lock that is held already."""
    node = make_node(state, (), Policy.default(), Clock(), host_name())
    try:
        return node.membership()
    finally:
        node.parts.store.connection.close()


def make_inviting(ticket: int, command: Enroll) -> Inviting:
    """Draw the secret of an invitation and make its key: some 20 ms and 16 MiB, not on the loop."""
    from ..objects.invitations import SECRET_BYTES, derive_key, spell_secret

    secret = spell_secret(os.urandom(SECRET_BYTES))
    return Inviting(ticket, command, secret, derive_key(secret))


def make_fleet(state: StateDir, ticket: int, name: str) -> FleetMade:
    """Make a root key, store it durably, and return the event that founds the fleet."""
    key = SigningKey.from_seed(os.urandom(SEED_BYTES))
    state.keep_root(key)
    return FleetMade(ticket, name, key)
