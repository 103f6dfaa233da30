"""`World`: devices, time, crashes; the front page of this folder shows it in use."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, assert_never

from ..base.errors import UsageError
from ..base.limits import CLOCK_SAVE_MS
from ..base.moment import Trust
from ..base.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from ..judge.outcomes import Outcome
from ..node import commands as c
from ..node import events as e
from ..node.authority import is_in_force
from ..node.effects import (
    Answer, AskAdvisor, Close, Effect, MembershipChanged, Note, ResultWaits, Send, StartProbe, StartStep,
    StopStep, Turn,
)  # fmt: skip
from ..node.store import StoreFailed
from ..node.returning import RESTORED
from ..node.turns import run_turn
from ..objects.keys import SigningKey
from ..program.app import App
from ..program.attempt import Meter
from ..program.errors import Failure
from .device import Device, DevicePlan
from .links import Links
from .probes import answer_probe
from .steps import ask_advisor, run_step
from .timetable import Timetable

RETRY_MS = 1 * SECOND_MS  # after a failed commit; the daemon waits as long
# Rounds of turns without time going on: a node that asks to be called again for ever is a bug, and is told as one.
ROUNDS_AT_ONCE = 10_000

Watcher = Callable[[Device, Sequence[e.Event], Turn], None]


class World:
    """Devices of one fleet, links between them, and time.

    Args:
        devices: names or plans; the first one holds the fleet's root key.
        apps: offered by every device: an `App`, or a function without a context.
        seed: of all chance: keys, boots, offsets of clocks. Equal seeds give equal worlds.

    Attributes:
        turns: made by all devices.
        watchers: called after each commit and before its effects, with (device, events, turn); for checkers.
    """

    def __init__(self, *devices: str | DevicePlan, apps: Sequence[object] = (), seed: int = 0) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.turns = 0
        self.watchers: list[Watcher] = []
        self._durations_ms: dict[str, int] = {}
        self._timetable = Timetable()
        self._links = Links(self._timetable)
        self._answers: dict[int, Answer] = {}
        plans = [DevicePlan(plan) if isinstance(plan, str) else plan for plan in devices]
        self.devices: dict[str, Device] = {}
        for plan in plans:
            offered = [App.of(thing) for thing in (*apps, *plan.apps)]
            key = SigningKey.from_seed(self.chance.randbytes(32))
            self.devices[plan.name] = Device(plan, offered, key, self._timetable, self.chance, self._ask)
        for device in self.devices.values():
            device.start()
        self._found_fleet()
        self._settle()

    def _found_fleet(self) -> None:
        first, *others = self.devices.values()
        root = SigningKey.from_seed(self.chance.randbytes(32))
        first.root_keys = (root,)
        first.inbox.append(e.FleetMade(self._timetable.number(), "fleet", root))
        self._settle()
        for device in others:
            grant = first.ask(c.Grant(device.key.public.hex(), list(device.plan.roles)))
            device.ask(c.Join(grant["file"]))

    @property
    def now_ms(self) -> int:
        """Virtual time since the world began."""
        return self._timetable.now_ms

    # --- The public side ------------------------------------------------------------------------------------------

    def device(self, name: str) -> Device:
        """Return a device by its name."""
        return self.devices[name]

    def takes(self, step: str, *, ms: int = 0, seconds: int = 0, minutes: int = 0, hours: int = 0) -> None:
        """Say how long steps of this name take from now on; an advisor is called `advice.` and its topic."""
        self._durations_ms[step] = ms + seconds * SECOND_MS + minutes * MINUTE_MS + hours * HOUR_MS

    def link(self, one: str, other: str, *, up: bool, latency_ms: int = 1, bytes_per_s: int = 0) -> None:
        """Bring the link between two devices up or down; what is under way on a link that goes down is lost.

        Args:
            latency_ms: one way. bytes_per_s: 0 for no limit. Both count from the next contact on.
        """
        self._links.put(self.devices[one], self.devices[other], up, latency_ms, bytes_per_s)

    def set_clock(self, name: str, *, shift_ms: int = 0, trust: Trust | None = None) -> None:
        """Set a device's wall clock.

        Args:
            shift_ms: by how much it is ahead of the world's from now on. trust: None leaves it as it is.
        """
        device = self.devices[name]
        device.wall_shift_ms = shift_ms
        device.trust = device.trust if trust is None else trust
        device.post(device.lives, e.TimeCame())

    def crash(self, name: str, *, at_commit: bool = False, power_cut: bool = False, restart: bool = True) -> None:
        """Kill a device's process; what its store holds stays.

        Args:
            at_commit: not now, but after its next commit and before anything of it is said.
            power_cut: the boot clock begins anew. restart: start the next process at once.
        """
        device = self.devices[name]
        if at_commit:
            device.is_doomed = True
            return
        if power_cut and device.is_up:
            self._keep_clock(device)
        device.die()
        self._links.lose_all(device, "lost")
        if power_cut:
            device.boots += 1
            device.boot_offset_ms = -self.now_ms
        if restart:
            self.restart(name)

    def _keep_clock(self, device: Device) -> None:
        """Write what a daemon writes each CLOCK_SAVE_MS while something is due: only a cut of the power asks for it."""
        passed_ms = self.now_ms - device.turned_ms
        if device.alarm_ms is not None and passed_ms >= CLOCK_SAVE_MS:
            timeline = device.node.parts.timeline
            timeline.advance(device.read_moment(passed_ms % CLOCK_SAVE_MS))
            with device.store.transaction():
                timeline.save()

    def restart(self, name: str) -> None:
        """Start a device that is down."""
        device = self.devices[name]
        device.start()
        self._links.open_all(device)

    def copy_card(self, name: str) -> bytes:
        """Return a device's card as it is now: a backup, or the beginning of a clone."""
        return self.devices[name].copy_card()

    def insert_card(self, name: str, card: bytes, why: str = RESTORED) -> None:
        """Kill a device and start it on an older card.

        Args:
            why: the quarantine that it begins with; empty for a copy that nobody can tell.
        """
        self.crash(name, power_cut=True, restart=False)
        self.devices[name].insert_card(card, why)
        self.restart(name)

    def run(self, *, ms: int = 0, seconds: int = 0, minutes: int = 0, hours: int = 0, days: int = 0) -> None:
        """Let time go on, from one thing that is due to the next. Without arguments: handle what is due now."""
        length_ms = ms + seconds * SECOND_MS + minutes * MINUTE_MS + hours * HOUR_MS + days * DAY_MS
        until_ms = self.now_ms + length_ms
        self._settle()
        while (next_ms := self.next_ms()) is not None and next_ms <= until_ms:
            self._timetable.now_ms = max(self.now_ms, next_ms)
            self._settle()
        self._timetable.now_ms = until_ms

    def next_ms(self) -> int | None:
        """Return when something is due next; None if nothing ever is."""
        found = [device.alarm_ms for device in self.devices.values() if device.alarm_ms is not None]
        planned_ms = self._timetable.next_ms()
        return min(found if planned_ms is None else [*found, planned_ms], default=None)

    def _ask(self, device: Device, command: c.Command) -> Any:
        if not device.is_up:
            raise UsageError(f"The device {device.name} is down. Call `world.restart({device.name!r})` first.")
        ticket = self._timetable.number()
        device.inbox.append(e.Asked(ticket, command))
        while device.inbox and device.is_up and not device.is_stalled and ticket not in self._answers:
            self._turn(device)
        answer = self._answers.pop(ticket, None)
        if answer is None:
            return None
        if answer.error is not None:
            raise answer.error
        return answer.value

    # --- Turns ----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Handle everything that is due now."""
        for _ in range(ROUNDS_AT_ONCE):
            self._timetable.do_due()
            for device in self.devices.values():
                if device.alarm_ms is not None and device.alarm_ms <= self.now_ms:
                    device.alarm_ms = None
                    device.inbox.append(e.TimeCame())
            ready = [device for device in self.devices.values() if device.inbox and device.is_up]
            ready = [device for device in ready if not device.is_stalled]
            if not ready:
                return
            for device in ready:
                self._turn(device)
        raise AssertionError(f"seed {self.seed}: time stands still at {self.now_ms} ms, turns are made for ever")

    def _turn(self, device: Device) -> None:
        events = sorted(device.inbox, key=_order)
        device.inbox.clear()
        try:
            turn, handled = run_turn(device.node, events, device.read_moment)
        except StoreFailed:
            device.inbox.extendleft(reversed(events))
            device.is_stalled = True
            self._timetable.at(self.now_ms + RETRY_MS, partial(self._retry, device, device.lives))
            return
        device.inbox.extendleft(reversed(events[handled:]))
        self.turns += 1
        device.turns += 1
        device.turned_ms = self.now_ms
        for watcher in self.watchers:
            watcher(device, events[:handled], turn)
        if device.is_doomed:
            self.crash(device.name)
            return
        alarm_ms = turn.alarm_boot_ms
        device.alarm_ms = None if alarm_ms is None else max(self.now_ms, alarm_ms - device.boot_offset_ms)
        for effect in turn.effects:
            self._perform(device, effect)

    def _retry(self, device: Device, life: int) -> None:
        if device.lives == life:
            device.is_stalled = False

    def _perform(self, device: Device, effect: Effect) -> None:
        match effect:
            case StartStep():
                self._start_step(device, effect)
            case AskAdvisor():
                self._ask_advisor(device, effect)
            case StopStep():
                pass  # it ran when it was released; its outcome comes when its duration is over
            case StartProbe():
                answered = answer_probe(device.probes, effect)
                self._timetable.at(self.now_ms, partial(device.post, device.lives, answered))
            case Answer():
                if effect.is_last:
                    self._answers[effect.ticket] = effect
            case Send():
                self._links.send(device, effect)
            case Close():
                self._links.hang_up(device, effect)
            case MembershipChanged():
                self._links.follow_radio(device)
            case Note() | ResultWaits():
                pass
            case _:
                assert_never(effect)

    def _ask_advisor(self, device: Device, ask: AskAdvisor) -> None:
        """Ask the advisor of an app at once; its answer comes after what `takes` says of its topic."""
        found = next((app.advisors[ask.topic] for app in device.apps if ask.topic in app.advisors), None)
        given = None if found is None else ask_advisor(found, ask)
        if given is not None:
            after_ms = self.now_ms + self._durations_ms.get(f"advice.{ask.topic}", 0)
            self._timetable.at(after_ms, partial(device.post, device.lives, given))

    # --- Steps ----------------------------------------------------------------------------------------------------

    def _start_step(self, device: Device, start: StartStep) -> None:
        revoked = device.node.parts.members.revocations.revoked
        if not is_in_force(start, device.policy.hash, device.read_moment(), revoked):
            withheld = e.StepWithheld(start.object, start.path, start.attempt, start.try_number)
            self._timetable.at(self.now_ms, partial(device.post, device.lives, withheld))
            return
        duration_ms = self._durations_ms.get(start.name, 0)
        took_ms = min(duration_ms, start.timeout_ms)
        meter = Meter()
        result: bytes | Failure
        if duration_ms > start.timeout_ms:
            result = Failure(Outcome.TIMEOUT, None, f"no answer within {took_ms} ms", "TimeoutError", "silence")
            self._answer_late(device, start, duration_ms)
        else:
            report = partial(self._tell_progress, device, start, took_ms) if start.is_unit else None
            result = contextvars.Context().run(run_step, start, meter, report)
        self._tell_end(device, start, result, took_ms, meter)

    def _tell_progress(self, device: Device, start: StartStep, took_ms: int, permille: int, value: bytes) -> None:
        """Let a unit's progress come when so much of its duration is over."""
        said = e.StepProgressed(start.object, start.path, start.attempt, start.try_number, permille, value)
        self._timetable.at(self.now_ms + took_ms * permille // 1_000, partial(device.post, device.lives, said))

    def _answer_late(self, device: Device, start: StartStep, duration_ms: int) -> None:
        """A plain function cannot be stopped: what it does is done, and its answer comes late."""
        if inspect.iscoroutinefunction(start.function):
            return

        def run() -> None:
            if device.is_up and device.lives == life:
                result = contextvars.Context().run(run_step, start, Meter())
                if isinstance(result, bytes):
                    self._tell_end(device, start, result, duration_ms, Meter(), wait_ms=0)

        life = device.lives
        self._timetable.at(self.now_ms + duration_ms, run)

    def _tell_end(
        self, device: Device, start: StartStep, result: bytes | Failure, took_ms: int, meter: Meter,
        wait_ms: int | None = None,
    ) -> None:  # fmt: skip
        failure = result if isinstance(result, Failure) else Failure(Outcome.OK, None, "", "", "", result)
        ended = e.StepEnded(
            start.object, start.path, start.attempt, start.try_number, failure.value, int(failure.outcome),
            failure.error, failure.error_type, failure.hint_ms, took_ms, failure.evidence, device.is_late,
            meter.bytes_used, meter.energy_mj,
        )  # fmt: skip
        at_ms = self.now_ms + (took_ms if wait_ms is None else wait_ms)
        self._timetable.at(at_ms, partial(device.post, device.lives, ended))


def _order(event: e.Event) -> int:
    """Own completions first, then askers, then peers, as in the daemon; the end of a contact after what it said."""
    if e.is_own(event) and not isinstance(event, e.ContactEnded):
        return 0
    return 1 if isinstance(event, (e.Asked, e.AskerGone)) else 2
