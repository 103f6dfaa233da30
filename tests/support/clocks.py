"""Clocks that are wrong, quick or were asleep, under real daemons: what a board without a real-time clock goes through.

Everything is below the process: libfaketime for the wall clock and for time that runs quicker, a preloaded
`clock_gettime` for suspend, mounts for the boot's name and for what systemd-timesyncd leaves in /run.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from pathlib import Path

from tests.support.daemons import Daemon
from tests.support.requires import require

SHIM = Path(__file__).with_name("suspend.c")
# One namespace of mounts a daemon: nothing of it is left when the process is gone.
BOARD = (
    "mount --make-rprivate / && mount --bind {boot} /proc/sys/kernel/random/boot_id && "
    "mount -t tmpfs none /run && mkdir -p /run/systemd/timesync && mount --bind {sync} /run/systemd/timesync && "
    'exec "$@"'
)


def faketime_library() -> str:
    """Return libfaketime for programs with threads; skip without it."""
    require("command:faketime")
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "faketime is installed without its library"
    return str(found[0])


class Board:
    """A board: each power-on has another boot id; its wall clock and its time server are in the test's hands."""

    def __init__(self, folder: Path) -> None:
        require("mount-namespace")
        self.folder = folder
        self.sync = folder / "timesync"
        self.sync.mkdir(parents=True)
        self.boot = folder / "boot_id"
        self.offset = folder / "faketimerc"
        self.library = faketime_library()
        self.set_wall(0)

    def set_wall(self, offset_s: int) -> None:
        """Set the wall clock: by so much it is wrong from now on, in a running process, too."""
        fresh = self.offset.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}")
        fresh.rename(self.offset)
        self.offset_s = offset_s

    def hear_server(self) -> None:
        """Systemd-timesyncd has its answer, by the wall clock as it is set."""
        file = self.sync / "synchronized"
        file.touch()
        os.utime(file, (time.time() + self.offset_s,) * 2)

    def lose_server(self) -> None:
        """No network after a power-on: nobody has set the clock yet."""
        (self.sync / "synchronized").unlink(missing_ok=True)

    def power_on(self, *options: str, cwd: Path | None = None) -> Daemon:
        """Return the daemon of a new boot, not yet started. The boot clock goes on: that it is another boot says its id."""
        self.boot = self.boot.with_name(f"boot-{uuid.uuid4()}")
        self.boot.write_text(f"{uuid.uuid4()}\n")
        script = BOARD.format(boot=self.boot, sync=self.sync)
        env = {
            "LD_PRELOAD": self.library, "FAKETIME_TIMESTAMP_FILE": str(self.offset), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip
        prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
        return Daemon(self.folder / "state", *options, prefix=(*prefix, "env", *words_of(env)), cwd=cwd)


def words_of(env: dict[str, str]) -> list[str]:
    """Return words for `env`: mount and sh themselves run with the machine's own clock."""
    return [f"{name}={value}" for name, value in env.items()]


def quick_daemon(state: Path, times: int, *options: str, cwd: Path) -> Daemon:
    """Return a daemon for which all time, waits included, passes so many times quicker. Each start is another boot.

    Its boot clock begins anew where the machine's is, behind what the last process saw.
    """
    env = {"LD_PRELOAD": faketime_library(), "FAKETIME": f"+0 x{times}"}
    return Daemon(state, *options, prefix=("env", *words_of(env)), cwd=cwd)


def build_shim(folder: Path) -> Path:
    """Return the preloaded library that makes a suspend, compiled for this machine; skip without a compiler."""
    require("command:gcc")
    made = folder / "suspend.so"
    words = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(made), str(SHIM)]
    subprocess.run(words, check=True, timeout=60)
    return made
