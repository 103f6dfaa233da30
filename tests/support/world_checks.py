"""Checkers of worlds, apart from what the scenarios do: after each turn, at rest, and after healing.

A checker raises `AssertionError` that names the seed, the time and the device. It reads stores and states only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from edge_runtime.judge.policy import Policy
from edge_runtime.node import events as e
from edge_runtime.node.effects import Note, Send, StartStep, Turn
from edge_runtime.node.messages import Entries, decode_message
from edge_runtime.node.node import Node
from edge_runtime.node.parts import Settings
from edge_runtime.node.spool import Live
from edge_runtime.node.store import Store
from edge_runtime.node.twins import suspects
from edge_runtime.objects.entries import verify
from edge_runtime.objects.intents import hash256
from edge_runtime.testing import Device, World

# Columns of `shelf` that decide something; `reason` names peers as they were called when it was written.
SHELF = (
    "status, intent, name, holder, is_mine, ended, ended_ms, class, root, is_open, deadline_ms, heads, entries, bytes"
)


class WorldChecks:
    """Watches a world from now on. `may_quarantine`: the scenario damages something on purpose."""

    def __init__(self, world: World, may_quarantine: bool = False) -> None:
        self.world = world
        self.may_quarantine = may_quarantine
        self.turns_checked = 0
        world.watchers.append(self.after_turn)

    def fail(self, device: Device, text: str) -> None:
        """Say where and when a rule broke."""
        raise AssertionError(f"seed {self.world.seed}, {self.world.now_ms} ms, {device.name}: {text}")

    # --- After each turn ------------------------------------------------------------------------------------------

    def after_turn(self, device: Device, events: Sequence[e.Event], turn: Turn) -> None:
        """Durable before effect; only the custodian works; nothing was set aside by an error."""
        self.turns_checked += 1
        if device.connection.in_transaction:
            self.fail(device, "effects are handed out while the transaction is open")
        notes = [effect for effect in turn.effects if isinstance(effect, Note)]
        let_go = {note.object: None for note in notes if "evicted" in note.fields}  # may be told on before that
        for effect in turn.effects:
            match effect:
                case StartStep():
                    self._check_release(device, effect)
                case Send():
                    self._check_said(device, effect, let_go)
                case Note(fields=fields) if "quarantined" in fields and not self.may_quarantine:
                    self.fail(device, f"an object was set aside: {fields['quarantined']}")
                case _:
                    pass

    def _check_claim(self, device: Device, start: StartStep) -> None:
        """A unit of shared work runs under this device's own durable claim, whoever is custodian."""
        _, work, unit = start.path.split("/", 2)
        live = device.node.parts.spool.find(start.object)
        assert live is not None
        claim = live.state.units.claims.get((work, unit), {}).get(device.key.public)
        stored = device.store.run(
            "SELECT count(*) FROM entries WHERE id = ?", (b"" if claim is None else claim.ref[:-2],)
        ).fetchone()[0]
        if stored != 1:
            self.fail(device, f"the unit {start.path} runs without a claim in the store")

    def _check_release(self, device: Device, start: StartStep) -> None:
        if start.path.startswith("unit/"):
            self._check_claim(device, start)
            return
        found = device.store.run(
            "SELECT count(*) FROM releases r JOIN objects o ON o.row = r.object "
            "WHERE o.id = ? AND r.path = ? AND r.attempt = ? AND r.try_number = ?",
            (start.object, start.path, start.attempt, start.try_number),
        ).fetchone()[0]
        if found != 1:
            self.fail(device, f"the step {start.path} runs, but its release is not in the store")
        live = device.node.parts.spool.find(start.object)
        assert live is not None
        if live.flights[start.path].fingerprint in live.state.invalid:
            self.fail(device, f"the step {start.path} runs again, though it was found invalid")  # P7
        view = live.state.history.view
        if view.holder != device.key.public or view.is_frozen:
            self.fail(device, f"the step {start.path} runs where custody is not")

    def _check_said(self, device: Device, send: Send, let_go: dict[bytes, None]) -> None:
        for data in send.messages:
            message = decode_message(data)
            for raw in message.entries if isinstance(message, Entries) else ():
                found = device.store.run("SELECT count(*) FROM entries WHERE id = ?", (hash256(raw),)).fetchone()[0]
                if found != 1 and message.object not in let_go:
                    self.fail(device, "an entry is told that is not in the store")

    # --- At rest --------------------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """Every stored entry is in order, every dormant object has a way out, derived tables follow from source."""
        for device in self.world.devices.values():
            if device.is_up:
                self._check_entries(device)
                self._check_suspects(device)
                self._check_ways_out(device)
                self._check_rebuild(device)

    def _check_suspects(self, device: Device) -> None:
        """No card was copied here: whoever is suspect is so by a mistake of ours."""
        for author, (object_id, *_) in suspects(device.node.parts).items():
            self.fail(device, f"suspects {author.hex()[:8]} for {object_id.hex()[:8]}")

    def _check_entries(self, device: Device) -> None:
        seen: dict[bytes, None] = {}
        for row, entry_id, raw in device.store.run("SELECT object, id, raw FROM entries ORDER BY object, n"):
            entry = verify(bytes(raw))
            if entry.id != bytes(entry_id):
                self.fail(device, f"entry {bytes(entry_id).hex()[:16]} of row {row} is not what was stored")
            if any(parent not in seen for parent in entry.parents):
                self.fail(device, f"entry {entry.id.hex()[:16]} of row {row} came before its parent")
            seen[entry.id] = None

    def _check_ways_out(self, device: Device) -> None:
        rows = device.store.run(
            "SELECT s.object, s.reason, s.due_ms, (SELECT count(*) FROM wakes w WHERE w.object = s.object) "
            "FROM shelf s WHERE s.status = 'dormant' AND s.is_mine"
        ).fetchall()
        for row, reason, due_ms, topics in rows:
            if due_ms is None and not topics:
                self.fail(device, f"object {row} sleeps ({reason}) and nothing can ever wake it")
            if due_ms is None:
                self.fail(device, f"object {row} sleeps ({reason}) without an expiry")
        for (row,) in device.store.run("SELECT object FROM shelf WHERE status = 'awake' AND is_mine").fetchall():
            self.fail(device, f"object {row} is awake, and nothing goes on with it")

    def _check_rebuild(self, device: Device) -> None:
        """A fresh process over a copy whose derived tables are empty has the same ones."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        device.connection.backup(copy)
        store = Store.open(copy)
        boot_id = f"{device.name}-{device.boots}"
        settings = Settings(
            device.name, tuple(sorted(device.plan.has)), boot=b"\x00" * 8, boot_id=boot_id, store=device.plan.store
        )
        with store.transaction():
            store.clear_derived()
            Node(
                store, device.key, device.root_keys, device.apps, device.plan.policy or Policy.default(), settings,
                bytes, device.read_moment(),
            )  # fmt: skip
        for what, query in (
            ("shelf", f"SELECT object, {SHELF} FROM shelf ORDER BY object"),
            ("due times", "SELECT object, due_ms FROM shelf WHERE status NOT IN ('attempting') ORDER BY object"),
            ("wakes", "SELECT w.topic, w.object FROM wakes w JOIN shelf s ON s.object = w.object "
                      "WHERE s.status != 'attempting' ORDER BY 1, 2"),
            ("digests", "SELECT root, sum, objects FROM digests ORDER BY root"),
            ("usage", "SELECT * FROM usage ORDER BY 1, 2"),
        ):  # fmt: skip
            if what in ("due times", "wakes") and device.store.get_meta("held", 0):
                continue  # what sleeps on a held device says so only when it is looked at; a rebuild looks at all
            had, has = (found.run(query).fetchall() for found in (device.store, store))
            if what == "wakes":  # a rebuild sees no body: it watches more, and misses nothing
                had, has = had, [pair for pair in has if pair in dict.fromkeys(had)]
            if had != has:
                different = [pair for pair in zip(had, has, strict=False) if pair[0] != pair[1]][:1]
                self.fail(device, f"{what} are not rebuilt as they were: {different or (len(had), len(has))}")
        copy.close()

    # --- After healing --------------------------------------------------------------------------------------------

    def heal(self, hours: int = 2) -> None:
        """Bring every device and link up and give them time."""
        names = list(self.world.devices)
        for device in self.world.devices.values():
            if not device.is_up:
                self.world.restart(device.name)
        for at, one in enumerate(names):
            for other in names[at + 1 :]:
                self.world.link(one, other, up=True)
        self.world.run(hours=hours)

    def after_healing(self) -> None:
        """All devices hold the same entries, fold to the same bytes, and agree on who has custody.

        An object whose lifetime is over may be missing: a device that does not know it takes it no more. So may one that
        a device let go for room, unless it is the custodian. And one whose last copies are known to be stale, by a
        signed end without the history up to it, is spread no more.
        """
        devices = list(self.world.devices.values())
        states = {device.name: _states(device) for device in devices}
        known = [device.key.public for device in devices]
        for object_id in sorted({object_id for found in states.values() for object_id in found}):
            holders = [device for device in devices if object_id in states[device.name]]
            live = states[holders[0].name][object_id]
            is_spread = any(not states[device.name][object_id].staged for device in holders)
            if is_spread and len(holders) < len(devices) and not _is_past_lifetime(holders[0], live):
                lacking = [device.name for device in devices if device not in holders and not _let_go(device, live)]
                if lacking:
                    self.fail(holders[0], f"object {object_id.hex()[:12]} did not reach {', '.join(lacking)}")
            for other in holders[1:]:
                self._check_equal(other, holders[0], live, states[other.name][object_id])
            if live.state.content.finish is None and live.state.history.view.holder not in known:
                self.fail(holders[0], f"object {object_id.hex()[:12]} has no custodian")

    def _check_equal(self, device: Device, first: Device, mine: Live, theirs: Live) -> None:
        name = mine.object.hex()[:12]
        if sorted(mine.state.history.placed) != sorted(theirs.state.history.placed):
            counts = (len(mine.state.history), len(theirs.state.history))
            self.fail(device, f"object {name}: entries differ from those of {first.name}: {counts}")
        if mine.state.envelope_bytes() != theirs.state.envelope_bytes():
            self.fail(device, f"object {name}: equal entries, another envelope state than {first.name}")
        if mine.state.content_bytes() != theirs.state.content_bytes():
            self.fail(device, f"object {name}: equal entries, another content state than {first.name}")

    def quiet(self, hours: int = 24) -> None:
        """With nothing to do, no turn is made but at an announced time."""
        self.world.run()
        causes: list[str] = []
        announced: list[int] = []

        def watch(device: Device, events: Sequence[e.Event], turn: Turn) -> None:
            causes.extend(type(event).__name__ for event in events if not isinstance(event, (e.TimeCame, e.StepEnded)))
            announced.append(self.world.now_ms)

        until_ms = self.world.now_ms + hours * 3_600_000
        self.world.watchers.append(watch)
        next_ms = self.world.next_ms()
        self.world.run(hours=hours)
        self.world.watchers.remove(watch)
        if (next_ms is None or next_ms > until_ms) and announced:
            raise AssertionError(f"seed {self.world.seed}: {len(announced)} turns though nothing was due")
        foreign = [cause for cause in causes if cause not in ("Heard", "Drained")]
        if foreign:
            raise AssertionError(f"seed {self.world.seed}: turns without an alarm: {foreign[:5]}")


def _let_go(device: Device, live: Live) -> bool:
    """Say whether a device let go what it held for others, or has ended; what it is custodian of it may not."""
    left = device.node.parts.eviction.tombstones.find(live.object)
    is_custodian = live.state.history.view.holder == device.key.public and live.state.content.finish is None
    return left is not None and left.is_gone and (left.ended is not None or not is_custodian)


def _states(device: Device) -> dict[bytes, Live]:
    found: dict[bytes, Live] = {}
    for (object_id,) in device.store.run("SELECT id FROM objects ORDER BY id").fetchall():
        live = device.node.parts.spool.find(bytes(object_id))
        assert live is not None
        found[live.object] = live
    return found


def _is_past_lifetime(device: Device, live: Live) -> bool:
    """Say whether a device that does not know the object refuses it now: by its lifetime.

    A node's clock stands where its last turn was: what has passed since then counts, too.
    """
    parts = device.node.parts
    since_ms = device.read_moment().boot_ms - parts.timeline.moment.boot_ms
    return parts.spool.age_ms(live) + since_ms >= live.state.history.created.lifetime_ms
