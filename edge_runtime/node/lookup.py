"""Finding objects and devices by what a person types."""

from __future__ import annotations

from ..base.errors import Exit, UsageError
from ..base.limits import CANDIDATES_SHOWN_MAX
from ..objects.bodies import End
from .parts import Parts
from .quarantine import check_quarantine
from .spool import Live

PREFIX_LENGTH_MIN = 4


def find_object(parts: Parts, reference: str) -> Live:
    """Return the object of a full id, a name made here, another name, or an id prefix of at least 4 hex digits.

    Raises:
        UsageError: nothing found (exit 4), or several (exit 2, with candidates).
    """
    text = reference.strip()
    is_hex = len(text) % 1 == 0 and all(digit in "0123456789abcdef" for digit in text.lower())
    if is_hex and len(text) == 64:
        live = parts.spool.find(bytes.fromhex(text))
        if live is not None:
            return live
    found = parts.store.run(
        "SELECT object FROM shelf WHERE name = ? ORDER BY object DESC LIMIT 3", (text,)
    ).fetchall()
    mine = [row for (row,) in found if _is_made_here(parts, row)]
    rows = mine or [row for (row,) in found]
    if not rows and is_hex and PREFIX_LENGTH_MIN <= len(text) < 64:
        low, high = bytes.fromhex(text.ljust(64, "0")), bytes.fromhex(text.ljust(64, "f"))
        rows = [
            row
            for (row,) in parts.store.run(
                "SELECT row FROM objects WHERE id >= ? AND id <= ? LIMIT ?", (low, high, CANDIDATES_SHOWN_MAX)
            )
        ]
    if len(rows) > 1:
        candidates = [live.object.hex() for live in (parts.spool.find_row(row) for row in rows) if live is not None]
        raise UsageError(f"{reference!r} could be {len(rows)} objects: give more of the id.", candidates=candidates)
    live = parts.spool.find_row(rows[0]) if rows else None
    if live is None:
        _check_gone(parts, text)
        check_quarantine(parts, text)
        raise UsageError(
            f"There is no object {reference!r} here. `edge-runtime ls` lists the objects of this device.",
            Exit.NOT_FOUND,
        )
    return live


def _check_gone(parts: Parts, text: str) -> None:
    """Say of an object that went from here why it did, and how it ended.

    Raises:
        UsageError: it did (exit 4).
    """
    tombstones = parts.eviction.tombstones
    is_id = len(text) == 64 and all(digit in "0123456789abcdef" for digit in text.lower())
    left = tombstones.find(bytes.fromhex(text)) if is_id else tombstones.find_name(text)
    if left is None or not left.is_gone:
        return
    end = None if left.ended is None else End(left.ended).name.lower()
    raise UsageError(
        f"The object {text!r} is not kept here any more ({left.why}). "
        + (f"It had ended: {end}." if end else "It lives on where it came from, as far as is known here."),
        Exit.NOT_FOUND, object=left.object.hex(), end=end,
    )  # fmt: skip


def _is_made_here(parts: Parts, row: int) -> bool:
    live = parts.spool.find_row(row)
    if live is None:
        return False
    history = live.state.history
    return history.placed[history.object].entry.author == parts.device


def find_device(parts: Parts, text: str) -> bytes:
    """Return the id of a device given by id, name, or prefix.

    Raises:
        UsageError: unknown, or ambiguous.
    """
    known = [(advert.device, advert.name) for advert in parts.adverts.others()]
    known.append((parts.device, parts.members.name))
    matches = [device for device, name in known if device.hex() == text or name == text]
    if not matches and len(text) >= PREFIX_LENGTH_MIN:
        matches = [device for device, _ in known if device.hex().startswith(text.lower())]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        names = ", ".join(sorted(name for _, name in known if name)) or "none yet"
        raise UsageError(f"No device {text!r} is known here. Known: {names}.", Exit.NOT_FOUND)
    raise UsageError(
        f"{text!r} could be {len(matches)} devices: give more of the id.",
        candidates=[device.hex() for device in matches],
    )
