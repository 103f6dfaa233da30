"""Which board a card is in: a card that comes back in another one may not be alone with its content.

What names the machine is kept in the spool at the first start and compared at each one. Only what can be read on both
sides counts: a field that a sandbox hides says nothing. Source: machine-id(5); the device tree's `serial-number`.
"""

from __future__ import annotations

from pathlib import Path

from ..node.membership import QUARANTINE, jump_sequence_of
from ..node.returning import MOVED
from ..node.store import Store

KEPT = "board"  # in `meta`
# Each is absent somewhere: a Raspberry Pi has a device tree, a PC has DMI that only root reads.
FILES = (
    Path("/etc/machine-id"), Path("/sys/firmware/devicetree/base/serial-number"),
    Path("/sys/class/dmi/id/product_uuid"),
)  # fmt: skip
NAME_BYTES = 100


def read_board(files: tuple[Path, ...] = FILES) -> str:
    """Return the names of this machine, one a word, `-` for each that cannot be read."""
    return " ".join(_read(file) for file in files)


def _read(file: Path) -> str:
    try:
        text = file.read_bytes()[:NAME_BYTES].decode(errors="replace").strip("\0 \n")
    except OSError:
        text = ""
    return "".join(char for char in text if char.isalnum() or char == "-") or "-"


def is_other(kept: str, now: str) -> bool:
    """Say whether two boards differ in what is known of both."""
    return any("-" not in pair and pair[0] != pair[1] for pair in zip(kept.split(), now.split(), strict=False))


def note_board(store: Store, now: str) -> None:
    """Compare the board with the one of the last start, inside a transaction and before the node is built.

    In another one the device begins in quarantine; if it never knew another device, there is nobody to ask: then only
    its numbers begin far above those that it gave out.
    """
    kept = str(store.get_meta(KEPT, ""))
    if kept != now:
        store.set_meta(KEPT, now)
    if kept and is_other(kept, now) and not store.get_meta(QUARANTINE, ""):
        if store.run("SELECT count(*) FROM adverts").fetchone()[0] > 1:
            store.set_meta(QUARANTINE, MOVED)
        else:
            jump_sequence_of(store)
