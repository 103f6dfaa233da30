"""What people and programs ask that changes something: each either happens whole, or is refused with what to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.errors import Exit, PeerError, UsageError
from ..base.limits import ARGUMENTS_BYTES_MAX, INPUTS_MAX, LIFETIME_MS_DEFAULT, SIGNAL_BYTES_MAX, SIGNALS_EACH_MAX
from ..judge.fact_names import USER
from ..objects import bodies as b
from ..objects.codec import decode_value, encode_value
from ..objects.gated import UNKNOWN_PREFIX
from ..objects.grants import ROLES, Role
from ..objects.kinds import Kind
from ..objects.records import make
from ..objects.refining import LEAVE_PREFIX
from ..objects.units import RESULT_PREFIX
from . import commands as c
from .answers import Answers
from .custody import Custody
from .effects import MembershipChanged, Note, Stage
from .eviction import check_name
from .lookup import find_device, find_object
from .parts import Parts
from .quarantine import check_quarantine
from .renewals import note_grant
from .spool import Live
from .surroundings import say_radio, wake_readers


class Requests:
    """Commands that change the node's state. Each method returns the answer's value."""

    def __init__(self, parts: Parts, custody: Custody, answers: Answers, go_on: Callable[[Live], None]) -> None:
        self.parts = parts
        self.custody = custody
        self.answers = answers
        self.go_on = go_on

    # --- Objects --------------------------------------------------------------------------------------------------

    def submit(self, command: c.Submit) -> Live:
        """Make an object, or return the one that this device made under the same name with the same arguments."""
        arguments = _arguments_of(command)
        self._check_intent(command, arguments)
        if command.name:
            had = self._made_before(command, arguments)
            if had is not None:
                return had
            check_name(self.parts.eviction, command.name)
            check_quarantine(self.parts, command.name)
        self.parts.room.check()
        root, _, _ = self.parts.members.current_fleet()
        moment = self.parts.timeline.moment
        clear = b.CreatedClear(
            command.priority, command.lifetime_ms or LIFETIME_MS_DEFAULT, (), (), tuple(sorted(command.needs)),
            command.recovery_ms, (), (), (root,), moment.wall_ms, int(moment.trust),
        )  # fmt: skip
        sealed = b.CreatedSealed(
            command.intent, arguments, command.name, b"", "", 0, command.attempts_max, tuple(command.labels),
            self._degradations(command.intent, arguments), command.bytes_max, command.energy_max_mj,
            rights=tuple(sorted(command.rights.items())),
        )  # fmt: skip
        live = self.parts.pen.begin(clear, sealed)
        self.parts.note(Stage.ENTERED, live, intent=command.intent)
        self.go_on(live)
        return live

    def _degradations(self, intent: str, arguments: bytes) -> tuple[tuple[str, int], ...]:
        """Return what may be asked less of: as the app here declares it; without the app the general rule holds."""
        found = self.parts.intents.get(intent)
        return () if found is None else found[1].degradations(arguments)

    def _check_intent(self, command: c.Submit, arguments: bytes) -> None:
        found = self.parts.intents.get(command.intent)
        if found is not None:
            found[1].check(arguments)
            return
        if command.needs or command.anyway:
            return
        known = {name: None for name in self.parts.intents}
        for advert in self.parts.adverts.others():
            known.update({name: None for name, _ in advert.intents})
        if command.intent in known:
            return
        from difflib import get_close_matches  # needed here alone

        near = get_close_matches(command.intent, list(known), n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(
            f"No app here and no device known here offers the intent {command.intent!r}.{hint} "
            "Load an app with `run --app`, or submit with --needs or --anyway for a device not met yet.",
            Exit.REFUSED,
            nearest=near,
        )

    def _made_before(self, command: c.Submit, arguments: bytes) -> Live | None:
        rows = self.parts.store.run("SELECT object FROM shelf WHERE name = ?", (command.name,)).fetchall()
        for (row,) in rows:
            live = self.parts.spool.find_row(row)
            if live is None:
                continue
            history, content = live.state.history, live.state.content
            if history.placed[history.object].entry.author != self.parts.device:
                continue
            is_same = (content.intent, content.arguments) == (command.intent, arguments)
            if not is_same or content.rights.granted != command.rights:
                raise UsageError(
                    f"The name {command.name!r} is taken by another submission ({live.object.hex()[:12]}, intent "
                    f"{content.intent}) with other arguments or rights. Choose another name; nothing was changed.",
                    Exit.REFUSED,
                    object=live.object.hex(),
                )
            return live
        return None

    def signal(self, command: c.Signal) -> dict[str, Any]:
        """Append a named value to an object."""
        live = find_object(self.parts, command.object)
        self._check_open(live, "signalled")
        if sum(not item.name.startswith(RESULT_PREFIX) for item in live.state.inputs) >= INPUTS_MAX:
            raise UsageError(
                f"The object holds {INPUTS_MAX} signals, those taken included: submit another for what follows.",
                Exit.REFUSED,
            )
        if command.name.startswith(RESULT_PREFIX):
            raise UsageError(
                f"Signals named {RESULT_PREFIX}… are the results of units, which a device tells by doing one. Choose "
                "another name.",
                Exit.REFUSED,
            )
        self._check_share(live)
        self._check_leave(live, command.name)
        value = _value_of(command.value, SIGNAL_BYTES_MAX, "signal's value")
        self.parts.pen.write_input(live, make(Kind.SIGNALLED, b.Empty(), b.SignalledSealed(command.name, value)))
        self.go_on(live)
        return self.answers.reached(live)

    def _check_share(self, live: Live) -> None:
        """Refuse a signal beyond this device's share: no body would take it."""
        own, history = self.parts.device, live.state.history
        said = sum(item.author == own and not item.is_own and not item.unit for item in live.state.inputs)
        if said >= SIGNALS_EACH_MAX and own not in (history.view.holder, history.placed[history.object].entry.author):
            raise UsageError(
                f"This device has sent the object {SIGNALS_EACH_MAX} signals, as many as one may that neither made it "
                "nor has custody: send more from the device that has, or submit another.",
                Exit.REFUSED,
            )

    def _check_leave(self, live: Live, name: str) -> None:
        """Refuse leave to widen an intent from anybody but its maker and operators: the fold would not count it."""
        history = live.state.history
        found = self.parts.members.grant_under(history.created.roots)
        is_maker = history.placed[history.object].entry.author == self.parts.device
        is_operator = found is not None and Role.OPERATOR in found[1]
        if name.startswith(UNKNOWN_PREFIX) and not is_operator:
            raise UsageError("Whether something happened is said by an operator: send the signal there.", Exit.REFUSED)
        if name.startswith(LEAVE_PREFIX) and not is_maker and not is_operator:
            raise UsageError(
                "Leave to widen an intent is given by the device that made the object, or by an operator: send the "
                "signal there.",
                Exit.REFUSED,
            )

    def cancel(self, command: c.Cancel) -> dict[str, Any]:
        """Ask an object to end; its body is told, and may clean up."""
        live = find_object(self.parts, command.object)
        self._check_open(live, "cancelled")
        self.parts.pen.write_input(live, make(Kind.CANCEL_REQUESTED, b.Empty(), b.CancelSealed(command.reason)))
        self.go_on(live)
        return self.answers.reached(live)

    def hold(self, command: c.Hold | c.Release, what: int) -> dict[str, Any]:
        """Hold or release one object, or this device."""
        if not command.object:
            self.parts.store.set_meta("held", int(what == 0))
            if what == 1:
                self.parts.agenda.wake_topic("held")
            return {"ok": True, "reached": True, "custodian": self.parts.device.hex(), "last_contact_ms": None}
        live = find_object(self.parts, command.object)
        self._check_open(live, "held" if what == 0 else "released")
        self.parts.pen.write_input(live, make(Kind.HOLDING, b.HoldingClear(what)))
        self.go_on(live)
        return self.answers.reached(live)

    def resume(self, command: c.Resume) -> dict[str, Any]:
        """Take a parked object back."""
        live = find_object(self.parts, command.object)
        self._check_open(live, "resumed")
        self.parts.pen.write_input(live, make(Kind.HOLDING, b.HoldingClear(2)))
        self.go_on(live)
        return self.answers.reached(live)

    def claim(self, command: c.Claim) -> dict[str, Any]:
        """Take custody of an object whose custodian is lost."""
        live = find_object(self.parts, command.object)
        self._check_open(live, "claimed")
        created, view = live.state.history.created, live.state.history.view
        if view.holder != self.parts.device or view.is_frozen:
            found = self.parts.members.grant_under(created.roots)
            if found is None or (Role.OPERATOR not in found[1] and view.holder != self.parts.device):
                raise UsageError("Only an operator of the object's fleet may claim it.", Exit.REFUSED)
            if view.holder != self.parts.device and not live.state.history.may_hold(self.parts.device):
                raise UsageError("The object's terms do not let this device hold it: claim it on one that they name.",
                                 Exit.REFUSED)  # fmt: skip
            if view.holder != self.parts.device:
                self.parts.room.check()
            self.custody.claim(live, "by an operator", self.parts.spool.age_ms(live))
        self.go_on(live)
        return self.answers.reached(live)

    def hand(self, command: c.Hand) -> dict[str, Any]:
        """Offer one object, or all that this device may turn, to a device."""
        to = find_device(self.parts, command.to)
        if to == self.parts.device:
            raise UsageError("That is this device.")
        if command.object:
            lives = [find_object(self.parts, command.object)]
            self._check_hand(lives[0])
            if not lives[0].state.history.may_hold(to):
                raise UsageError("The object's terms do not let that device hold it.", Exit.REFUSED)
        else:
            rows = self.parts.store.run("SELECT object FROM shelf WHERE is_mine = 1 AND ended IS NULL").fetchall()
            found = [self.parts.spool.find_row(row) for (row,) in rows]
            lives = [live for live in found if live is not None and not live.flights]
            lives = [live for live in lives if not live.state.history.view.is_frozen]
            lives = [live for live in lives if live.state.history.may_hold(to)]
        for live in lives:
            age_ms = self.parts.spool.age_ms(live)
            self.custody.offer_to(live, to, "handed over by an operator", age_ms)
            self.parts.pen.write_turn(live, age_ms)
            self.go_on(live)
        answer = self.answers.reached(lives[0]) if len(lives) == 1 else {"ok": True}
        return {**answer, "offered": len(lives), "to": to.hex()}

    def _check_hand(self, live: Live) -> None:
        self._check_open(live, "handed over")
        view = live.state.history.view
        if view.holder != self.parts.device:
            name = self.parts.adverts.name_of(view.holder)
            raise UsageError(f"Custody is with {name}: run `hand` there.", Exit.REFUSED)
        if view.is_frozen:
            raise UsageError("The object is offered already; it is handed once.", Exit.REFUSED)
        if live.flights:
            raise UsageError("A step of it is running here: wait for it, or cancel the object.", Exit.REFUSED)

    def _check_open(self, live: Live, what: str) -> None:
        finish = live.state.content.finish
        if finish is not None:
            raise UsageError(
                f"The object has ended ({finish.end.name.lower()}): it cannot be {what} any more.", Exit.REFUSED
            )

    # --- The device -----------------------------------------------------------------------------------------------

    def set_fact(self, command: c.FactSet) -> dict[str, Any]:
        """Set a fact by hand."""
        life_ms = self.parts.timeline.life_ms
        is_change = self.parts.facts.put(command.name, command.value, USER, command.max_age_ms, life_ms)
        wake_readers(self.parts, command.name, is_change)
        return {"ok": True}

    def raise_event(self, command: c.Raise) -> dict[str, Any]:
        """Wake what waits for an event of this device."""
        return {"ok": True, "woken": self.parts.agenda.happen(f"event:{command.name}", self.parts.timeline.life_ms)}

    def initialise(self, command: c.Initialise) -> dict[str, Any]:
        """Name the device."""
        if command.name:
            self.parts.store.set_meta("name", command.name)
            self.parts.effects.append(MembershipChanged())
        return {"device": self.parts.device.hex(), "name": self.parts.members.name}

    def issue_grant(self, command: c.Grant) -> dict[str, Any]:
        """Sign a membership for another device."""
        unknown = [role for role in command.roles if role not in ROLES]
        if unknown or not command.roles:
            raise UsageError(f"Roles are {', '.join(ROLES)}; {unknown[0] if unknown else 'none'!r} is none of them.")
        device, replaces = _device_id(command.device), b""
        if command.replaces:
            replaces = find_device(self.parts, command.replaces)
        roles = tuple(role for role in Role if role.value in command.roles)
        grant, file = self.parts.members.issue(device, roles, replaces, self.parts.wall_ms)
        return {
            "grant": grant.id.hex(), "roles": [role.value for role in roles], "fleet": file.root.hex(),
            "file": file.to_bytes().hex(),
        }  # fmt: skip

    def join(self, command: c.Join) -> dict[str, Any]:
        """Become a member of a fleet."""
        try:
            data = bytes.fromhex(command.file)
        except ValueError:
            raise UsageError("The membership is not hex.") from None
        root, name, grant = self.parts.members.join(data, self.parts.timeline.moment)
        self.parts.agenda.wake_topic("fact:policy.version")  # what an expired grant refused, a new one may permit
        self.parts.effects.append(MembershipChanged())
        note_grant(self.parts)
        self.parts.effects.append(Note(Stage.ENTERED, b"", {"joined": name}, is_info=True))
        return {
            "grant": grant.id.hex(), "roles": [role.value for role in grant.roles], "fleet": root.hex(), "name": name,
        }  # fmt: skip

    def switch_radio(self, command: c.Radio) -> dict[str, Any]:
        """Transmit nothing at all, or speak again."""
        if self.parts.members.is_radio_on != command.on:  # saying it again may not end contacts
            self.parts.store.set_meta("radio", int(command.on))
            self.parts.effects.append(MembershipChanged())
            say_radio(self.parts)
        return {"ok": True, "radio": "on" if command.on else "off"}


def _arguments_of(command: c.Submit) -> bytes:
    if not command.arguments_cbor:
        return _value_of(command.arguments, ARGUMENTS_BYTES_MAX, "arguments")
    try:
        data = bytes.fromhex(command.arguments_cbor)
    except ValueError:
        raise UsageError("arguments_cbor is not hex.") from None
    if len(data) > ARGUMENTS_BYTES_MAX:
        raise UsageError(f"The arguments are {len(data)} bytes; at most {ARGUMENTS_BYTES_MAX} are kept.")
    try:
        decode_value(data)
    except PeerError as error:
        raise UsageError(f"arguments_cbor is not the canonical CBOR of a value: {error}.") from None
    return data


def _value_of(value: Any, bytes_max: int, what: str) -> bytes:
    try:
        data = encode_value(value)
    except ValueError as error:
        raise UsageError(f"The {what} cannot be recorded: {error}.") from None
    if len(data) > bytes_max:
        raise UsageError(f"The {what} takes {len(data)} bytes; at most {bytes_max} are kept. Pass a path instead.")
    return data


def _device_id(text: str) -> bytes:
    try:
        device = bytes.fromhex(text)
    except ValueError:
        device = b""
    if len(device) != 32:
        raise UsageError("A device id is 64 hex digits: `edge-runtime init --json` prints it on that device.")
    return device
