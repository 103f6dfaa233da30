"""Gated steps under random links, crashes, claims and hand-overs: counted where they arrive, in the set that is allowed."""

from __future__ import annotations

import os
from collections import Counter

from edge_runtime.node import commands as c
from tests.support.gated_app import RIGHTS, RULES, Effects, make_gated_app
from tests.support.world_app import Doings
from tests.support.world_random import RandomWorld

SEEDS = int(os.environ.get("EDGE_SEEDS", 5))


class GatedWorld(RandomWorld):
    """A random world of gated objects, in which operators answer what they are asked, by a coin."""

    def __init__(self, seed: int) -> None:
        doings = Doings()
        self.effects = Effects(doings)
        self.again: Counter[tuple[str, str]] = Counter()  # (object, signal) -> how often an operator had it sent again
        super().__init__(seed, doings=doings, apps=(make_gated_app(self.effects),))
        self.arguments = {f"send {rule}": {"rule": rule} for rule in RULES}
        self.arguments |= {f"pay {rule}": {"rule": rule} for rule in RULES}
        self.failing = ("send", *(f"p{number}" for number in range(6)), "pay")
        self.more = (*3 * (self._answer,), *2 * (self._crash,), *2 * (self._move,), self._tell_next)
        for step in self.failing:
            self.world.takes(step, seconds=20)

    def submit_fields(self, intent: str) -> dict[str, object]:
        """Payments come with their rights."""
        return {"rights": RIGHTS} if intent == "pay" else {}

    def _move(self) -> None:
        """Let custody move while nobody has looked at whether that is wise."""
        device = self.chance.choice(self._living() or [None])
        for reference in self._objects(device) if device is not None else ():
            if device is not None and device.is_up and self.chance.random() < 0.3:
                to = self.chance.choice(sorted(self.world.devices))
                self._try(device, self.chance.choice((c.Claim(reference), c.Hand(to, reference))))

    def _tell_next(self) -> None:
        """Let bodies go on to their next steps at once."""
        for device in self._living():
            for reference in self._objects(device):
                if device.is_up and self.chance.random() < 0.5:
                    self._try(device, c.Signal(reference, f"next{self.chance.randrange(3)}"))

    def _answer(self) -> None:
        """Let an operator say what it is asked about the objects of a device."""
        for device in self._living():
            for reference in self._objects(device):
                shown = device.show(reference) if device.is_up else None  # one that dies now answers nothing
                reason = "" if shown is None else shown["reason"] or ""
                name = next((word for word in reason.split() if word.startswith("unknown:")), "")
                if name and self.chance.random() < 0.9:
                    happened = self.chance.random() < 0.5
                    self.again[reference, name.removeprefix("unknown:")] += not happened
                    self._try(device, c.Signal(reference, name, happened))

    def check_effects(self) -> None:
        """No effect beyond what its class allows, and no right that was made."""
        for (reference, attempt, rule), count in Counter(self.effects.sent).items():
            if rule != "resend":
                words = self.again[reference, attempt] if rule == "ask" else 0
                assert count <= 1 + words, (self.world.seed, reference, rule, count, words)
        spent: Counter[str] = Counter()
        for reference, amount in self.effects.paid:
            spent[reference] += amount
        assert all(amount <= RIGHTS["money"] for amount in spent.values()), (self.world.seed, spent)
        for device in self._living():
            for reference in self._objects(device):
                live = device.node.parts.spool.find(bytes.fromhex(reference))
                assert live is not None
                for row in live.state.content.rights.rows():
                    parts = [int(row[what]) for what in ("left", "spent", "offered", "frozen", "delegated")]
                    assert sum(parts) == row["granted"] and min(parts) >= 0


def test_whatever_happens_no_gated_effect_goes_beyond_what_its_class_allows() -> None:
    """Behaviours: 15.1, 15.2, 15.5, 15.8, 15.10, 7.7; P4, P10."""
    effects = 0
    for seed in range(SEEDS):
        world = GatedWorld(seed)
        world.play(80)
        world.check_effects()
        world.finish()
        world.check_effects()
        effects += len(world.effects.sent) + len(world.effects.paid)
    assert effects > SEEDS, "some worlds are held, and act on nothing; not all of them"
