"""Plays: scenes of commands, and under each what it led to, as a person reads it. Format of `tests/scenarios/*.play`.

A play is a list of scenes separated by an empty line. A scene is lines of commands (several on one line with `;`),
a line `----`, and what happened: one line for each device and object, its stages in order. `(nothing)` is silence.
`EDGE_REWRITE=1` writes what happened into the files instead of comparing; the change is then read as a diff.

    devices A B C              first line of every play; then `A has camera`, `A is relay` (or `advisor`),
                               `A advises TOPIC CONFIDENCE PROPOSAL`
    A keeps 40k                how much the spool of A may take beside its empty tables
    submit A NAME intent=I [needs=x,y] [lifetime=1h] [priority=0] [rights={"x":1}] [KEY=VALUE]
    link A B up [20s] | link A B down      with a time: up for so long, then down
    run 1h | crash A [power] | restart A | step NAME takes 30s | step NAME fails unreachable busy
    signal A OBJECT NAME VALUE | fact A NAME VALUE | raise A EVENT | hand A OBJECT TO
    clock A -3h [TRUST]        by how much its wall clock is wrong from now on, or at the next start if A is down
    time A [OBJECT]            by how much it believes to be off, and how far it trusts that; how old an object is there
    hold|release|cancel|resume|claim A OBJECT | hold|release A
    revoke A B [SEQUENCE]      A withdraws the grants of device B, or says that it is compromised from there on
    policy A EFFECT [CONDITION], NAME: EFFECT [CONDITION]   rules in order, named rule 1, …; from now on
    The children that a submission makes are called NAME/SLOT.
    show A OBJECT | did        who has custody and how it stands; how often each step was done
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_runtime import App
from edge_runtime.base.errors import UsageError
from edge_runtime.base.moment import Trust
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.node import events as e
from edge_runtime.node.answers import kind_name
from edge_runtime.node.effects import Note, Stage, Turn
from edge_runtime.testing import Device, DevicePlan, World
from edge_runtime.testing.device import WALL_START_MS
from tests.support.small_spools import room_for
from tests.support.world_app import Doings, make_adviser, make_app
from tests.support.world_checks import WorldChecks

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
ASKED = {"hold": c.Hold, "release": c.Release, "cancel": c.Cancel, "resume": c.Resume, "claim": c.Claim}
NOTHING = "(nothing)"
RULES_CUT = re.compile(r", *(?=(?:[\w ]+: )?(?:permit|reject|defer)\b)")
CUT = "----"


@dataclass(frozen=True, slots=True)
class Scene:
    """Commands as they stand in the file, and what is expected of them."""

    before: tuple[str, ...]
    expected: tuple[str, ...]


def read_scenes(text: str) -> list[Scene]:
    """Return a play's scenes.

    Raises:
        ValueError: a scene without its `----`.
    """
    scenes = []
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        if CUT not in lines:
            raise ValueError(f"this scene has no line {CUT}:\n{block}")
        cut = lines.index(CUT)
        scenes.append(Scene(tuple(lines[:cut]), tuple(lines[cut + 1 :])))
    return scenes


def write_scenes(scenes: Sequence[Scene]) -> str:
    """Return the text of a play."""
    return "\n\n".join("\n".join((*scene.before, CUT, *scene.expected)) for scene in scenes) + "\n"


def duration_ms(text: str) -> int:
    """Return the milliseconds of `20s`, `1h`, `3d`."""
    unit = text.lstrip("0123456789")
    return int(text.removesuffix(unit)) * UNITS_MS[unit]


class Theatre:
    """The world of one play, and the words that its notes become."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.plans: dict[str, dict[str, Any]] = {}
        self.doings = Doings()
        self.lines: dict[tuple[str, str], list[str]] = {}
        self.extra: list[str] = []
        self.names: dict[bytes, str] = {}
        self._world: World | None = None
        self._checks: WorldChecks | None = None

    def apps(self) -> list[App]:
        """Return the apps that every device offers."""
        return [make_app(self.doings)]

    @property
    def world(self) -> World:
        """The world; it is made by the first command that needs it."""
        if self._world is None:
            plans = [DevicePlan(name, **plan) for name, plan in self.plans.items()]
            self._world = World(*plans, apps=self.apps(), seed=self.seed)
            self._checks = WorldChecks(self._world)
            self._world.watchers.append(self._watch)
        return self._world

    def perform(self, before: Sequence[str]) -> list[str]:
        """Perform one scene and return what happened."""
        self.lines, self.extra = {}, []
        for line in before:
            for command in line.split("#")[0].split(";"):
                if command.strip():
                    self._perform(command.split())
        if self._world is not None:
            self._world.run()
        told = [f"{device} {name} {' '.join(words)}" for (device, name), words in self.lines.items()]
        return [*told, *self.extra] or [NOTHING]

    def end(self) -> None:
        """Check what must hold when a play is over."""
        assert self.world is not None and self._checks is not None
        self._checks.at_rest()

    # --- Commands -------------------------------------------------------------------------------------------------

    def _perform(self, words: list[str]) -> None:
        match words:
            case ["devices", *names]:
                self.plans = {name: {} for name in names}
            case [name, "has", *capabilities] if name in self.plans:
                self.plans[name]["has"] = tuple(capabilities)
            case [name, "keeps", kib] if name in self.plans and self._world is None:
                self.plans[name]["store"] = room_for(int(kib.removesuffix("k")) * 1_024)
            case [name, "is", ("relay" | "advisor") as role] if name in self.plans:
                self.plans[name]["roles"] = (role,)
            case [name, "advises", topic, confidence, *proposal] if name in self.plans:
                app = make_adviser(topic, " ".join(proposal), int(confidence))
                self.plans[name]["apps"] = (*self.plans[name].get("apps", ()), app)
            case ["run", length]:
                self.world.run(ms=duration_ms(length))
            case ["link", one, other, "up", length]:
                self.world.link(one, other, up=True)
                self.world.run(ms=duration_ms(length))
                self.world.link(one, other, up=False)
            case ["link", one, other, way]:
                self.world.link(one, other, up=way == "up")
            case ["crash", name, *power]:
                self.world.crash(name, power_cut=bool(power), restart=False)
            case ["restart", name]:
                self.world.restart(name)
            case ["policy", name, *rules]:
                self.world.device(name).set_policy(_policy_of(" ".join(rules)))
                self.world.run()
            case ["probe", name, probe, "gone"]:
                del self.world.device(name).probes[probe]
            case ["probe", name, probe, *fields]:
                reading = dict(field.split("=", 1) for field in fields)
                self.world.device(name).probes[probe] = {key: value_of(value) for key, value in reading.items()}
            case ["step", name, "takes", length]:
                self.world.takes(name, ms=duration_ms(length))
            case ["step", name, "fails", *errors]:
                self.doings.failures[name] = errors
            case ["did"]:
                done = [name for _, name in self.doings.done]
                counts = [f"{name} {done.count(name)}" for name in dict.fromkeys(done)]
                self.extra.append(f"did {', '.join(counts) or 'nothing'}")
            case ["time", name, *objects]:
                self.extra.extend(_times(self.world, self.world.device(name), objects))
            case [word, name, *rest]:
                self._ask(word, self.world.device(name), rest)
            case _:
                raise ValueError(f"no command of a play: {' '.join(words)}")

    def _ask(self, word: str, device: Device, words: list[str]) -> None:
        ids = {name: object_id.hex() for object_id, name in self.names.items() if "/" in name}
        words = [ids.get(name, name) for name in words]
        try:
            match word, words:
                case "submit", [name, *fields]:
                    self._submit(device, name, dict(field.split("=", 1) for field in fields))
                case "show", [name]:
                    self._show(device, name)
                case "signal", [name, signal, value]:
                    device.signal(name, signal, value_of(value))
                case "fact", [name, value]:
                    device.fact(name, value_of(value))
                case "raise", [name]:
                    device.ask(c.Raise(name))
                case "clock", [shift, *trust]:
                    shift_ms = duration_ms(shift.removeprefix("-")) * (-1 if shift.startswith("-") else 1)
                    self.world.set_clock(device.name, shift_ms=shift_ms, trust=Trust[trust[0]] if trust else None)
                case "revoke", [other, *sequence]:
                    key = self.world.device(other).key.public.hex()
                    device.ask(c.Revoke(key, int(sequence[0]) if sequence else None))
                case "hand", [name, to]:
                    device.ask(c.Hand(to, name))
                case "hold", []:
                    device.ask(c.Hold())
                case "release", []:
                    device.ask(c.Release())
                case _, [name] if word in ASKED:
                    device.ask(ASKED[word](name))
                case _:
                    raise ValueError(f"no command of a play: {word} {device.name} {' '.join(words)}")
        except UsageError as error:
            self.extra.append(f"{device.name} refused: {error.message}")

    def _submit(self, device: Device, name: str, fields: dict[str, str]) -> None:
        intent = fields.pop("intent")
        needs = [need for need in fields.pop("needs", "").split(",") if need]
        more: dict[str, Any] = {"lifetime_ms": duration_ms(fields.pop("lifetime"))} if "lifetime" in fields else {}
        if "priority" in fields:
            more["priority"] = int(fields.pop("priority"))
        if "rights" in fields:
            more["rights"] = value_of(fields.pop("rights"))
        arguments = {key: value_of(value) for key, value in fields.items()} or None
        shown = device.submit(intent, arguments, name=name, needs=needs, **more)
        self._call(shown["object"], name)
        for child in shown["children"]:
            self._call(child["object"], f"{name}/{child['slot']}")

    def _call(self, object_id: str, name: str) -> None:
        """Call an object by a name from now on, and in what was told of it in this scene."""
        self.names[bytes.fromhex(object_id)] = name
        for key in [key for key in self.lines if key[1] == object_id[:8]]:
            self.lines[(key[0], name)] = self.lines.pop(key)

    def _show(self, device: Device, name: str) -> None:
        shown = device.show(name)
        how = shown["reason"] or ""
        if shown["end"]:
            how = f"{shown['end']} {json.dumps(shown['result'] or shown['error'])}"
        called = self.names.get(bytes.fromhex(shown["object"]), name)
        line = f"{device.name} {called} is {shown['status']} with {shown['custodian_name']}: {how}".rstrip(": ")
        flagged = len(shown["acted_before_revocation_known"])
        self.extra.append(f"{line} ({flagged} acted before revocation known)" if flagged else line)

    # --- What happened --------------------------------------------------------------------------------------------

    def _watch(self, device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        for effect in turn.effects:
            if isinstance(effect, Note) and effect.object in self._objects(device):
                word = self._word(device, effect)
                name = self.names.get(effect.object, effect.object.hex()[:8])
                words = self.lines.setdefault((device.name, name), [])
                if word and word not in words[-1:]:
                    words.append(word)
        for key in [key for key, words in self.lines.items() if not words]:
            del self.lines[key]

    def _objects(self, device: Device) -> list[bytes]:
        return [bytes(row[0]) for row in device.store.run("SELECT id FROM objects")]

    def _word(self, device: Device, note: Note) -> str:
        fields = note.fields
        match note.stage:
            case Stage.ENTERED:
                return "entered"
            case Stage.STORED if "entry" in fields:
                void = f", void: {fields['void']}" if fields["void"] else ""
                return f"verified stored({self._kinds(device, note)}{void})"
            case Stage.WOKEN:
                return f"woken({fields['by']})"
            case Stage.JUDGED:
                return _judged(fields)
            case Stage.EXECUTED:
                return f"executed({fields['path'].rpartition('/')[2].rpartition(':')[0]} {fields['outcome']})"
            case Stage.APPENDED:
                return f"appended({self._kinds(device, note)})"
            case Stage.GOSSIPED:
                return f"gossiped({fields['to']})"
            case _:
                return note.stage.value + str(fields)

    def _kinds(self, device: Device, note: Note) -> str:
        live = device.node.parts.spool.find(note.object)
        assert live is not None
        entry = next(
            placed.entry for placed in live.state.history.placed.values()
            if placed.entry.id.hex()[:16] == note.fields["entry"]
        )  # fmt: skip
        return " ".join(kind_name(record.kind) for record in entry.records)


def _times(world: World, device: Device, objects: Sequence[str]) -> list[str]:
    clock = device.ask(c.Status())["clock"]
    off_ms = clock["wall_ms"] - WALL_START_MS - world.now_ms
    lines = [f"{device.name} is {round(off_ms / 60_000)} min off by a clock of trust {clock['trust']}"]
    for name in objects:
        shown = device.show(name)
        at_least = "" if shown["age_is_exact"] else "at least "
        lines.append(f"{device.name} {name} is {at_least}{shown['age_ms'] // 60_000} min old")
    return lines


def _policy_of(text: str) -> Policy:
    """Return the policy of `reject battery.percent < 20, permit`, or of `reserve: reject …, permit`."""
    rules = []
    for number, rule in enumerate(RULES_CUT.split(text), start=1):
        name, _, rest = rule.strip().rpartition(": ")
        effect, _, condition = rest.partition(" ")
        when = f"when = {json.dumps(condition)}\n" if condition else ""
        rules.append(f'[[rule]]\nname = "{name or f"rule {number}"}"\neffect = "{effect}"\n{when}')
    return Policy.parse("".join(rules))


def _judged(fields: dict[str, Any]) -> str:
    match fields:
        case {"action": "execution", "path": path}:
            return f"judged(execution: {path.rpartition('/')[2].rpartition(':')[0]})"
        case {"action": action, "reason": reason}:
            return f"judged({action}: {reason})"
        case {"denied": rule, "path": path}:
            return f"judged(denied by {rule}: {path.rpartition('/')[2].rpartition(':')[0]})"
        case {"offered": to, "reason": reason}:
            return f"judged(offered to {to}: {reason})"
        case {"claimed": number, "reason": reason}:
            return f"judged(claimed {number}: {reason})"
        case {"custody": what}:
            return f"judged(custody {what})"
        case {"escalated": what}:
            return f"judged(escalated: {what})"
        case {"ended": end}:
            return f"judged(termination: {end})"
        case _:
            return f"judged({fields})"


def value_of(text: str) -> Any:
    """Return what a word of a play means: JSON if it is that, a list for `c1..c24`, else the text itself."""
    series = re.fullmatch(r"([a-z]+)(\d+)\.\.\1(\d+)", text)
    if series is not None:
        return [f"{series[1]}{number}" for number in range(int(series[2]), int(series[3]) + 1)]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
