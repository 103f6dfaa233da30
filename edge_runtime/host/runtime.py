"""The daemon: wires node thread, steps, control socket and links together, and owns every task.

Start: state, node, control socket, links, `ready` on stdout. Stop (SIGTERM, SIGINT): goodbye to peers, the inbox is
worked off, the spool closed. SIGHUP reads config and policy again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import OBJECT_BYTES_MAX
from ..judge.policy import Policy
from ..node import commands as c
from ..node import effects as f
from ..node.events import AskerGone, Asked, Called, Imported, Restored, StepEnded
from .apps import LoadedApps, load_apps
from .clock import Clock
from .config import Config, read_config
from .control import ControlServer
from .device import host_name, make_node
from .local import make_fleet
from .notify import Notifier
from .statedir import StateDir, socket_path
from .thread import NodeThread
from .workers import Workers

if TYPE_CHECKING:
    from .links import Links

log = logging.getLogger("edge_runtime")
STATUS_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `run` was given; lists add to the configuration file's."""

    state: Path
    config: Path | None = None
    name: str = ""
    apps: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    listen: str = ""
    peers: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    log_level: str = "info"


class Runtime:
    """One running daemon."""

    def __init__(self, options: RunOptions, config: Config, policy: Policy, state: StateDir) -> None:
        self.options = options
        self.config = config
        self.policy = policy
        self.state = state
        self.clock = Clock()
        self.notifier = Notifier()
        self.loaded = LoadedApps((), ())
        self.loop = asyncio.get_running_loop()
        self.thread = NodeThread(self._make_node, self.clock, self.loop, self._perform, self._store_failed)
        self.workers = Workers(self.loop, self._step_ended)
        self.control = ControlServer(socket_path(state.path), self._ask, self._gone)
        self.links: Links | None = None
        self.trouble = ""
        self._imports: dict[int, bytearray] = {}
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- Life -----------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Run until a signal says stop; return the exit code."""
        config = self.config
        specs = [(app.module, app.path) for app in config.apps] + [(spec, "") for spec in self.options.apps]
        self.loaded = load_apps(specs)
        for failure in self.loaded.failures:
            log.error("%s The daemon runs without it.", failure)
        await self.thread.start()
        await self.control.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._stop.set)
        self.loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            await self._start_links()
            self.thread.post(Restored())
            self._spawn(self._feed_watchdog())
            print("ready", flush=True)
            self.notifier.send("READY=1", "STATUS=running")
            log.info("device %s is ready at %s", self._membership().device.hex()[:16], self.control.path)
            await self._stop.wait()
        finally:
            await self._shut_down()
        return int(Exit.FAILED if self.thread.failure else Exit.OK)

    async def _start_links(self) -> None:
        from .links import Links

        config, options = self.config, self.options
        self.links = Links(
            self.thread, self.state, self.clock, self._membership(), options.listen or config.network.listen,
            (*config.network.peers, *options.peers), (*config.network.interfaces, *options.interfaces),
        )  # fmt: skip
        await self.links.start()

    async def _shut_down(self) -> None:
        self.notifier.send("STOPPING=1")
        if self.links is not None:
            await self.links.stop()
        await self.workers.close()
        await self.control.stop()
        await self.thread.stop()
        for task in self._tasks:
            task.cancel()
        self.state.close()

    def _make_node(self) -> Any:
        """On the node thread: open the spool; a first start makes a fleet of one."""
        config, options = self.config, self.options
        name = options.name or config.device.name or host_name()
        node = make_node(
            self.state, self.loaded.apps, self.policy, self.clock, name,
            (*config.device.capabilities, *options.capabilities), (*config.device.resources, *options.resources),
        )  # fmt: skip
        if not node.membership().fleets:
            from ..node.turns import run_turn

            run_turn(node, [make_fleet(self.state, 0, f"{name}-fleet")], self.clock.read)
        return node

    def _membership(self) -> Any:
        assert self.thread.node is not None
        return self.thread.node.membership()

    def _spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- Watchdog and status --------------------------------------------------------------------------------------

    async def _feed_watchdog(self) -> None:
        """Feed systemd's watchdog while the loop runs and the node thread is idle or makes progress."""
        every_s = self.notifier.watchdog_s()
        if every_s is None:
            return
        seen = -1
        while True:
            turns = self.thread.turns
            if self.thread.failure is None and (self.thread.is_idle or turns != seen):
                self.notifier.send("WATCHDOG=1", f"STATUS={self._status_line()}")
            seen = turns
            await asyncio.sleep(every_s)

    def _status_line(self) -> str:
        contacts = self.links.count if self.links is not None else 0
        trouble = f", {self.trouble}" if self.trouble else ""
        return f"{self.workers.running} steps, {contacts} contacts, {self.workers.hung} hung threads{trouble}"

    def _reload(self) -> None:
        """Read policy and configuration again; what is wrong leaves the old ones in force."""
        self.notifier.reloading()
        try:
            policy = read_policy(self.options)
        except UsageError as error:
            log.error("reload: %s The old policy stays in force.", error.message)
        else:
            self.policy = policy
            node = self.thread.node
            if node is not None:
                self.thread.post(Called(partial(node.replace_policy, policy)))
            log.info("policy read again")
        self.notifier.send("READY=1")

    def _store_failed(self, reason: str) -> None:
        self.trouble = f"the spool cannot be written: {reason}"
        log.error("%s; nothing is acknowledged until it can be again", self.trouble)
        if self.thread.failure is not None:
            self._stop.set()

    # --- Asking ---------------------------------------------------------------------------------------------------

    def _ask(self, ticket: int, command: c.Command) -> None:
        match command:
            case c.FleetCreate(name):
                self.thread.post(make_fleet(self.state, ticket, name))
            case c.Query(sql):
                self._spawn(self._query(ticket, sql))
            case c.Import():
                self._import(ticket, command)
            case _:
                self.thread.post(Asked(ticket, command))

    def _gone(self, ticket: int) -> None:
        self._imports.pop(ticket, None)
        self.thread.post(AskerGone(ticket))

    async def _query(self, ticket: int, sql: str) -> None:
        from .query import query_spool

        try:
            rows = await asyncio.to_thread(query_spool, self.state.path / "spool.db", sql)
        except UsageError as error:
            self.control.answer(f.Answer(ticket, error=error))
        else:
            self.control.answer(f.Answer(ticket, rows))

    def _import(self, ticket: int, command: c.Import) -> None:
        from ..objects.capsule import read_capsule

        try:
            data = self._gather(command)
            if data is None:
                self.control.answer(f.Answer(ticket, {"ok": True, "more": True}))
                return
            capsule = read_capsule(data)
        except (PeerError, ValueError) as error:
            refusal = UsageError(f"The capsule is not taken: {error}. Nothing was stored.", Exit.REFUSED)
            self.control.answer(f.Answer(ticket, error=refusal))
            return
        header = capsule.header
        self.thread.post(
            Imported(ticket, header.object, capsule.grants, capsule.entries, header.age_ms, header.age_is_exact)
        )

    def _gather(self, command: c.Import) -> bytes | None:
        """Join the pieces of one capsule; one is gathered at a time, and a first piece begins it anew."""
        buffer = self._imports.setdefault(0, bytearray())
        buffer += bytes.fromhex(command.chunk)
        if len(buffer) > 2 * OBJECT_BYTES_MAX:
            del self._imports[0]
            raise ValueError("it is too large")
        if not command.is_last:
            return None
        del self._imports[0]
        return bytes(buffer)

    # --- Performing effects (on the loop, after the commit) -------------------------------------------------------

    def _step_ended(self, event: StepEnded) -> None:
        self.thread.post(event)

    def _perform(self, turn: f.Turn) -> None:
        self.trouble = ""
        for effect in turn.effects:
            match effect:
                case f.StartStep():
                    self.workers.start(effect)
                case f.StopStep(object_id, path):
                    self.workers.stop(object_id, path)
                case f.Answer():
                    self.control.answer(effect)
                case f.Send() | f.Close() | f.MembershipChanged():
                    self._perform_link(effect)
                case f.Note():
                    note(effect)
                case _:
                    assert_never(effect)

    def _perform_link(self, effect: f.Send | f.Close | f.MembershipChanged) -> None:
        links = self.links
        if links is None:
            return
        match effect:
            case f.Send(contact, messages):
                links.send(contact, messages)
            case f.Close(contact, reason):
                links.close(contact, reason)
            case f.MembershipChanged():
                links.change_membership(self._membership())


def note(effect: f.Note) -> None:
    """Log a note; stages are debug, what a person would want to know is info."""
    level = logging.INFO if effect.is_info else logging.DEBUG
    if log.isEnabledFor(level):
        fields = " ".join(f"{name}={value}" for name, value in effect.fields.items())
        log.log(level, "%s %s %s", effect.object.hex()[:12], effect.stage.value, fields)


def read_policy(options: RunOptions) -> Policy:
    """Return the policy beside the configuration file, or the default where there is none.

    Raises:
        UsageError: the file is not right.
    """
    folder = options.config.parent if options.config is not None else options.state
    file = folder / "policy.toml"
    if not file.exists():
        return Policy.default()
    try:
        return Policy.parse(file.read_text(), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from None


def run_daemon(options: RunOptions) -> int:
    """Run a daemon in the foreground until it is told to stop; return the exit code.

    Raises:
        UsageError: state, configuration, policy or port are not right; nothing was changed.
    """
    logging.basicConfig(
        stream=sys.stderr, level=options.log_level.upper(), format="%(levelname).1s %(message)s", force=True
    )
    config = read_config(options.config) if options.config is not None else Config()
    policy = read_policy(options)
    state = StateDir.open(options.state)
    # The node thread holds the interpreter for its own short turns: hand it over sooner than after 5 ms.
    sys.setswitchinterval(float(os.environ.get("EDGE_RUNTIME_SWITCH_S", "0.001")))
    try:
        return asyncio.run(_run(options, config, policy, state))
    finally:
        state.close()


async def _run(options: RunOptions, config: Config, policy: Policy, state: StateDir) -> int:
    return await Runtime(options, config, policy, state).run()
