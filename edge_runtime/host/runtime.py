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
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from ..base.errors import Exit, UsageError
from ..judge.outranking import VEHICLE
from ..judge.policy import Policy
from ..node import effects as f
from ..node.authority import is_in_force
from ..node.commands import Initialise
from ..node.events import Asked, Called, Restored
from ..node.membership import Membership
from ..node.parts import Reservation
from ..node.turns import run_turn
from .advising.asking import Advisors
from .apps import LoadedApps, load_apps
from .clock import Clock, report
from .config import Config, read_config, read_policy
from .device import follow_config, host_name, make_node, replace_offers
from .lean import settle_memory
from .local import make_fleet
from .logs import start_logging
from .notes import is_logged, log_note
from .notify import Notifier
from .options import RunOptions
from .probes import Probes
from .reception import Reception
from .service import Service
from .sources import Sources
from .statedir import StateDir
from .storage import Storage
from .thread import NodeThread
from .workers import Workers

if TYPE_CHECKING:
    from .drop.folder import Drop
    from .links import Links
    from .web.door import Door

log = logging.getLogger("edge_runtime")


class Runtime:
    """One running daemon."""

    def __init__(self, options: RunOptions, config: Config, policy: Policy, state: StateDir) -> None:
        self.options = options
        self.config = config
        self.policy = policy
        self.state = state
        self._stop = asyncio.Event()
        self.clock = Clock()
        self.loaded = LoadedApps((), ())
        self.loop = asyncio.get_running_loop()
        self.storage = Storage(state.path)
        self.thread = NodeThread(
            self._make_node, self.clock, self.loop, self._perform, self._say_trouble, self._perform_here, self.storage
        )
        self.service = Service(
            Notifier(), self.thread, state.path, self._contacts, lambda: self.workers.hung, lambda: self.trouble
        )
        self.workers = Workers(self.loop, self.thread.post, self._is_in_force)
        self.advisors = Advisors(self.thread.post, lambda: self._membership().is_radio_on)
        self.probes = Probes(self.loop, self.thread.post, config.probes, state.path)
        self.reception = Reception(state, self.thread, self._spawn, self._stop.is_set, self._tell_of_host)
        self.links: Links | None = None
        self.web: Door | None = None
        self.trouble = ""
        self.sources = Sources(self.thread, self.state.path, self.loop, self._spawn)
        self.drop: Drop | None = None
        self._is_ready = self._is_reload_due = False
        self._group = asyncio.TaskGroup()
        self._tasks: dict[asyncio.Task[None], None] = {}

    # --- Life -----------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Run until a signal says stop; return the exit code."""
        self.loop.add_signal_handler(signal.SIGHUP, self._reload)
        specs = [(app.module, app.path) for app in self.config.apps] + [(spec, "") for spec in self.options.apps]
        self.loaded = load_apps(specs)
        for failure in self.loaded.failures:
            log.error("%s The daemon runs without it.", failure)
        self.advisors.configure(self.loaded.apps, self.config.advisor)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._stop.set)
        try:
            await self.thread.start()
            # First of all events: what runs now is told from what ran when the last process died.
            self.thread.post(Restored())
            self.links = await self._start_links()
            await self.reception.control.start()
            async with self._group:
                self._spawn(self.service.feed_watchdog())
                self.links.look_for_peers()
                if self.config.join.invitation:
                    from .first_join import join_at_first

                    place = self.config.join.invitation
                    self._spawn(join_at_first(place, self.links, self._membership, self.reception.inquiries.ask))
                self.sources.replace(self.config, self._membership().is_radio_on)
                self._open_web()
                self._follow_drop()
                print("ready", flush=True)
                self.service.ready()
                log.info("device %s is ready at %s", self._membership().device.hex()[:16], self.reception.control.path)
                settle_memory()
                self._is_ready = True
                if self._is_reload_due:
                    self._reload()
                await self._stop.wait()
                for task in self._tasks:
                    task.cancel()
        finally:
            await self._shut_down()
        return int(Exit.FAILED if self.thread.failure else Exit.OK)

    async def _start_links(self) -> Links:
        from .links import Links

        config, options = self.config, self.options
        links = Links(
            self.thread, self.state, self.clock, self._membership(), options.listen or config.network.listen,
            (*config.network.peers, *options.peers), (*config.network.interfaces, *options.interfaces),
            self._spawn,
        )  # fmt: skip
        links.on_link_up = self.sources.signal
        links.pairing.ask = self.reception.inquiries.ask
        self.reception.links = links
        await links.start()
        return links

    def _open_web(self) -> None:
        web = self.options.web_of(self.config)
        if web is not None:
            from .web.door import Door

            self.web = Door(self.thread, self.state.path, self.reception.ask, self.reception.gone, lambda: self.trouble)
            self.reception.other_answers = self.web.answer
            self._spawn(self.web.run(web))

    async def _shut_down(self) -> None:
        """Peers first, then steps, then what that left to write down; who waits for an answer gets it if it comes."""
        self.service.stopping()
        self._stop.set()
        self.sources.close()
        if self.links is not None:
            await self.links.stop()
        self.advisors.close()
        await self.probes.close()
        await self.workers.close()
        await self.thread.stop()
        await self.reception.control.stop()
        self.state.close()

    def _make_node(self) -> Any:
        """On the node thread: open the spool; a first start makes a fleet of one."""
        config, options = self.config, self.options
        wanted = options.name or config.device.name
        name = wanted or host_name()
        node = make_node(self.state, self.loaded.apps, self.policy, self.clock, name, *self._offers())
        follow_config(node, config)
        if wanted and node.membership().name != wanted:  # the key was made before somebody wrote the name down
            run_turn(node, [Asked(0, Initialise(wanted))], self.clock.read)
        if not node.membership().fleets:
            run_turn(node, [make_fleet(self.state, 0, f"{name}-fleet")], self.clock.read)
        return node

    def _membership(self) -> Membership:
        assert self.thread.membership is not None
        return self.thread.membership

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    # --- Status and reload ----------------------------------------------------------------------------------------

    def _contacts(self) -> int:
        return self.links.count if self.links is not None else 0

    def _reload(self) -> None:
        """Read policy, capabilities and resources again; what is wrong leaves all of the old ones in force.

        Not before the node stands: it may have been made with what is read again here, and would not hear of it.
        """
        if not self._is_ready:
            self._is_reload_due = True
            return
        self.service.reloading()
        node = self.thread.node
        try:
            policy = read_policy(self.options.folder)
            config = read_config(self.options.config) if self.options.config is not None else self.config
        except UsageError as error:
            log.error("reload: %s What was in force stays.", error.message)
            self.service.reloaded(f"reload refused: {error.message}")
        else:
            if config.at_start() != self.config.at_start():
                log.warning("reload: [network], [web], [[apps]] and the name of [device] count from the next start on")
            self.policy, self.config = policy, config
            self.advisors.configure(self.loaded.apps, config.advisor)
            self.probes.configure(config.probes)
            if node is not None:
                self.thread.post(Called(partial(node.replace_policy, policy)))
                self.thread.post(Called(partial(replace_offers, node, self.loaded.apps, *self._offers())))
                self.thread.post(Called(partial(follow_config, node, config)))
            self.sources.replace(config, self._membership().is_radio_on)
            self._follow_drop()
            log.info("policy, capabilities and sources of facts read again")
            self.service.reloaded()

    def _offers(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Reservation, ...]]:
        """Return (capabilities, resources, reservations) of configuration and command line."""
        device, options = self.config.device, self.options
        vehicle = () if self.config.mavlink is None else (VEHICLE,)
        capabilities = (*device.capabilities, *options.capabilities, *vehicle)
        return capabilities, (*device.resources, *options.resources), self.config.reservations()

    def _follow_drop(self) -> None:
        """Open the drop folder, or close it, as the configuration says; without it its code is not even loaded."""
        if self.config.drop is not None and self.drop is None:
            from .drop.folder import Drop

            self.drop = Drop(self.state.path, self.thread, self.reception.inquiries, self._spawn)
        elif self.config.drop is None and self.drop is not None:
            self.drop.close()
            self.drop = None

    def _say_trouble(self, trouble: str) -> None:
        if trouble:
            log.error("%s; nothing new is taken in until that is over", trouble)
        else:
            log.warning("the disk is well again: %s is over", self.trouble)
        self.trouble = trouble
        self.service.changed()
        if self.thread.failure is not None:
            self._stop.set()

    # --- Performing effects (on the loop, after the commit) -------------------------------------------------------

    def _is_in_force(self, start: f.StartStep) -> bool:
        """Say whether a step may still run, right before it does; called from worker threads, too."""
        return is_in_force(start, self.policy.hash, self.clock.read(), self._membership().revoked)

    def _perform_here(self, effect: f.Effect) -> bool:
        """Perform on the node thread what needs no loop; say whether that was all."""
        match effect:
            case f.StartStep():
                return self.workers.start_in_thread(effect)
            case f.Note():
                return not is_logged(effect)
            case _:
                return False

    def _perform(self, turn: f.Turn) -> None:
        changing: asyncio.Task[None] | None = None
        for effect in turn.effects:
            match effect:
                case f.StartStep():
                    self.workers.start(effect)
                case f.AskAdvisor():
                    self.advisors.ask(effect)
                case f.StopStep(object_id, path):
                    self.workers.stop(object_id, path)
                case f.StartProbe():
                    self.probes.start(effect)
                case f.Answer():
                    if changing is not None:  # `radio off` has happened when it is answered
                        changing.add_done_callback(partial(self._answer_later, effect))
                    else:
                        self.reception.answer(effect)
                case f.MembershipChanged():
                    if self.links is not None and not self._stop.is_set():
                        changing = self.links.change_membership(self._membership())
                        self.sources.follow_radio(self._membership().is_radio_on)
                case f.Send() | f.Close():
                    self._perform_link(effect)
                case f.ResultWaits(f.Teller.OUTBOX, rows):
                    if self.drop is not None:
                        self.drop.give_results(rows)
                case f.ResultWaits(_, rows):
                    self.sources.give_results(rows)
                case f.Note():
                    log_note(effect)
                case _:
                    assert_never(effect)

    def _tell_of_host(self, status: dict[str, Any]) -> dict[str, Any]:
        """Return what only the machine's side knows, for `status`, given what the node says."""
        links = self.links.report() if self.links is not None else {}
        return {
            "apps_failed": list(self.loaded.failures), "steps_running": self.workers.running,
            "hung_threads": self.workers.hung, "trouble": self.trouble or None, "links": links,
            "advice": self.advisors.counts, "sources": self.sources.report(),
            "web": self.web.url or None if self.web is not None else None,
            "drop": None if self.drop is None else self.drop.report(),
            "clock": report(status["clock"], self.clock.source),
            "storage": {**status["storage"], "reserve": self.storage.reserve_bytes},
        }  # fmt: skip

    def _answer_later(self, answer: f.Answer, done: object) -> None:
        self.reception.answer(answer)

    def _perform_link(self, effect: f.Send | f.Close) -> None:
        links = self.links
        if links is None:
            return
        match effect:
            case f.Send(contact, messages):
                links.send(contact, messages)
            case f.Close(contact, reason):
                links.close(contact, reason)


def run_daemon(options: RunOptions) -> int:
    """Run a daemon in the foreground until it is told to stop; return the exit code.

    Raises:
        UsageError: state, configuration, policy or port are not right; nothing was changed.
    """
    start_logging(options.log_level)
    config = read_config(options.config) if options.config is not None else Config()
    try:
        policy = read_policy(options.folder)
    except PermissionError:
        what = f"{options.folder} cannot be looked at: permission denied. Run as the user that owns it."
        raise UsageError(what, Exit.FAILED) from None
    options.web_of(config)  # refused before anything is made
    state = StateDir.open(options.state)
    # The node thread holds the interpreter for its own short turns: hand it over sooner than after 5 ms.
    sys.setswitchinterval(float(os.environ.get("EDGE_RUNTIME_SWITCH_S", "0.001")))
    try:
        return asyncio.run(_run(options, config, policy, state))
    finally:
        state.close()


async def _run(options: RunOptions, config: Config, policy: Policy, state: StateDir) -> int:
    return await Runtime(options, config, policy, state).run()
