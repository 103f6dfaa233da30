"""Random worlds from one seed: who exists, what is asked of whom, which links come and go, who dies when."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from edge_runtime.base.errors import UsageError
from edge_runtime.base.units import DAY_MS
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.node.eviction import StoreTerms
from edge_runtime.testing import Device, DevicePlan, World
from edge_runtime.program.app import App
from tests.support.world_app import Doings, make_adviser, make_app
from tests.support.world_checks import WorldChecks

NAMES = ("base", "drone", "truck", "tablet", "mast", "buoy")
ARGUMENTS = {
    "greet": {"name": "Ada"}, "shoot": None, "survey": {"cells": 3}, "nap": {"seconds": 900, "times": 3},
    "ask": {"seconds": 7200}, "guard": None, "pair": None,
}  # fmt: skip
FAMILIES = {"split": {"cells": 3, "seconds": 7200}, "shoot": None, "greet": {"name": "Ada"}}
ADVISED = {"consult": {"seconds": 7200}, "shoot": None, "ask": {"seconds": 7200}}
# What a device may come to say: nothing, everything, one step less, only while a fact is known, with fewer tries.
POLICIES = (
    Policy.default(),
    Policy.parse(""),
    *(
        Policy.parse(f'[[rule]]\nname = "one"\n{rule}\n[[rule]]\nname = "rest"\neffect = "permit"\n')
        for rule in (
            'effect = "reject"\nwhen = \'step.name == "shoot"\'',
            'effect = "defer"\nwhen = "not (door.open == True)"',
            'effect = "constrain"\nattempts = 1\nwhen = \'step.name == "greet"\'',
            'effect = "reject"\nwhen = "door.open"\nintents = ["survey", "nap"]',
        )
    ),
)  # fmt: skip
FAILING = ("greet", "shoot", "fly", "left", "yawn")
LATENCIES_MS = (1, 40, 700)
ROUNDS = 40


class RandomWorld:
    """One world of 3 to 6 devices and what happens in it. Equal seeds are equal runs.

    Args:
        is_advised: objects ask for advice, and one device more is there that may do nothing but give it.
        has_families: most objects delegate. has_policies: policies change, too. Without them a seed is the world that it was before there were any.
    """

    def __init__(
        self, seed: int, is_advised: bool = False, has_policies: bool = False, has_families: bool = False,
        doings: Doings | None = None, apps: tuple[App, ...] = (),
    ) -> None:  # fmt: skip
        self.has_policies = has_policies
        self.chance = Random(seed)
        self.arguments = FAMILIES if has_families else ADVISED if is_advised else ARGUMENTS
        self.doings = Doings() if doings is None else doings
        self.failing, self.more = FAILING, tuple[Callable[[], None], ...]()  # for other kinds of worlds
        apps = (make_app(self.doings), *apps)
        names = NAMES[: self.chance.randint(3, len(NAMES))]
        plans = [DevicePlan(names[0], apps=apps)]
        for name in names[1:]:
            if self.chance.random() < 0.2:
                plans.append(DevicePlan(name, roles=("relay",)))
            else:
                has = ("camera",) if self.chance.random() < 0.5 else ()
                roles = ("executor", "operator") if self.chance.random() < 0.7 else ("executor",)
                plans.append(DevicePlan(name, has=has, apps=apps, roles=roles))
        if is_advised:
            plans.append(DevicePlan("sage", roles=("advisor",), apps=(make_adviser("way", "by the river", 900),)))
        # Families are looked at when all have ended, a month later: nothing of them goes before.
        kept = StoreTerms(ended_kept_ms=60 * DAY_MS) if has_families else StoreTerms()
        self.world = World(*(replace(plan, store=kept) for plan in plans), seed=seed)
        self.checks = WorldChecks(self.world)
        self.submitted = 0

    def play(self, rounds: int = ROUNDS) -> None:
        """Let things happen, with the checkers that hold at any time."""
        acts = (
            self._submit, self._submit, self._link, self._link, self._link, self._crash, self._signal, self._fail,
            self._operate, self._set_fact, *((self._set_policy,) if self.has_policies else ()), *self.more,
        )  # fmt: skip
        for number in range(rounds):
            self.chance.choice(acts)()
            self.world.run(ms=self.chance.choice((0, 0, 3, 50, 1_000, 60_000, 3_600_000)))
            if number % 10 == 9:
                self.world.run()
        self.world.run(minutes=1)
        self.checks.at_rest()

    def finish(self) -> None:
        """Heal the world and check what must hold then; at last let a month pass: every object ends."""
        self.doings.failures.clear()
        for device in self.world.devices.values():
            device.is_doomed = False
            device.set_policy(Policy.default())
        for step in self.failing:
            self.world.takes(step)  # else a step that always times out is tried each minute for a month
        self.checks.heal()
        self.checks.at_rest()
        self.checks.after_healing()
        self.checks.quiet()
        self.world.run(days=32)
        self.checks.at_rest()
        self.checks.after_healing()

    # --- What may happen ------------------------------------------------------------------------------------------

    def _living(self) -> list[Device]:
        return [device for device in self.world.devices.values() if device.is_up]

    def _try(self, device: Device, command: c.Command) -> None:
        try:
            device.ask(command)
        except UsageError:
            pass  # refused, as it may be: what it left behind is what the checkers look at

    def _submit(self) -> None:
        device = self.chance.choice(self._living() or [None])
        if device is None:
            return
        intent = self.chance.choice(sorted(self.arguments))
        self.submitted += 1
        # Some names are used twice, by one device or by two.
        name = f"task{self.chance.randrange(30)}" if self.chance.random() < 0.6 else ""
        needs = self.chance.choice(([], [], ["camera"], ["lidar"]))
        fields: dict[str, object] = {"priority": self.chance.randrange(16), "anyway": True}
        if self.chance.random() < 0.2:
            fields["lifetime_ms"] = self.chance.choice((60_000, 3_600_000))
        arguments = self.arguments[intent]
        intent = intent.partition(" ")[0]  # what follows tells arguments apart
        fields |= self.submit_fields(intent)
        self._try(device, c.Submit(intent, arguments, name=name, needs=needs, **fields))

    def submit_fields(self, intent: str) -> dict[str, object]:
        """Return more fields of a submission; for other kinds of worlds."""
        return {}

    def _link(self) -> None:
        one, other = self.chance.sample(sorted(self.world.devices), 2)
        up, latency_ms = self.chance.random() < 0.6, self.chance.choice(LATENCIES_MS)
        self.world.link(one, other, up=up, latency_ms=latency_ms, bytes_per_s=self.chance.choice((0, 2_000)))

    def _crash(self) -> None:
        device = self.chance.choice(list(self.world.devices.values()))
        if not device.is_up:
            self.world.restart(device.name)
        elif self.chance.random() < 0.5:
            self.world.crash(device.name, at_commit=True)
        else:
            cut, back = self.chance.random() < 0.3, self.chance.random() < 0.7
            self.world.crash(device.name, power_cut=cut, restart=back)

    def _objects(self, device: Device) -> list[str]:
        return [bytes(row[0]).hex() for row in device.store.run("SELECT id FROM objects ORDER BY row")]

    def _signal(self) -> None:
        for device in self._living():
            objects = self._objects(device)
            if objects and self.chance.random() < 0.5:
                self._try(device, c.Signal(self.chance.choice(objects), "answer", self.chance.randrange(9)))

    def _operate(self) -> None:
        living = self._living()
        device = self.chance.choice(living or [None])
        objects = self._objects(device) if device is not None else []
        if device is None or not objects:
            return
        reference, to = self.chance.choice(objects), self.chance.choice(sorted(self.world.devices))
        commands = (
            c.Cancel(reference), c.Hold(reference), c.Release(reference), c.Resume(reference), c.Claim(reference),
            c.Hand(to, reference), c.Hand(to, reference), c.Hold(), c.Release(), c.Release(),
        )  # fmt: skip
        self._try(device, self.chance.choice(commands))

    def _set_fact(self) -> None:
        for device in self._living():
            if self.chance.random() < 0.5:
                self._try(device, c.FactSet("door.open", self.chance.random() < 0.7))

    def _set_policy(self) -> None:
        for device in self._living():
            if self.chance.random() < 0.3:
                device.set_policy(self.chance.choice(POLICIES))

    def _fail(self) -> None:
        step = self.chance.choice(self.failing)
        errors = [self.chance.choice(("unreachable", "busy", "invalid", "broke")) for _ in range(2)]
        self.doings.failures.setdefault(step, []).extend(errors)
        if self.chance.random() < 0.3:
            self.world.takes(step, seconds=self.chance.choice((1, 30, 700)))
