"""What `show`, `ls`, `status` and the like say: plain JSON values, read from the store and the states."""

from __future__ import annotations

from typing import Any

from ..base.errors import PeerError
from ..base.limits import CANDIDATES_SHOWN_MAX, DROPPED_SHOWN_MAX
from ..judge.outcomes import Outcome
from ..objects import bodies as b
from ..objects.codec import decode_value
from ..objects.entries import Entry
from ..objects.kinds import Kind
from ..objects.records import Record, read_clear, read_sealed
from . import commands as c
from .contacts import Contacts
from .dates import odd_date
from .delegating import family_rows
from .fading import Presence
from .intake import Intake
from .parts import Parts
from .quarantine import Quarantine
from .flags import flag_of, flags_of
from .membership import QUARANTINE
from .scrubbing import Scrub
from .shelving import trigger_of
from .spool import Live
from .twins import suspects
from .usage import Kind as Use
from .waits import describe_waits


STATUSES = ("awake", "dormant", "attempting", "ended")
# One pass over the shelf: GROUP BY would sort it, three times as long with 100,000 objects.
COUNTS = ", ".join(f"count(*) FILTER (WHERE status = '{name}')" for name in STATUSES)


class Answers:
    """Read-only answers. Ids are hex; times are ms; ages are of the object."""

    def __init__(
        self, parts: Parts, contacts: Contacts, intake: Intake, quarantine: Quarantine, scrub: Scrub
    ) -> None:  # fmt: skip
        self.parts = parts
        self.contacts = contacts
        self.intake = intake
        self.quarantine = quarantine
        self.scrub = scrub

    def show(self, live: Live) -> dict[str, Any]:
        """All about one object."""
        state, content, history = live.state, live.state.content, live.state.history
        view, finish, dormancy = history.view, content.finish, content.dormancy
        told = finish or self.parts.eviction.tombstones.staged_end(live)
        age_ms = self.parts.spool.age_ms(live)
        shelf = self.parts.store.run(
            "SELECT status, reason, due_ms FROM shelf WHERE object = ?", (live.row,)
        ).fetchone() or ("awake", "", None)
        expires_ms = history.created.lifetime_ms if dormancy is None else dormancy.expires_age_ms
        trigger = None if dormancy is None or finish is not None else trigger_of(dormancy.trigger)
        return {
            "object": live.object.hex(),
            "name": content.name or None,
            "intent": content.intent,
            "status": shelf[0],
            "end": self._end_of(live),
            "result": None if told is None or not told.value else readable(told.value),
            "error": None if told is None or not told.error else told.error,
            "published": {name: readable(value) for name, value in sorted(content.published.items())},
            "custodian": view.holder.hex(),
            "custodian_name": self.parts.adverts.name_of(view.holder),
            "epoch": view.epoch,
            "reason": shelf[1] or None,
            "waits": [] if trigger is None else describe_waits(trigger),
            "steps": [
                {"path": path, "tries": memory.tries, "outcome": Outcome(memory.outcome).name.lower(),
                 "error": memory.error} for path, memory in sorted(content.steps.items())
            ],
            "attempts": content.attempts,
            "rights": content.rights.rows(),
            "refined": [
                {"from": item.before.hex(), "to": item.after.hex(), "reason": item.reason}
                for item in content.asked.refined
            ],
            **family_rows(self.parts, live),
            "dropped": content.asked.dropped()[:DROPPED_SHOWN_MAX],
            "polls": self.parts.polls.rows(live, age_ms),
            "expires_in_ms": None if finish is not None else max(0, expires_ms - age_ms),
            "lifetime_ms": history.created.lifetime_ms,
            "age_ms": age_ms,
            "age_is_exact": live.age_is_exact,
            "priority": history.created.priority,
            "entries": len(history),
            "bytes": history.bytes_size,
            "heads": [head.hex() for head in history.heads],
            "as_of_ms": content.last_wall_ms,
            "heard_from": self.parts.adverts.name_of(history.placed[view.tip].entry.author),
            "held_by": self.held_by(live),
            "acted_before_revocation_known": flags_of(self.parts, live),
            "signals_waiting": [item.name for item in state.untaken()],
        }  # fmt: skip

    def _end_of(self, live: Live) -> str | None:
        """Return the word for an object's end, also where only a tombstone told it."""
        end = self.parts.spool.end_of(live)[0]
        return None if end is None else b.End(end).name.lower()

    def held_by(self, live: Live) -> list[str]:
        """Return the devices that are known to hold the object: authors, and peers in contact that told so."""
        found = {placed.entry.author.hex(): None for placed in live.state.history.placed.values()}
        found[self.parts.device.hex()] = None
        for contact in self.contacts.by_number.values():
            if live.object in contact.known:
                found[contact.device.hex()] = None
        return sorted(found)

    def reached(self, live: Live) -> dict[str, Any]:
        """Say whether the custodian has heard what was just appended here."""
        holder = live.state.history.view.holder
        last = self.parts.store.run(
            "SELECT max(coalesce(end_ms, ?)) FROM contacts WHERE device = ?", (self.parts.timeline.life_ms, holder)
        ).fetchone()[0]
        is_here = holder == self.parts.device
        since_ms = None if last is None or is_here else self.parts.timeline.life_ms - int(last)
        return {
            "ok": True, "object": live.object.hex(), "reached": is_here, "custodian": holder.hex(),
            "custodian_name": self.parts.adverts.name_of(holder), "last_contact_ms": since_ms,
        }  # fmt: skip

    def rows(self, command: c.List) -> list[dict[str, Any]]:
        """Rows of objects, newest first; `by reason` counts instead."""
        where, values = ("WHERE s.status = ?", [command.status]) if command.status else ("", [])
        if command.by == "reason":
            found = self.parts.store.run(
                f"SELECT s.status, s.reason, count(*) FROM shelf s {where} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ?",
                (*values, command.most),
            )
            return [{"status": row[0], "reason": row[1] or None, "objects": row[2]} for row in found]
        found = self.parts.store.run(
            "SELECT o.id, s.name, s.intent, s.status, s.ended, s.reason, s.holder, s.entries, s.due_ms FROM shelf s "
            f"JOIN objects o ON o.row = s.object {where} ORDER BY s.object DESC LIMIT ?",
            (*values, command.most),
        )
        life_ms = self.parts.timeline.life_ms
        return [
            {
                "object": bytes(row[0]).hex(), "name": row[1] or None, "intent": row[2], "status": row[3],
                "end": None if row[4] is None else b.End(row[4]).name.lower(), "reason": row[5] or None,
                "custodian": bytes(row[6]).hex(), "custodian_name": self.parts.adverts.name_of(bytes(row[6])),
                "entries": row[7], "due_in_ms": None if row[8] is None else max(0, row[8] - life_ms),
            }
            for row in found
        ]  # fmt: skip

    def trace(self, live: Live) -> list[dict[str, Any]]:
        """Every record of an object in causal order."""
        return [row for placed in live.state.history.placed.values() for row in self.trace_rows(live, placed.entry)]

    def trace_rows(self, live: Live, entry: Entry) -> list[dict[str, Any]]:
        """The rows of one entry."""
        void = live.state.history.placed[entry.id].void
        flag = flag_of(self.parts, live, entry)
        odd = odd_date(live.state.history, entry, self.parts.timeline.moment)
        return [
            {
                "entry": entry.id.hex(), "at_ms": entry.wall_ms, "age_ms": entry.age_ms,
                "device": entry.author.hex(), "device_name": self.parts.adverts.name_of(entry.author),
                "stage": stage_of(record.kind), "kind": kind_name(record.kind), "epoch": entry.epoch,
                "sequence": entry.sequence, "void": void or None, "body": body_of(record),
                "acted_before_revocation_known": flag, "odd_date": odd,
            }
            for record in entry.records
        ]  # fmt: skip

    # --- The device -----------------------------------------------------------------------------------------------

    def facts(self) -> list[dict[str, Any]]:
        """All facts."""
        life_ms = self.parts.timeline.life_ms
        return [
            {"name": fact.name, "value": fact.value, "age_ms": life_ms - fact.set_ms, "origin": fact.origin,
             "max_age_ms": fact.max_age_ms}
            for fact in self.parts.facts.all()
        ]  # fmt: skip

    def peers(self) -> list[dict[str, Any]]:
        """All devices known, those in contact first."""
        life_ms = self.parts.timeline.life_ms
        by_device = {contact.device: contact for contact in self.contacts.by_number.values()}
        rows: list[dict[str, Any]] = []
        twins = suspects(self.parts)
        for advert in self.parts.adverts.others():
            contact = by_device.pop(advert.device, None)
            heard_ms = self.parts.adverts.by_device[advert.device][2]
            rows.append(
                {"device": advert.device.hex(), "name": advert.name or None, "connected": contact is not None,
                 "state": (Presence.AWAY if contact is None else contact.pulse.presence(life_ms)).value,
                 "address": None if contact is None else contact.address,
                 "capabilities": list(advert.capabilities), "last_ms": 0 if contact else life_ms - heard_ms,
                 "suspect": advert.device in twins}
            )  # fmt: skip
        rows.extend(
            {"device": device.hex(), "name": None, "connected": True,
             "state": contact.pulse.presence(life_ms).value, "address": contact.address, "capabilities": [],
             "last_ms": 0, "suspect": device in twins} for device, contact in sorted(by_device.items())
        )  # fmt: skip
        return sorted(rows, key=lambda row: (not row["connected"], row["last_ms"], row["device"]))

    def contact_rows(self, command: c.Contacts) -> list[dict[str, Any]]:
        """The last contacts."""
        life_ms = self.parts.timeline.life_ms
        found = self.parts.store.run(
            "SELECT device, link, address, start_ms, start_wall_ms, end_ms, bytes_in, bytes_out, reason FROM contacts "
            "ORDER BY n DESC LIMIT ?",
            (command.most,),
        )
        return [
            {
                "device": bytes(row[0]).hex(), "name": self.parts.adverts.name_of(bytes(row[0])), "link": row[1],
                "address": row[2], "started_ms_ago": life_ms - row[3], "at_ms": row[4],
                "lasted_ms": None if row[5] is None else row[5] - row[3], "bytes_in": row[6], "bytes_out": row[7],
                "reason": row[8] or None,
            }
            for row in found
        ]  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Objects by status. Cost: one pass over the shelf."""
        found = self.parts.store.run(f"SELECT {COUNTS} FROM shelf").fetchone()
        return dict(zip(STATUSES, found, strict=True))

    def status(self) -> dict[str, Any]:
        """The device in one object."""
        run = self.parts.store.run
        *objects, total = run(f"SELECT {COUNTS}, coalesce(sum(bytes), 0) FROM shelf").fetchone()
        carried = self.parts.spool.usage.bytes_of(Use.CARRIED)
        reasons = run(
            "SELECT reason, count(*) FROM shelf WHERE status = 'dormant' GROUP BY 1 ORDER BY 2 DESC LIMIT 20"
        ).fetchall()
        membership, facts = self.parts.members.membership(), self.parts.facts
        return {
            "device": membership.device.hex(), "name": membership.name,
            "fleets": [{"name": name, "fleet": root.hex()} for name, root in membership.fleets],
            "radio": "on" if membership.is_radio_on else "off",
            "storage": {"takes_in": not self.parts.room.why_none, "reason": self.parts.room.why_none or None},
            "quarantined": self.quarantine.rows(), "scrub": self.scrub.report(),
            "held": bool(self.parts.store.get_meta("held", 0)),
            "quarantine": self.parts.store.get_meta(QUARANTINE, "") or None, "suspects": len(suspects(self.parts)),
            "objects": dict(zip(STATUSES, objects, strict=True)),
            "dormant_by_reason": [{"reason": reason, "objects": count} for reason, count in reasons],
            "contacts": len(self.contacts.by_number),
            "revoked": len({what[:32] for _, what in self.parts.members.revocations.revoked}),
            "capabilities": sorted(self.parts.settings.capabilities),
            "bytes": {"own": total - carried, "carried": carried, **self.parts.eviction.report()},
            "carried_for": self._carried_for(),
            "refused": dict(sorted(self.intake.refusals.items())),
            "facts": {"known": len(facts.by_name), "dropped": facts.dropped, "refused": facts.refused},
            "clock": self.parts.timeline.report(),
            "evaluations": self.parts.agenda.looks, "queued": len(self.parts.agenda),
        }  # fmt: skip

    def _carried_for(self) -> list[dict[str, Any]]:
        """For whom objects are carried that others made and turn, the most bytes first."""
        return [
            {"device": origin.hex(), "name": self.parts.adverts.name_of(origin), "objects": objects, "bytes": size}
            for origin, objects, size in self.parts.spool.usage.origins(CANDIDATES_SHOWN_MAX)
        ]

    def apps(self) -> list[dict[str, Any]]:
        """Intents and versions per device."""
        rows = [
            {"device": self.parts.device.hex(), "name": self.parts.members.name, "app": app.name, "intent": name,
             "version": app.version}
            for app in self.parts.apps for name in sorted(app.intents)
        ]  # fmt: skip
        for advert in self.parts.adverts.others():
            rows.extend(
                {"device": advert.device.hex(), "name": advert.name, "app": None, "intent": name, "version": version}
                for name, version in advert.intents
            )
        return rows

    def fleet(self) -> dict[str, Any]:
        """The fleet joined last, and all others."""
        root, name, _ = self.parts.members.current_fleet()
        others = [{"fleet": key.hex(), "name": label} for key, label, _ in self.parts.members.fleets]
        return {"fleet": root.hex(), "name": name, "all": others}


STAGES: dict[int, str] = {
    Kind.CREATED: "entered", Kind.REENTERED: "woken", Kind.TOOK: "woken", Kind.DORMANT: "judged",
    Kind.DENIED: "judged", Kind.ATTEMPTED: "judged", Kind.EXECUTED: "executed", Kind.OFFERED: "judged",
    Kind.ACCEPTED: "judged", Kind.CLAIMED: "judged",
}  # fmt: skip


def stage_of(kind: int) -> str:
    """Return the stage to which a record belongs."""
    return STAGES.get(kind, "appended")


def kind_name(kind: int) -> str:
    """Return a kind's name, or its number as text where this version has no name."""
    return Kind(kind).name.lower() if kind in tuple(Kind) else str(kind)


def readable(value: bytes) -> Any:
    """Return a recorded value as a JSON value: bytes become hex."""
    try:
        return plain(decode_value(value))
    except PeerError:
        return value.hex()


def plain(value: Any) -> Any:
    """Return a value with byte strings as hex, so that it fits JSON."""
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case b.Body():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case _:
            return value


# Fields that hold canonical CBOR of a user's value, and fields that hold a tree not worth printing as bytes.
_VALUE_FIELDS = ("value", "arguments", "state", "proposal")


def body_of(record: Record) -> dict[str, Any]:
    """Return what a record says, clear and sealed together, for people and programs."""
    fields: dict[str, Any] = {}
    for part in (read_clear(record), read_sealed(record)):
        if part is None:
            continue
        for name in part.__struct_fields__:
            found = getattr(part, name)
            if name in _VALUE_FIELDS and isinstance(found, bytes):
                fields[name] = readable(found) if found else None
            elif name == "outcome":
                fields[name] = Outcome(found).name.lower() if found in tuple(Outcome) else found
            elif name == "end":
                fields[name] = b.End(found).name.lower()
            elif name == "what" and isinstance(part, b.TookSealed):
                fields[name] = b.Took(found).name.lower()
            elif name == "trigger":
                trigger = trigger_of(found)
                fields[name] = None if trigger is None else [wait["leaf"] for wait in describe_waits(trigger)]
            else:
                fields[name] = plain(found)
    return fields
