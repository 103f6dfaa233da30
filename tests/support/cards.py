"""Real file systems for tests: a memory card as a file behind a loop device, which can lose power, stall and fill up.

A cut is the ioctl by which ext4 and XFS drop everything that is not on the device: dirty pages and the open journal
transaction; from then on every call gives EIO. Mounting again replays the journal, as after a real power cut.

Source: the shutdown tests of xfstests (`src/godown.c`); the ioctl's number is `_IOR('X', 125, __u32)`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.boards import CGROUPS, ENTER, is_unified
from tests.support.requires import require

FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2  # nothing more reaches the device
MEMORY = Path("/dev/shm")  # where the image lies: a test of order and durability needs no slow disk below it
TIMEOUT_S = 30.0


CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000


def _call(name: str, *arguments: int) -> None:
    """Call a function of libc that Python 3.11 does not know."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


@contextmanager
def private_mounts() -> Iterator[None]:
    """Give this thread, and threads and processes that it starts, a mount namespace of their own."""
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    folder = os.getcwd()
    try:
        _call("unshare", CLONE_NEWNS)
        run("mount", "--make-rprivate", "/")
        yield
        _call("unshare", CLONE_FS)  # from threads that may not have ended quite: they would forbid what follows
        _call("setns", before, CLONE_NEWNS)  # it leaves the folder at the root
        os.chdir(folder)
    finally:
        os.close(before)


def run(*words: str, check: bool = True) -> str:
    """Run a program of the machine; return what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert not check or done.returncode == 0, f"{words}: {done.returncode} {done.stderr.strip()}"
    return done.stdout


class Card:
    """A file system of its own on a file. Use as `with Card() as card`.

    Args:
        size_mib: of the card. kind: ext4, xfs (300 MiB at least), or tmpfs (which cannot be cut). options: of mount.
        image: where its file stands, made where it is missing; None for a temporary one.
    """

    def __init__(
        self, size_mib: int = 32, kind: str = "ext4", options: str = "", image: Path | None = None
    ) -> None:  # fmt: skip
        require("card")
        self.kind = kind
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="edge-card-", dir=MEMORY if MEMORY.is_dir() else None))
        self.path = self.folder / "m"
        self.image = image or self.folder / "image"
        self.path.mkdir()
        self.size_mib = size_mib
        self.is_mounted = False
        self.is_frozen = False

    def __enter__(self) -> Card:
        """Make and mount it."""
        try:
            if self.kind != "tmpfs" and not self.image.exists():
                with open(self.image, "wb") as file:
                    file.truncate(self.size_mib << 20)
                extra = ("-F", "-E", "lazy_itable_init=0,lazy_journal_init=0") if self.kind == "ext4" else ()
                run(f"mkfs.{self.kind}", "-q", *extra, str(self.image))
            self.mount()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Unmount and delete it."""
        self.close()

    def mount(self) -> None:
        """Mount it; after a cut this replays the journal."""
        if self.kind == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", f"size={self.size_mib}m", "none", str(self.path))
        else:  # the loop device goes with its mount
            options = ",".join(filter(None, ("loop", self.options)))
            run("mount", "-t", self.kind, "-o", options, str(self.image), str(self.path))
        self.is_mounted = True

    def unmount(self) -> None:
        """Unmount it: nobody may use it any more."""
        run("umount", str(self.path))
        self.is_mounted = False

    def cut(self) -> None:
        """Cut the power of the card: what is not on it is lost, and nothing more reaches it."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)

    @property
    def device(self) -> str:
        """The loop device below it."""
        for line in Path("/proc/mounts").read_text().splitlines():
            device, mounted, *_ = line.split()
            if mounted == str(self.path):
                return device
        raise AssertionError(f"{self.path} is not mounted")

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be written any more; newer kernels say so to writers only, not in the mount's flags."""
        try:
            (self.path / "probe").touch()
        except OSError as error:
            return error.errno == errno.EROFS
        return False

    def break_it(self) -> None:
        """Let the kernel find an error in it, as it does on a worn card: with `errors=remount-ro` it is read-only."""
        assert self.kind == "ext4"
        name = Path(self.device).name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("a test asked for it")

    def freeze(self) -> None:
        """Let every write and flush hang until `thaw`."""
        run("fsfreeze", "-f", str(self.path))
        self.is_frozen = True

    def thaw(self) -> None:
        """Let what hangs go on."""
        run("fsfreeze", "-u", str(self.path))
        self.is_frozen = False

    def fill(self, leave: int = 0) -> Path:
        """Fill it up but for some bytes, by another program's file; return the file: deleting it gives room."""
        file = self.path / "ballast"
        room = os.statvfs(self.path)
        free = (room.f_bavail if os.geteuid() else room.f_bfree) * room.f_bsize - leave
        handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            step = 1 << 20
            at = 0
            while free > 0 and step:
                size = min(step, free)
                try:
                    os.posix_fallocate(handle, at, size)
                except OSError:
                    step //= 2
                    continue
                at, free = at + size, free - size
        finally:
            os.close(handle)
        return file

    def close(self) -> None:
        """Unmount and delete everything; also what is broken or in use."""
        if self.is_frozen:
            run("fsfreeze", "-u", str(self.path), check=False)
        if self.is_mounted:
            run("umount", "-l", str(self.path), check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def slowed(card: Card, bytes_s: int = 1 << 20, writes_s: int = 20) -> Iterator[tuple[str, ...]]:
    """Let a card take so many bytes and writes a second, of whoever is started with the prefix that this gives."""
    group = (CGROUPS if is_unified() else CGROUPS / "blkio") / f"edge-card-{os.getpid()}-{card.folder.name}"
    number = os.stat(card.device).st_rdev
    device = f"{os.major(number)}:{os.minor(number)}"
    limits = {"io.max": f"{device} wbps={bytes_s} wiops={writes_s}"}
    if not is_unified():
        limits = {"blkio.throttle.write_bps_device": f"{device} {bytes_s}",
                  "blkio.throttle.write_iops_device": f"{device} {writes_s}"}  # fmt: skip
    else:
        (CGROUPS / "cgroup.subtree_control").write_text("+io")
    group.mkdir()
    try:
        for file, value in limits.items():
            (group / file).write_text(value)
        yield ("sh", "-c", ENTER, "card", str(group))
    finally:
        group.rmdir()
