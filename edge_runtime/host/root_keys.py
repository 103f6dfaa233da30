"""A fleet's root key outside its device: written to a file, read back, and marked as backed up.

Whoever holds the key lets devices in and revokes them; who has lost it cannot, for good. The file is text, so that it
can be printed: a key on paper survives every stick. Source: ours.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ..base.errors import Exit, UsageError
from ..base.limits import ROOT_BACKUP_BYTES_MAX
from ..objects.keys import SigningKey

MARK = ".saved"
SUFFIX = ".root"
HEX_SEED = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class KeptRoot(Struct, frozen=True):
    """A root key on this device: the fleet's id in hex, its file, and whether a backup was recorded."""

    fleet: str
    file: Path
    is_backed_up: bool


class RootBackup(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds: the fleet's name and id, and the secret."""

    name: str
    fleet: HEX_SEED
    secret: HEX_SEED


def list_roots(state: Path) -> list[KeptRoot]:
    """Return the root keys of a state directory, by name.

    Raises:
        OSError: the keys may not be looked at.
    """
    folder = state / "keys"
    names = sorted(os.listdir(folder)) if folder.exists() else []
    return [
        KeptRoot(name.removesuffix(SUFFIX), folder / name, f"{name.removesuffix(SUFFIX)}{MARK}" in names)
        for name in names if name.endswith(SUFFIX)
    ]  # fmt: skip


def write_backup(root: KeptRoot, fleet_name: str, file: Path) -> None:
    """Write a root key to a new file with mode 0600, flushed, read back; then mark it as backed up.

    Raises:
        UsageError: the key cannot be read, or the file cannot be written or is there already. The mark is not set.
    """
    try:
        secret = root.file.read_bytes()
        # JSON's texts are TOML's basic strings; the library to write TOML is no dependency of ours.
        text = (
            f"# Root key of the fleet {fleet_name!r}. Whoever has it lets devices in and revokes them.\n"
            "# Keep it offline, on paper too.\n"
            "# Back on a device: edge-runtime fleet restore FILE\n"
            f"name = {json.dumps(fleet_name, ensure_ascii=False)}\n"
            f'fleet = "{root.fleet}"\nsecret = "{secret.hex()}"\n'
        )
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, text.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        _flush_folder(file.absolute().parent)
        read_backup(file)
        _write_mark(root, file.name)
    except FileExistsError:
        raise UsageError(f"{file} is there already. Give a new file.") from None
    except OSError as error:
        raise UsageError(f"The root key is not backed up: {error.filename}: {error.strerror}.", Exit.FAILED) from None


def read_backup(file: Path) -> tuple[str, SigningKey]:
    """Return (fleet name, root key) of a backup.

    Raises:
        UsageError: it cannot be read, is none, or its key is not the one of the fleet that it names (a slip of paper
            typed in again).
    """
    try:
        with open(file, "rb") as opened:
            found = msgspec.toml.decode(opened.read(ROOT_BACKUP_BYTES_MAX), type=RootBackup)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        what = f"{file} is no backup of a root key: {error}. `edge-runtime fleet backup` makes one."
        raise UsageError(what) from None
    key = SigningKey.from_seed(bytes.fromhex(found.secret))
    if key.public.hex() != found.fleet:
        raise UsageError(f"{file}: the secret is not the one of fleet {found.fleet[:16]}. Look for a mistyped digit.")
    return found.name, key


def mark_backed_up(state: Path, where: str) -> None:
    """Record that all root keys of a state directory were written somewhere else, as `backup` does.

    Raises:
        OSError: the marks cannot be written.
    """
    for root in list_roots(state):
        _write_mark(root, where)


def _write_mark(root: KeptRoot, where: str) -> None:
    mark = root.file.with_suffix(MARK)
    mark.touch(mode=0o600)
    mark.write_text(f"{int(time.time())} {where}\n")
    if os.geteuid() == 0:  # root backs another user's device up: what root leaves there would lock that user out
        owner = os.stat(root.file)
        os.chown(mark, owner.st_uid, owner.st_gid)
    _flush_folder(mark.parent)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
