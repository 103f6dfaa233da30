"""The state of one object, folded from its history: pure, and independent of the order of arrival.

*Envelope state* (custody, class, lifetime, end) comes from clear fields and is byte-equal on all devices with the same
entries; *content state* is byte-equal among those that can read the sealed parts. The ruling chain is read in chain
order, inputs as a set. A turn that extends the chain is applied in O(1); another branch that rules means one refold.

Source: `docs/format.md` (State); design after event sourcing, with the order taken from hashes and never from clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import bodies as b
from .attempts import Spending, StepMemory
from .children import DelegatedSealed, Delegation, Origin
from .codec import encode
from .content import Content, Denial, Dormancy, Finish, Input
from .entries import Entry
from .grants import Role
from .history import NOBODY, History, Placed
from .inputs import Inputs
from .intents import lineage_by_name, lineage_of_child
from .kinds import Kind
from .loops import loops_after
from .polled import after
from .records import SHAPES, Record, read_clear, read_sealed
from .refining import Asked, leave_name
from .rights import Rights
from .script import Resumed, Resumption, Script

TRUE = b"\xf5"  # canonical CBOR of true


class ObjectState(Inputs):
    """History and folded state of one object on this device; what was put into it stands in `Inputs`.

    Attributes:
        history: all entries, placed.
        content: of the ruling chain.
        invalid: fingerprints of calls that were found invalid, on whichever branch: they never run again.
    """

    def __init__(self, first: Entry, roles: Sequence[Role], void_from: Mapping[bytes, int] = NOBODY) -> None:
        """Fold an object's first entry; see `History`."""
        self.history = History(first, roles, void_from)
        self.object = first.id
        self.content = Content()
        super().__init__()
        self.invalid: dict[bytes, None] = {}
        self._refold()

    @property
    def is_resumed(self) -> bool:
        """Whether an operator's `resume` came after the newest ruling turn: no turn has heard of it yet."""
        return self.resumed_height > self.history.placed[self.history.view.tip].height

    def add(self, entry: Entry, roles: Sequence[Role]) -> Placed:
        """Place an entry whose parents are here, and bring the state up to date."""
        placed, grows = self.history.add(entry, roles)
        if placed.void:
            return placed  # it cannot change what rules: the view of its past is part of the whole already
        if entry.is_input:
            maker = self.history.placed[self.object].entry.author
            self.take_input(entry, roles, maker, entry.author in (placed.view.holder, maker))
            if self.content.awaited and any(ref[:-2] == entry.id for ref in self.content.awaited):
                self._refold()
        elif not grows:
            self._refold()
        elif self.history.view.tip == entry.id:
            self._apply_turn(entry)
        if not entry.is_input and self.history.view.tip != entry.id:
            self._note_invalid(entry)  # a branch that does not rule has found out all the same
        return placed

    def _note_invalid(self, entry: Entry) -> None:
        for record in entry.records:
            body = read_sealed(record) if record.kind == Kind.EXECUTED else None
            if isinstance(body, b.ExecutedSealed) and body.outcome == b.OUTCOME_INVALID:
                self.invalid[body.fingerprint] = None

    def untaken(self) -> list[Input]:
        """Return the signals that no body has taken on the ruling chain, within each device's share."""
        return [item for item in self.takeable() if item.ref not in self.content.taken]

    def cancel_untaken(self) -> bytes | None:
        """Return the lowest cancel request that the body has not been told of, if none was taken at all."""
        taken = self.content.taken
        return None if not self.cancels or any(ref in taken for ref in self.cancels) else self.cancels[0]

    def envelope_bytes(self) -> bytes:
        """Return the envelope state: equal bytes on all devices with the same entries."""
        view, created = self.history.view, self.history.created
        return encode(
            [
                self.object, view.epoch, view.act, view.holder, view.tip, view.depth, view.number, view.is_frozen,
                view.has_ended, created.priority, created.lifetime_ms, list(self.history.heads), len(self.history),
                sorted([placed.entry.id, placed.void] for placed in self.history.placed.values() if placed.void),
            ]
        )  # fmt: skip

    def content_bytes(self) -> bytes:
        """Return the content state: equal bytes on all devices with the same entries that can read them."""
        c, script = self.content, self.content.script
        return encode(
            [
                c.intent, c.arguments, c.asked.now, list(c.asked.past), c.name, c.lineage, script.run,
                [[r.what.value, r.path, r.age_ms, r.value, r.outcome] for r in script.resumptions],
                script.learned, sorted(c.taken), c.published, c.attempts, c.executed,
                None if c.finish is None else [int(c.finish.end), c.finish.value, c.finish.error],
                [] if c.dormancy is None else [c.dormancy.trigger, c.dormancy.reason, c.dormancy.expires_age_ms],
                [[i.ref, i.name, i.value] for i in self.inputs], list(self.cancels), sorted(self.invalid),
                self.units.to_plain(),
                {path: [[item.slot, item.child] for item in made.slots] for path, made in c.children.items()},
                [[item.ref, item.about, item.subject, item.binds] for item in self.incapacities.all()],
                [[i.ref, i.topic, i.proposal, i.confidence, i.based_on, i.expires_age_ms] for i in self.advice],
                {probe: [m.path, int(m.result), m.value, m.cursor, m.polls, m.missed] for probe, m in c.polls.items()},
                [c.rights.left, c.rights.spent, c.rights.offered, c.rights.frozen, c.rights.delegated],
                list(c.gates.standing),
                {path: item.attempt for path, item in c.gates.unknown.items()}, list(c.gates.known),
            ]
        )  # fmt: skip

    def reread(self) -> None:
        """Fold the ruling chain anew: what a turn put into the content and then did not write is gone."""
        self._refold()

    def _refold(self) -> None:
        self.content = Content()
        for entry in self.history.chain():
            if not self.history.placed[entry.id].void:  # the first one may be
                self._apply_turn(entry)

    def _apply_turn(self, entry: Entry) -> None:
        c = self.content
        gap_ms, bodies = entry.age_ms - c.last_age_ms, list[b.Body]()
        c.last_age_ms, c.last_wall_ms = entry.age_ms, entry.wall_ms
        c.dormancy = None
        for record in entry.records:
            if record.kind not in SHAPES:
                c.is_opaque = True
            elif not self._apply_custody(record, entry):
                body = read_sealed(record)
                if body is None:
                    c.is_withheld = True
                else:
                    bodies.append(body)
                    self._apply_body(body, read_clear(record), entry)
        is_custody = len(bodies) < len(entry.records)  # or not readable here
        c.loops = 0 if is_custody else loops_after(c.loops, gap_ms, bodies)

    def _apply_custody(self, record: Record, entry: Entry) -> bool:
        """Apply a custody record; say whether it was one (they have no sealed part)."""
        match record.kind:
            case Kind.OFFERED:
                offered = read_clear(record)
                assert isinstance(offered, b.OfferedClear)
                self.content.offered_to.append(offered.to)
                self.content.offer_ages[offered.to] = entry.age_ms
                self.content.rights.offer(offered.rights)
            case Kind.ACCEPTED:
                self.content.rights.accept()
                self.content.offered_to.clear()
                self.content.lost.pop(entry.author, None)
                self.content.holder = entry.author
            case Kind.CLAIMED:
                self.content.rights.claim()
                self.content.gates.claim()
                # Who took its own offer back has lost nobody.
                if self.content.holder != entry.author:
                    self.content.lost[self.content.holder] = None
                self.content.lost.pop(entry.author, None)
                self.content.holder = entry.author
            case _:
                return False
        return True

    def _apply_body(self, body: b.Body, clear: b.Body | None, entry: Entry) -> None:
        c = self.content
        match body:
            case b.CreatedSealed():
                self._apply_created(body, entry)
            case b.AttemptedSealed():
                c.rights.spend(body)
                c.gates.attempt(body)
            case b.ExecutedSealed():
                self._apply_executed(body, entry)
            case b.TookSealed():
                self._apply_took(body, entry)
            case b.LearnedSealed():
                c.script.learned[body.path] = body.value
            case b.PublishedSealed():
                c.script.published[body.path] = body.name
                c.published[body.name] = body.value
            case b.DormantSealed():
                assert isinstance(clear, b.DormantClear)
                c.dormancy = Dormancy(body.trigger, body.reason, clear.expires_age_ms, entry.age_ms)
            case b.PolledSealed() if body.result > b.POLL_RESULT_LAST:
                c.is_opaque = True
            case b.PolledSealed():
                c.polls[body.probe] = after(c.polls.get(body.probe), body, entry.age_ms)
            case b.DeniedSealed() if c.gates.withhold(body.path) and not body.is_final:
                pass  # of that one try
            case b.DeniedSealed() if body.is_final:
                c.steps.pop(body.path, None)
                self._resume(entry, Resumed.STEP, body.path, outcome=6, error=body.rule, error_type="Refused")
            case b.RefinedSealed():
                self._apply_refined(body)
            case DelegatedSealed():
                c.script.learned[body.path] = body.asked()
                short = tuple(item.slot for item in body.slots if not c.rights.delegate(item.rights))
                c.children[body.path] = Delegation(body.slots, entry.age_ms, entry.author, short)
            case b.DeniedSealed():
                said = c.denials.setdefault(body.path, [])
                said[:] = [
                    item for item in said
                    if (item.policy, item.device) == (body.policy, entry.author) and item.rule != body.rule
                ]  # fmt: skip
                said.append(Denial(body.rule, body.policy, body.waits_for, entry.author, entry.age_ms))
                c.denied_by[entry.author] = entry.age_ms
            case b.AgainSealed():
                c.script = Script(body.run, body.state, entry.age_ms, entry.wall_ms, c.asked.copy())
                c.steps.clear()
                c.gates.begin_run()
                c.denials.clear()
                c.polls = {probe: memory.closed() for probe, memory in c.polls.items()}
            case b.TerminatedSealed():
                assert isinstance(clear, b.TerminatedClear)
                c.finish = Finish(
                    b.End(clear.end), body.value, body.error, body.error_type, entry.age_ms, entry.wall_ms
                )
            case _:
                pass  # reentered: for people, not for replay

    def _apply_created(self, body: b.CreatedSealed, entry: Entry) -> None:
        c = self.content
        c.intent, c.arguments, c.name = body.intent, body.arguments, body.name
        c.spending = Spending(body.attempts_max, body.bytes_max, body.energy_max_mj)
        c.labels, c.rights = body.labels, Rights.begin(body.rights)
        if body.parent:
            c.lineage = lineage_of_child(body.parent, body.path, body.slot)
            c.origin = Origin(body.parent, body.path, body.slot, body.depth)
        elif body.name:
            c.lineage = lineage_by_name(self.history.created.roots[0], body.name)
        else:
            c.lineage = entry.id
        c.holder = entry.author
        c.asked = Asked.begin(body.intent, body.arguments, body.degrades)
        c.script = Script(0, body.arguments, entry.age_ms, entry.wall_ms, c.asked.copy())

    def _apply_refined(self, body: b.RefinedSealed) -> None:
        """Let a refinement count that narrows, or that the object's maker or an operator allowed; else it is void."""
        c, name = self.content, leave_name(body.after)
        is_allowed = any(
            item.name == name and item.value == TRUE and item.ref in c.taken for item in self.inputs
        )  # fmt: skip
        if c.asked.take(body, is_allowed):
            c.script.learned[body.path] = body.arguments

    def _apply_executed(self, body: b.ExecutedSealed, entry: Entry) -> None:
        c = self.content
        c.attempts += 1
        c.denials.pop(body.path, None)
        c.denied_by.pop(entry.author, None)
        if body.outcome > b.OUTCOME_LAST:
            c.is_opaque = True
            return
        c.outcomes[body.outcome] = c.outcomes.get(body.outcome, 0) + 1
        c.gates.end(body, entry.height)
        c.spending.take(body, entry.age_ms)
        if body.outcome == b.OUTCOME_INVALID:
            self.invalid[body.fingerprint] = None
        if body.is_final:
            c.executed += 1
            c.steps.pop(body.path, None)
            self._resume(
                entry, Resumed.STEP, body.path, value=body.value, fingerprint=body.fingerprint,
                outcome=body.outcome, error=body.error, error_type=body.error_type,
            )  # fmt: skip
            return
        c.steps.setdefault(body.path, StepMemory(body.attempt)).take(body, entry.author, entry.age_ms)

    def _apply_took(self, body: b.TookSealed, entry: Entry) -> None:
        c = self.content
        match b.Took(body.what):
            case b.Took.INPUT | b.Took.ANSWER:
                c.taken[body.ref] = None
                found = next((item for item in self.inputs if item.ref == body.ref), None)
                if found is None:
                    c.awaited.append(body.ref)
                    c.is_withheld = True
                if body.what == b.Took.INPUT:
                    self._resume(entry, Resumed.INPUT, body.path, value=b"\xf6" if found is None else found.value)
                elif found is not None:
                    happened = c.gates.answer(body.path, found.name, found.value, found.height)
                    if happened is not None:
                        c.executed += 1
                        c.steps.pop(body.path, None)
                        self._resume(entry, Resumed.STEP, body.path, fingerprint=happened.fingerprint)
            case b.Took.CANCEL:
                c.taken[body.ref] = None
                self._resume(entry, Resumed.CANCEL, "")
            case b.Took.TIMER:
                self._resume(entry, Resumed.TIMER, body.path)
            case b.Took.CONDITION:
                self._resume(entry, Resumed.CONDITION, body.path)
            case b.Took.OBJECT:
                self._resume(entry, Resumed.OBJECT, body.path)
            case b.Took.POLL:
                probe = body.ref.decode("utf-8", "replace")
                memory = c.polls.get(probe)
                if memory is not None:
                    c.polls[probe] = memory.closed()
                self._resume(entry, Resumed.POLL, body.path, value=b"\xf6" if memory is None else memory.value)

    def _resume(
        self, entry: Entry, what: Resumed, path: str, value: bytes = b"", fingerprint: bytes = b"",
        outcome: int = 0, error: str = "", error_type: str = "",
    ) -> None:  # fmt: skip
        self.content.script.resumptions.append(
            Resumption(
                what, path, entry.age_ms, entry.wall_ms, value, fingerprint, outcome, error, error_type
            )
        )
