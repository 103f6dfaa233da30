"""Where what is asked comes in: from clients on the control socket, from the daemon's own parts, from browsers.

Most of it is asked of the node. What only the machine can do, or does better beside the node thread, is done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..base.errors import Exit, UsageError
from ..node import commands as c
from ..node.effects import Answer
from ..node.events import AskerGone, Asked
from .control import ControlServer
from .imports import Imports
from .inquiries import Inquiries
from .local import make_fleet, make_inviting
from .statedir import StateDir
from .thread import NodeThread

if TYPE_CHECKING:
    from .links import Links


class Reception:
    """Takes commands and hands answers back.

    Args:
        spawn: runs a coroutine as a task of the daemon. is_stopping: then nothing is asked any more.
        tell_of_host: what `status` says besides what the node knows, which it is given.

    Attributes:
        links: who is asked for a membership; None until they stand.
        other_answers: who else asked with tickets below zero, None for nobody.
    """

    def __init__(
        self, state: StateDir, thread: NodeThread, spawn: Callable[[Coroutine[Any, Any, None]], object],
        is_stopping: Callable[[], bool], tell_of_host: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:  # fmt: skip
        self._state = state
        self._thread = thread
        self._spawn = spawn
        self._is_stopping = is_stopping
        self._tell_of_host = tell_of_host
        self.control = ControlServer(state.place_socket(), self.ask, self.gone, self._hung_up)
        self.inquiries = Inquiries(thread.post)
        self.links: Links | None = None
        self.other_answers: Callable[[Answer], None] | None = None
        self._imports = Imports(thread.post, self.control.answer, spawn)
        self._status_tickets: dict[int, None] = {}

    def ask(self, ticket: int, command: c.Command) -> None:
        """Take a command; its answer comes by `answer`."""
        if self._is_stopping():
            error = UsageError("The daemon is stopping. Ask again when it runs.", Exit.NO_DAEMON)
            self.answer(Answer(ticket, error=error))
            return
        match command:
            case c.FleetCreate(name):
                self._spawn(self._make_fleet(ticket, name))
            case c.Enroll():
                self._spawn(self._invite(ticket, command))
            case c.Join(code=code) if code and self.links is not None:
                self._spawn(self._pair(ticket, command, self.links))
            case c.Status():
                self._status_tickets[ticket] = None
                self._thread.post(Asked(ticket, command))
            case c.Query(sql):
                self._spawn(self._query(ticket, sql))
            case c.Import():
                self._imports.take(ticket, self.control.connection_of(ticket), command)
            case _:
                self._thread.post(Asked(ticket, command))

    def answer(self, answer: Answer) -> None:
        """Hand an answer to whoever asked, if it is still there."""
        if self._status_tickets.pop(answer.ticket, answer.ticket) is None and isinstance(answer.value, dict):
            answer = replace(answer, value={**answer.value, **self._tell_of_host(answer.value)})
        if self.inquiries.hear(answer):
            return
        if answer.ticket >= 0:
            self.control.answer(answer)
        elif self.other_answers is not None:
            self.other_answers(answer)

    def gone(self, ticket: int) -> None:
        """Whoever held this ticket waits no more."""
        self._status_tickets.pop(ticket, None)
        self._thread.post(AskerGone(ticket))

    def _hung_up(self, connection: int) -> None:
        self._imports.drop(connection)

    async def _make_fleet(self, ticket: int, name: str) -> None:
        # The key is flushed to the card before anybody hears of the fleet; that may take a second.
        self._thread.post(await asyncio.to_thread(make_fleet, self._state, ticket, name))

    async def _invite(self, ticket: int, command: c.Enroll) -> None:
        self._thread.post(await asyncio.to_thread(make_inviting, ticket, command))

    async def _pair(self, ticket: int, command: c.Join, links: Links) -> None:
        from .pairing import read_wanted

        try:
            file = await links.pair(await read_wanted(command), command.wait_ms / 1000)
        except UsageError as error:
            self.answer(Answer(ticket, error=error))
        else:
            self._thread.post(Asked(ticket, c.Join(file.hex())))

    async def _query(self, ticket: int, sql: str) -> None:
        from .query import query_spool

        try:
            rows = await asyncio.to_thread(query_spool, self._state.path / "spool.db", sql)
        except UsageError as error:
            self.answer(Answer(ticket, error=error))
        else:
            self.answer(Answer(ticket, rows))
