"""Everything of a device in one file, and back: `backup` while the daemon goes on, `restore` into an empty state.

The file is a plain tar archive, its first member a list of the others with their sizes and hashes. A restored device
begins in quarantine (`node.returning`). Each of both is whole or absent after a power cut: the file appears by a
rename, and a state whose spool is not there yet is no state. Source: ours; the online copy is SQLite's backup API.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from ..base.digests import blake2b
from ..base.errors import Exit, UsageError
from ..node.membership import QUARANTINE, jump_sequence_of
from ..node.returning import RESTORED
from ..node.store import Store
from ..objects.keys import SigningKey
from .root_keys import mark_backed_up
from .statedir import HALF_RESTORED, StateDir

FORMAT = "edge-runtime/1 backup"
LIST = "backup.json"
SPOOL = "spool.db"
PAGES_AT_ONCE = 256  # copied between two looks at what the daemon wrote meanwhile
CHUNK_BYTES = 1 << 20
KEPT = ("keys/*.key", "keys/*.root", "keys/*.saved", "config.toml", "policy.toml", "port", "blobs/*")
NAMES = ("keys", "blobs")  # folders that a name may lie in

Progress = Callable[[int, int], None]  # done and all bytes


class Member(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup. `hash` is the hex BLAKE2b-256 of its bytes."""

    name: str
    size: int
    hash: str


class Contents(Struct, frozen=True, forbid_unknown_fields=True):
    """The list at the beginning of a backup. `device` in hex; `made_ms` by the wall clock of then."""

    format: str
    device: str
    made_ms: int
    members: tuple[Member, ...]


def write_backup(state: Path, target: Path, progress: Progress = lambda done, total: None) -> Contents:
    """Copy a state into one file; a daemon may run on it and notices nothing. Root keys count as backed up then.

    Args:
        target: must not exist. The copy of the spool needs its room beside it for a moment.

    Raises:
        UsageError: there is no state, it may not be read, the target exists or cannot be written.
    """
    copy = target.with_name(f".{target.name}.{os.getpid()}.spool")
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        if target.exists():
            raise UsageError(f"{target} exists already: a backup never takes the place of another. Give a new name.")
        if not target.parent.is_dir():
            raise UsageError(f"{target.parent} is no folder: make it, or give another FILE.")
        if not (state / SPOOL).exists():
            what = f"There is no device in {state}: nothing to back up. Give its --state DIR."
            raise UsageError(what, Exit.NOT_FOUND)
        _copy_spool(state / SPOOL, copy, progress)
        files = {SPOOL: copy} | {str(file.relative_to(state)): file for file in _files_of(state)}
        members = tuple(Member(name, file.stat().st_size, _hash_of(file)) for name, file in files.items())
        seed = (state / "keys" / "device.key").read_bytes()
        device = SigningKey.from_seed(seed).public.hex()
        contents = Contents(FORMAT, device, int(time.time() * 1000), members)
        _write_archive(fresh, contents, files)
        os.replace(fresh, target)
        _flush_folder(target.parent)
    except (OSError, sqlite3.Error, ValueError) as error:
        raise UsageError(
            f"The backup was not made: {error}. Run as the user that owns {state}, and see that there is room.",
            Exit.FAILED,
        ) from None
    finally:
        with suppress(OSError):  # where nothing can be written, nothing was
            copy.unlink(missing_ok=True)
            fresh.unlink(missing_ok=True)
    with suppress(OSError):  # a card that is read-only by now takes no mark: the backup counts all the same
        mark_backed_up(state, target.name)
    return contents


def _copy_spool(spool: Path, copy: Path, progress: Progress) -> None:
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    size = max(1, spool.stat().st_size)
    source = sqlite3.connect(f"{spool.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    with closing(source), closing(sqlite3.connect(copy)) as made:

        def tell(status: int, remaining: int, total: int) -> None:
            progress(size * (total - remaining) // max(1, total), size)

        # One snapshot for all steps: without it SQLite begins anew after each commit of the daemon's, and on
        # a busy device with a large spool never ends. The journal grows meanwhile by what is written.
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_schema").fetchall()
        source.backup(made, pages=PAGES_AT_ONCE, progress=tell, sleep=0.01)
        (verdict,) = made.execute("PRAGMA quick_check").fetchone()
        if verdict != "ok":
            raise ValueError(f"the spool is damaged ({verdict}): see `edge-runtime doctor`")
        made.execute("PRAGMA journal_mode = DELETE")  # one file


def _files_of(state: Path) -> Iterator[Path]:
    for pattern in KEPT:
        yield from sorted(file for file in state.glob(pattern) if file.is_file() and not file.is_symlink())


def _write_archive(fresh: Path, contents: Contents, files: dict[str, Path]) -> None:
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "wb") as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            first = msgspec.json.format(msgspec.json.encode(contents))
            head = tarfile.TarInfo(LIST)
            head.size, head.mode = len(first), 0o600
            archive.addfile(head, io.BytesIO(first))
            for member in contents.members:
                info = tarfile.TarInfo(member.name)
                info.size, info.mode = member.size, 0o600
                with open(files[member.name], "rb") as source:
                    archive.addfile(info, source)
        out.flush()
        os.fsync(out.fileno())


# --- Back -------------------------------------------------------------------------------------------------------


def restore_backup(
    source: Path, state: Path, is_alone: bool, progress: Progress = lambda done, total: None
) -> Contents:
    """Make a state from a backup.

    Args:
        state: must hold no device; a restore that was cut off there is begun anew.
        is_alone: no other device ever had this one's objects, or all are lost: no quarantine.

    Raises:
        UsageError: the file is no whole backup, or a device is there; nothing was changed.
    """
    try:
        _check_empty(state)
    except OSError as error:
        what = f"{state} cannot be looked at: {error.strerror}. Run as the user that owns it, or give another --state."
        raise UsageError(what, Exit.FAILED) from None
    opened = StateDir.open(state)
    staging = state / HALF_RESTORED
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        contents = _unpack(source, staging, progress)
        _mark(staging / SPOOL, is_alone)
        _put(staging, state, contents)
    except UsageError:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise UsageError(f"{source} was not restored: {error}. The state is as it was.", Exit.FAILED) from None
    finally:
        opened.close()
    return contents


def _check_empty(state: Path) -> None:
    keys = [] if (state / HALF_RESTORED).exists() else list((state / "keys").glob("*.key"))
    if (state / SPOOL).exists() or keys:
        raise UsageError(
            f"There is a device in {state}: a backup never takes its place. Stop its daemon and move the directory "
            "aside, or give another --state DIR.", Exit.REFUSED,
        )  # fmt: skip


def _unpack(source: Path, staging: Path, progress: Progress) -> Contents:
    """Write the files of a backup below a folder, each checked and on the medium."""
    total = source.stat().st_size
    try:
        with tarfile.open(source, mode="r:") as archive:
            contents = _read_list(archive, source)
            for member in contents.members:
                info = archive.next()
                if info is None or not info.isfile() or (info.name, info.size) != (member.name, member.size):
                    raise UsageError(f"{source} is cut off or damaged at {member.name}: it is no whole backup.")
                _write_member(archive, info, member, staging / _checked(member.name))
                progress(archive.fileobj.tell() if archive.fileobj is not None else 0, total)
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(f"{source} is no backup of `edge-runtime backup`: {error}.") from None
    return contents


def _read_list(archive: tarfile.TarFile, source: Path) -> Contents:
    head = archive.next()
    data = archive.extractfile(head) if head is not None and head.name == LIST and head.size < CHUNK_BYTES else None
    try:
        contents = msgspec.json.decode(data.read() if data is not None else b"", type=Contents)
    except msgspec.DecodeError:
        raise UsageError(f"{source} is no backup of `edge-runtime backup`.") from None
    if contents.format != FORMAT or not any(member.name == SPOOL for member in contents.members):
        raise UsageError(f"{source} is a backup of another kind ({contents.format}).")
    return contents


def _checked(name: str) -> str:
    """Return a member's name if it is one that a backup has: nothing is written anywhere else."""
    folder, _, file = name.rpartition("/")
    if folder not in ("", *NAMES) or not file or file.startswith("."):
        raise UsageError(f"The backup holds {name!r}, which belongs to no state: it is not trusted.")
    return name


def _write_member(archive: tarfile.TarFile, info: tarfile.TarInfo, member: Member, target: Path) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    data, digest = archive.extractfile(info), blake2b(digest_size=32)
    assert data is not None
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while chunk := data.read(CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != member.hash:
        raise UsageError(f"The backup is damaged: {member.name} is not what was written. Use another copy.")


def _mark(spool: Path, is_alone: bool) -> None:
    """Say in the spool that it came from a backup; it is not in place yet."""
    connection = sqlite3.connect(spool, isolation_level=None)
    with closing(connection):
        store = Store.open(connection)
        with store.transaction():
            if is_alone:
                jump_sequence_of(store)
            store.set_meta(QUARANTINE, "" if is_alone else RESTORED)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _put(staging: Path, state: Path, contents: Contents) -> None:
    """Move the files to their places, the spool last: only with it there is a device here."""
    for member in sorted(contents.members, key=lambda member: member.name == SPOOL):
        target = state / member.name
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if member.name == SPOOL:
            for folder in (state / "keys", state):
                _flush_folder(folder)
        os.replace(staging / member.name, target)
    _flush_folder(state)
    shutil.rmtree(staging)


def _hash_of(file: Path) -> str:
    digest = blake2b(digest_size=32)
    with open(file, "rb") as data:
        while chunk := data.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
