"""Missions: long plays on several devices, where the stages of every object would say too much.

Nothing is told but what a scene asks for; beside the words of `tests.support.plays` there are:

    app NAME | seed N | times in s|m|h             before the first command that needs the world
    A is ROLE … | plan A DESTINATION 180m-188m …   roles in the fleet; a contact plan, in mission time
    at 200s                                        let time go on until then
    watch A …                                      tell the stages of these devices in this scene, as plays do
    link A B up [latency=14m] [rate=300]           latency one way, bytes a second
    part A B | C D | E                             all links within a part up, all others down
    hub A 5m B C … | tour A 5m B C …               A meets all for so long, together or one after another
    revoke A B                                     A withdraws the grants of B: healing is without B
    destroy A                                      it never comes back
    children A OBJECT                              its children as A knows them, named OBJECT/SLOT from then on
    records A OBJECT KIND … or KIND=WORD           records of these kinds that A holds, new since it was asked
    tried                                          tries of steps since it was asked: device, step, when
    did [STEP …]                                   effects of fakes: device, step, how often
    arrived A                                      objects that came to A since it was asked, in order
    room A                                         what A holds, and what it let go for room
    published A OBJECT NAME | dropped A OBJECT     what a body shows; what was refined away
    units A OBJECT | claims A OBJECT B             how many units are done and claimed, as A knows; what B left undone
    disputed A OBJECT                              what was said, and by which teams, of units whose results differ
    rights A OBJECT …                              what became of the rights that they were made with
    signed A | resent A B                          entries of A; how many one of two sent the other twice
    heal                                           all links up for two hours, then the checks

A ledger of tries, entries and bytes is printed at the end, with the seed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from random import Random
from typing import Any

from edge_runtime import App
from edge_runtime.judge.plan import Pass, plan_of
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.effects import Send, StartStep, Turn
from edge_runtime.node.messages import Entries, decode_message
from edge_runtime.node.spool import Live
from edge_runtime.objects.codec import decode_value
from edge_runtime.objects.intents import hash256
from edge_runtime.objects.units import announcements
from edge_runtime.testing import Device, World
from edge_runtime.testing.device import WALL_START_MS
from tests.support.mission_apps import APPS, Actuators
from tests.support.plays import UNITS_MS, Theatre, duration_ms

DEATH_CHANCE = 0.02  # of a process, at each of its commits
ASKED_FOR = (
    "records", "arrived", "room", "published", "dropped", "units", "disputed", "claims", "signed", "children", "rights",
)  # fmt: skip
PATH = re.compile(r"\d+/[^ ]*/[^/]+:\d+")
# Of the body of a record, what a mission tells.
TOLD: dict[str, tuple[str, ...]] = {
    "advised": ("topic", "proposal", "confidence"), "denied": ("rule", "path"), "refined": ("reason",),
    "executed": ("path", "outcome", "verdict"), "dormant": ("reason",), "published": ("name", "value"),
    "learned": ("path",),
    "terminated": ("end", "error"), "offered": ("reason",), "signalled": ("name", "value"), "took": ("what",),
}  # fmt: skip


@dataclass(slots=True)
class Ledger:
    """What one mission cost: by device, tries of steps, entries and bytes sent, entries sent twice to one peer."""

    tries: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    again: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    peers: dict[tuple[str, int], bytes] = field(default_factory=dict)
    sent: dict[tuple[str, bytes, bytes], None] = field(default_factory=dict)

    def watch(self, device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        """Count one turn."""
        for event in events:
            if isinstance(event, e.ContactOpened):
                self.peers[(device.name, event.contact)] = event.device
        for effect in turn.effects:
            if isinstance(effect, StartStep):
                self.tries[device.name] += 1
            elif isinstance(effect, Send):
                self._count(device, effect)

    def _count(self, device: Device, send: Send) -> None:
        peer = self.peers.get((device.name, send.contact), b"")
        for data in send.messages:
            self.bytes[device.name] += len(data)
            message = decode_message(data)
            for raw in message.entries if isinstance(message, Entries) else ():
                key = (device.name, peer, hash256(raw))
                self.entries[device.name] += 1
                self.again[(device.name, peer)] += key in self.sent
                self.sent[key] = None

    def lines(self) -> list[str]:
        """Return the ledger as text, one line for each device."""
        names = sorted({*self.tries, *self.entries, *self.bytes})
        return [
            f"{name}: {self.tries[name]} tries, {self.entries[name]} entries sent "
            f"({sum(count for (who, _), count in self.again.items() if who == name)} of them again), "
            f"{self.bytes[name]} bytes" for name in names
        ]  # fmt: skip


class Mission(Theatre):
    """The world of one mission.

    Args:
        deaths: so many processes die on the way, each right after a commit and before anything of it is done or said;
            then nothing is told.
    """

    def __init__(self, seed: int = 1, deaths: int = 0) -> None:
        super().__init__(seed)
        self.deaths = deaths
        self.chance = Random(seed)
        self.app = ""
        self.unit = "s"
        self.fakes = Actuators()
        self.ledger = Ledger()
        self.watched: tuple[str, ...] = ()
        self.tried: list[tuple[str, str]] = []
        self.told: dict[tuple[str, str], dict[str, None]] = {}
        self.came: dict[str, int] = {}
        self.is_healed = False
        self.died = 0
        self.revoked: dict[str, None] = {}  # healing is without them
        self.keys: dict[str, bytes] = {}  # of all devices, lost ones too
        self.children: dict[str, str] = {}  # name in this mission -> id

    def apps(self) -> list[App]:
        """Return none: each device has its own."""
        return []

    @property
    def world(self) -> World:
        """The world; the first time, everything is hung into it."""
        if self._world is None:
            for name, plan in self.plans.items():
                plan["apps"] = (APPS[self.app](self.fakes, name),)
            world = super().world
            self.keys = {device.name: device.key.public for device in world.devices.values()}
            self.fakes.clock = lambda: world.now_ms
            self.fakes.is_up = lambda name: world.device(name).is_up
            world.watchers.append(self.ledger.watch)
            world.watchers.append(self._watch_tries)
            world.watchers.append(self._let_die)
        return super().world

    def perform(self, before: Sequence[str]) -> list[str]:
        """Perform one scene and return what was asked for."""
        self.watched = ()
        return super().perform(before)

    def end(self) -> None:
        """Check what must hold when a mission is over, and print what it cost."""
        print(f"seed {self.seed}", *self.ledger.lines(), sep="\n")
        assert self.is_healed, "a mission ends with `heal`"
        super().end()

    # --- Commands -------------------------------------------------------------------------------------------------

    def _perform(self, words: list[str]) -> None:
        match words:
            case ["app", name]:
                self.app = name
            case ["seed", number]:
                self.seed = int(number)
            case ["times", "in", unit]:
                self.unit = unit
            case [name, "is", *roles] if name in self.plans and self._world is None:
                self.plans[name]["roles"] = tuple(roles)
            case ["plan", name, destination, *passes]:
                plans = self.plans[name].setdefault("contact_plans", {})
                plans[destination] = plan_of(_pass_of(text) for text in passes)
            case ["at", time]:
                left_ms = duration_ms(time) - self.world.now_ms
                assert left_ms >= 0, f"it is later than {time} already"
                self.world.run(ms=left_ms)
            case ["watch", *names]:
                self.watched = tuple(names)
            case ["link", one, other, way, *fields]:
                self._link(one, other, way == "up", dict(item.split("=") for item in fields))
            case ["destroy", name]:
                self._forget(name)
            case ["revoke", name, other, "only", *work]:
                self.world.device(name).ask(c.Revoke(self.keys[other].hex(), operations=work))
            case ["revoke", name, other]:
                self.world.device(name).ask(c.Revoke(self.keys[other].hex()))
                self.revoked[other] = None
            case ["heal"]:
                self._heal()
            case ["tried"]:
                self._tell_tried()
            case ["resent", one, other]:
                count = sum(self.ledger.again[(a, self.keys[b])] for a, b in ((one, other), (other, one)))
                self.extra.append(f"resent between {one} and {other}: {count} entries")
            case ["part", *names]:
                parts = [part.split() for part in " ".join(names).split("|")]
                for one, other in combinations(self.world.devices, 2):
                    self._link(one, other, any(one in part and other in part for part in parts), {})
            case ["hub", name, length, *names]:
                for other in names:
                    self._link(name, other, True, {})
                self.world.run(ms=duration_ms(length))
                for other in names:
                    self._link(name, other, False, {})
            case ["tour", name, length, *names]:
                for other in names:
                    self._link(name, other, True, {})
                    self.world.run(ms=duration_ms(length))
                    self._link(name, other, False, {})
            case ["did", *steps]:
                done = [act for act in self.fakes.done if not steps or act.step in steps]
                counts = Counter(f"{act.device} {act.step}" for act in done)
                self.extra.extend(f"did {what} {counts[what]}" for what in counts)
            case [word, *_] if word in (*ASKED_FOR, "show") and self.deaths:
                pass
            case [word, name, *rest] if word in ASKED_FOR:
                self._tell(word, self.world.device(name), rest)
            case _:
                super()._perform(words)

    def _link(self, one: str, other: str, is_up: bool, fields: dict[str, str]) -> None:
        self.world.link(
            one, other, up=is_up, latency_ms=duration_ms(fields.get("latency", "1ms")),
            bytes_per_s=int(fields.get("rate", "0")),
        )  # fmt: skip
        key = frozenset((one, other))
        self.fakes.links.pop(key, None)
        if is_up:
            self.fakes.links[key] = None

    def _heal(self) -> None:
        assert self._checks is not None
        for name in self.revoked:
            self._forget(name)
        names = list(self.world.devices)
        self.fakes.links.update({frozenset((one, other)): None for one in names for other in names if one != other})
        self._checks.heal()
        self._checks.at_rest()
        self._checks.after_healing()
        self.is_healed = True
        for name in names:
            for status in ("dormant", "awake", "attempting"):
                rows = self.world.device(name).ask(c.List(status))
                mine = [row for row in rows if row["custodian_name"] == name]
                self.extra.extend(f"{name} holds {row['name']}, {status}: {row['reason']}" for row in mine)

    def _forget(self, name: str) -> None:
        self.world.crash(name, restart=False)
        del self.world.devices[name]

    def _tell(self, word: str, device: Device, rest: list[str]) -> None:
        match word, rest:
            case "signed", []:
                ids = {
                    entry_id: None for other in self.world.devices.values() for live in _lives(other)
                    for entry_id, placed in live.state.history.placed.items()
                    if placed.entry.author == device.key.public
                }  # fmt: skip
                self.extra.append(f"{device.name} signed {len(ids)} entries")
            case "records", [name, *kinds]:
                self._tell_records(device, name, kinds)
            case "published", [name, key]:
                value = device.show(name)["published"].get(key)
                self.extra.append(f"{device.name} {name} shows {key}: {json.dumps(value)}")
            case "dropped", [name]:
                self.extra.append(f"{device.name} {name} dropped {' '.join(device.show(name)['dropped'])}")
            case "arrived", []:
                rows = device.store.run("SELECT id FROM objects ORDER BY row").fetchall()
                new = [self.names.get(bytes(row[0]), "?") for row in rows[self.came.get(device.name, 0) :]]
                self.came[device.name] = len(rows)
                self.extra.append(f"{device.name} got {', '.join(new) or 'nothing'}")
            case "room", []:
                held = [row[0] for row in device.store.run("SELECT name FROM shelf ORDER BY object")]
                went = [
                    self.names.get(bytes(row[0]), "?")
                    for row in device.store.run("SELECT id FROM tombstones WHERE is_gone = 1 ORDER BY row")
                ]
                self.extra.append(f"{device.name} holds {', '.join(held)}; let go {', '.join(went) or 'nothing'}")
            case "children", [name]:
                for child in device.show(name)["children"]:
                    self._tell_child(device, name, child)
            case "rights", names:
                self._tell_rights(device, names)
            case ("units" | "disputed" | "claims"), [name, *of]:
                self._tell_units(word, device, name, self.keys[of[0]] if of else b"")
            case _:
                raise ValueError(f"no command of a mission: {word} {device.name} {' '.join(rest)}")

    def _show(self, device: Device, name: str) -> None:
        super()._show(device, self.children.get(name, name))

    def _tell_rights(self, device: Device, names: Sequence[str]) -> None:
        total: Counter[str] = Counter()
        for name in names:
            for row in device.show(self.children.get(name, name))["rights"]:
                amounts = {word: row[word] for word in ("granted", "left", "spent", "offered", "frozen", "delegated")}
                told = ", ".join(f"{amount} {word}" for word, amount in amounts.items() if amount)
                self.extra.append(f"{device.name} {name} {row['name']}: {told}")
                total.update(amounts)
        assert total["granted"] == sum(total.values()) - total["granted"], "no right is made, none is lost"

    def _tell_child(self, device: Device, parent: str, child: dict[str, Any]) -> None:
        name = self.names.setdefault(bytes.fromhex(child["object"]), f"{parent}/{child['slot']}")
        self.children[name] = child["object"]
        self.extra.append(f"{device.name} {name} {child['intent']}: {child['end'] or 'not ended'}")

    def _tell_tried(self) -> None:
        times: dict[str, list[str]] = {}
        for what, when in self.tried:
            times.setdefault(what, []).append(when)
        self.tried = []
        for what, found in times.items():
            counts = Counter(found)
            self.extra.append(f"tried {what}: {', '.join(f'{t} {n}x' if n > 1 else t for t, n in counts.items())}")
        if not times:
            self.extra.append("tried nothing")

    def _tell_records(self, device: Device, name: str, kinds: Sequence[str]) -> None:
        told = self.told.setdefault((device.name, name), {})
        for row in device.trace(self.children.get(name, name)):
            key = f"{row['entry']}/{row['kind']}/{json.dumps(row['body'], sort_keys=True, default=str)}"
            if _is_asked(row, kinds) and key not in told:
                told[key] = None
                body = [f"{word}={_short(row['body'].get(word))}" for word in TOLD.get(row["kind"], ())]
                void = [f"void: {row['void']}"] if row["void"] else []
                void.extend(["flagged"] if row.get("acted_before_revocation_known") else [])
                when = self._time(row["age_ms"])
                who = next(other for other, key in self.keys.items() if key.hex() == row["device"])
                self.extra.append(" ".join([device.name, name, when, who, row["kind"], *body, *void]))

    def _tell_units(self, word: str, device: Device, name: str, of: bytes) -> None:
        """Tell of shared work only what does not hang on who took which unit: that follows the object's id."""
        live = device.node.parts.spool.find(bytes.fromhex(device.show(name)["object"]))
        assert live is not None
        units, start = live.state.units, f"{device.name} {name}"
        names = {key: name for name, key in self.keys.items()}
        said: dict[str, dict[str, None]] = {}
        for found in units.results.values():
            values = {key: decode_value(result.value) for key, result in found.items()}
            for key, value in values.items() if len(set(values.values())) > 1 else ():
                said.setdefault(value, {})[names[key][:2]] = None
        match word:
            case "units":
                (announced,) = announcements(live.state.content.published)
                standing = units.standing(announced, device.node.parts.spool.age_ms(live))
                self.extra.append(f"{start}: {len(units.results)} done, {len(standing)} claimed")
            case "claims":
                claimed = [key for key, claims in units.claims.items() if of in claims]
                left = [key for key in claimed if of not in units.results.get(key, {})]
                done = sum(key in units.results for key in left)
                self.extra.append(f"{start}: {names[of]} left {len(left)} undone, of which others did {done}")
            case _:
                told = ", ".join(f"{value} by {' '.join(sorted(teams))}" for value, teams in sorted(said.items()))
                self.extra.append(f"{start} keeps side by side: {told or 'nothing'}")

    # --- What happened --------------------------------------------------------------------------------------------

    def _watch(self, device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        if device.name in self.watched:
            super()._watch(device, events, turn)

    def _watch_tries(self, device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        for effect in turn.effects:
            if isinstance(effect, StartStep):
                self.tried.append((f"{device.name} {effect.name}", self._time(self.world.now_ms)))

    def _let_die(self, device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        """Who is asked something by the play lives at least until it has answered."""
        is_asked = any(isinstance(event, e.Asked) for event in events)
        if self.died < self.deaths and not is_asked and self.chance.random() < DEATH_CHANCE:
            self.died += 1
            device.is_doomed = True

    def ends(self) -> dict[str, str]:
        """Return how each object ended, or why it sleeps, by name or intent; to be asked once all is healed."""
        found: dict[str, str] = {}
        for device in self.world.devices.values():
            for live in _lives(device):
                content = live.state.content
                if live.state.history.view.holder == device.key.public:
                    shown = device.show(live.object.hex())
                    found[content.name or content.intent] = str(shown["end"] or shown["reason"])
        return found

    def keys_of_effects(self) -> dict[tuple[str, str, str], dict[str, None]]:
        """Return under which attempts each fake did each thing: (device, step, value) -> attempts."""
        found: dict[tuple[str, str, str], dict[str, None]] = {}
        for act in self.fakes.done:
            found.setdefault((act.device, act.step, str(act.value)), {})[act.attempt] = None
        return found

    def _time(self, ms: int) -> str:
        """Return a time in the mission's unit, to a thousandth."""
        whole, rest = divmod(ms * 1_000 // UNITS_MS[self.unit], 1_000)
        return f"{whole}.{rest:03}".rstrip("0").rstrip(".") + self.unit


def _pass_of(text: str) -> Pass:
    start, end = text.split("-")
    return Pass(WALL_START_MS + duration_ms(start), WALL_START_MS + duration_ms(end), 1_000)


def _lives(device: Device) -> list[Live]:
    rows = device.store.run("SELECT id FROM objects ORDER BY row").fetchall()
    return [live for row in rows if (live := device.node.parts.spool.find(bytes(row[0]))) is not None]


def _is_asked(row: dict[str, Any], kinds: Sequence[str]) -> bool:
    kind = row["kind"]
    first = TOLD.get(kind, ("kind",))[0]
    return kind in kinds or f"{kind}={_short(row['body'].get(first)).partition(':')[0]}" in kinds


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.partition(" (policy ")[0]
    return text.rpartition("/")[2] if PATH.fullmatch(text) else text

