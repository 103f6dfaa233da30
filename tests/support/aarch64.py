"""A Debian for 64-bit ARM, run by an emulator: what a board's own Python, wheels and scripts do, without the board.

Which programs the emulator runs is registered with the kernel in a user namespace of its own (Linux 6.7 and newer keep one
list each), so that nothing of this machine changes and nothing is left behind. The root has the packages' files, and their
maintainer scripts have not run: that would take minutes, and none of them is what is tested.

A test says `require("aarch64")` first. Source: binfmt_misc in the kernel's documentation; user_namespaces(7).
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.booted import MAKE_S_MAX, PATH, SUITE, made_once

RECIPE = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")  # of Debian's qemu-user-static
# What the installer uses, each named, for what is essential is not taken by itself here.
PACKAGES = (
    "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "diffutils", "dpkg", "findutils", "grep",
    "libc-bin", "passwd", "python3", "python3-venv", "sed", "systemd", "util-linux",
)  # fmt: skip
USERS = 65_536  # ids inside, each that of the same number outside
RUN_S_MAX = 300.0


def debian_aarch64() -> Path:
    """Return the root, made once per machine (half a minute, 150 MB)."""
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]

    def make(folder: Path) -> None:
        command = ["mmdebstrap", "--quiet", "--arch=arm64", "--variant=extract", "--skip=check/qemu"]
        command += [f"--include={','.join(PACKAGES)}", SUITE, str(folder)]
        subprocess.run(command, check=True, timeout=MAKE_S_MAX, capture_output=True, stdin=subprocess.DEVNULL)
        for name in ("passwd", "group"):  # as base-passwd's script would
            (folder / "etc" / name).write_bytes((folder / f"usr/share/base-passwd/{name}.master").read_bytes())

    return made_once(f"debian-{SUITE}-arm64-{key}", make)


def run_aarch64(script: str, binds: Mapping[Path, str], folder: Path) -> str:
    """Return what a shell script says that is run by the emulator, as root of a pristine root.

    Args:
        binds: folders of this machine that it sees, and where. folder: an empty one for what it writes; the caller's.
    """
    root, list_of_ours = folder / "root", folder / "binfmt"
    for made in (root, list_of_ours, folder / "files", folder / "work"):
        made.mkdir(parents=True)
    layers = f"lowerdir={debian_aarch64()},upperdir={folder / 'files'},workdir={folder / 'work'}"
    outside = [f"mount -t overlay edge-test -o {shlex.quote(layers)} {root}"]
    for source, target in {Path("/dev"): "/dev", Path("/proc"): "/proc", **binds}.items():
        outside += [f"mkdir -p {root}{target}", f"mount --rbind {shlex.quote(str(source))} {root}{target}"]
    inside = [
        "echo unshared", "read go", f"mount -t binfmt_misc binfmt_misc {list_of_ours}",
        f"cat {RECIPE} >{list_of_ours}/register", f"exec chroot {root} /bin/sh -euc {shlex.quote(script)}",
    ]  # fmt: skip
    space = ["unshare", "--user", "--mount", "--propagation", "private", "sh", "-euc", "\n".join(inside)]
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", "\n".join((*outside, f"exec {shlex.join(space)}"))]
    env = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"}
    with tempfile.TemporaryFile("w+") as errors:
        running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=env)
        try:
            assert running.stdout is not None
            if running.stdout.readline() == "unshared\n":  # else it has ended, and says why
                for kind in ("uid_map", "gid_map"):
                    Path(f"/proc/{running.pid}/{kind}").write_text(f"0 0 {USERS}")
            said, _ = running.communicate("go\n", timeout=RUN_S_MAX)
        finally:
            running.kill()
            running.wait(10)
        errors.seek(0)
        assert running.returncode == 0, f"{running.returncode}\n{said[-2000:]}\n{errors.read()[-3000:]}"
    return said


def why_not() -> str | None:
    """Return what this machine lacks, or None."""
    if not RECIPE.exists():
        return "install qemu-user-static"
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    return None if release >= (6, 7) else "this kernel has one list of programs for emulators, and that is not ours to change"
