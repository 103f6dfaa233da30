"""Checks of the disk that holds the state: room, whether it can be written, whether a flush there means anything."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from ...base.limits import DOCTOR_SPOOL_S_MAX
from ...base.units import MIB
from .finding import Finding, fine, warn, wrong

FREE_BYTES_LOW = 256 * MIB
FREE_BYTES_LEAST = 16 * MIB  # what the journal may take before it is folded back, with room for one flush of the log
INODES_LEAST = 100
OPS_PER_LOOK = 10_000

# Where an acknowledged flush may be lost, or a key cannot be kept from others. Source: mount(8), Linux Documentation/
# filesystems: vfat and exfat have no journal and no modes; network and user-space file systems answer for their server.
NO_MODES = ("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk")
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "sshfs", "fuse.sshfs", "ceph", "glusterfs")
VOLATILE = ("tmpfs", "ramfs", "devtmpfs")
NO_FLUSH = ("nobarrier", "barrier=0", "data=writeback", "eatmydata", "nointegrity", "volatile")


class Mount(Struct, frozen=True):
    """One line of /proc/self/mountinfo: where it stands, of what kind, with what options."""

    point: str
    kind: str
    options: tuple[str, ...]


def read_mounts(text: str) -> list[Mount]:
    """Return the mounts of a mountinfo, in its order; lines that make no sense are passed over.

    Source: proc(5), /proc/pid/mountinfo.
    """
    found = []
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if not dash or len(left) < 6 or len(right) < 3:
            continue
        point = left[4].encode().decode("unicode_escape", "replace")  # a space is written \040
        found.append(Mount(point, right[0], tuple(dict.fromkeys([*left[5].split(","), *right[2].split(",")]))))
    return found


def mount_of(path: Path, mounts: list[Mount]) -> Mount | None:
    """Return the mount that holds a path: the longest point, of equal ones the last, which lies on top."""
    real, best = os.path.realpath(path), None
    for mount in mounts:
        point = mount.point.rstrip("/")
        holds = real == point or real.startswith(point + "/")
        if holds and (best is None or len(point) >= len(best.point.rstrip("/"))):
            best = mount
    return best


def check_file_system(mount: Mount | None, state: Path) -> Finding:
    """Whether what is flushed there survives a power cut, and keys there can be private."""
    move = "Put the state on ext4, f2fs or btrfs of this machine: `--state DIR`."
    if mount is None:
        return warn("file-system", f"What file system holds {state} cannot be told.", "Mount /proc.")
    where = f"{state} is on {mount.kind} ({mount.point})"
    if mount.kind in NO_MODES:
        says = f"{where}: it knows no owners and has no journal; a power cut may cost it all."
        return wrong("file-system", says, move)
    if mount.kind in REMOTE or mount.kind.startswith("fuse."):
        return wrong("file-system", f"{where}: SQLite's locks and flushes are not to be trusted there.", move)
    if mount.kind in VOLATILE:
        return warn("file-system", f"{where}: all of it is gone when the machine is switched off.", move)
    lying = [option for option in mount.options if option in NO_FLUSH]
    if lying:
        do = f"Mount {mount.point} without {lying[0]}."
        return wrong("file-system", f"{where} with {lying[0]}: what was flushed may be lost in a power cut.", do)
    return fine("file-system", f"{where}.")


def check_room(state: Path, found: os.statvfs_result | None = None) -> Finding:
    """Whether the disk can be written, and has room."""
    try:
        found = os.statvfs(state) if found is None else found
    except OSError as error:
        return wrong("disk", f"{state} cannot be looked at: {error.strerror}.", "`edge-runtime init` makes it.")
    free = found.f_bavail * found.f_frsize
    says = f"{free // MIB} MiB free of {found.f_blocks * found.f_frsize // MIB} MiB"
    if found.f_flag & os.ST_RDONLY:
        do = "A file system turns read-only after errors: see `dmesg`, check it, and mount it writable."
        return wrong("disk", f"The disk of {state} is read-only ({says}).", do)
    if free < FREE_BYTES_LEAST:
        return wrong("disk", f"{says}: nothing new can be accepted.", f"Make room on the disk of {state}.")
    if found.f_files and found.f_favail < INODES_LEAST:
        return wrong("disk", f"{found.f_favail} files more can be made there ({says}).", "Remove small files.")
    if free < FREE_BYTES_LOW:
        return warn("disk", f"{says}.", f"Make room on the disk of {state} soon.")
    return fine("disk", f"{says}.")


def check_spool(state: Path, seconds_max: float = DOCTOR_SPOOL_S_MAX) -> Finding:
    """Whether the spool can be read, is of a known schema, and whole as far as can be read in some seconds."""
    from ...node.schema import SCHEMA_VERSION

    file = state / "spool.db"
    if not file.exists():
        return fine("spool", "There is no spool yet: the first start makes it.")
    size = f"{sum(part.stat().st_size for part in state.glob('spool.db*')) / MIB:.1f} MiB"
    until_s = time.monotonic() + seconds_max
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA query_only = 1")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                do = "Install the newer edge-runtime again."
                return wrong("spool", f"The spool is of schema {version}, known is {SCHEMA_VERSION}.", do)
            connection.set_progress_handler(lambda: time.monotonic() > until_s, OPS_PER_LOOK)
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return fine("spool", f"{size}; too large to be checked whole in {seconds_max:.0f} s.")
        return _unreadable(file, str(error))
    except sqlite3.DatabaseError as error:
        return _unreadable(file, str(error))
    return fine("spool", f"{size}, whole.") if said == "ok" else _unreadable(file, str(said))


def _unreadable(file: Path, why: str) -> Finding:
    do = (
        f"If it is not a matter of permissions: stop the daemon, move {file.name} aside and start again; objects "
        "that peers hold come back at the next contact."
    )
    return wrong("spool", f"{file} cannot be read: {why}.", do)
