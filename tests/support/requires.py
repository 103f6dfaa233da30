"""What a test needs of the machine: missing means *skipped by name*, or failed under `EDGE_REQUIRE=all`.

A test, fixture or module calls `require("netns", "command:nft")` before it starts. Names are a closed list
(`CONDITIONS`) plus the families `command:NAME` (an executable on PATH) and `module:NAME` (an importable
package), so that a misspelt name is an error and not a skip.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache

import pytest

VARIABLE = "EDGE_REQUIRE"


def must_all_run() -> bool:
    """Whether a skip counts as a failure here (CI).

    Raises:
        pytest.UsageError: the variable is set to something else than `all` or nothing.
    """
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "all"):
        raise pytest.UsageError(f"{VARIABLE} is {value!r}: set it to 'all', or unset it")
    return value == "all"


def require(*names: str) -> None:
    """Skip the test (or the module, at its top) unless this machine has all of the named things.

    `tests/conftest.py` turns the skip into a failure where all must run, and lists it at the end of the run.

    Raises:
        KeyError: no condition has that name.
    """
    for name in names:
        problem = missing(name)
        if problem is not None:
            pytest.skip(f"needs {name}: {problem}", allow_module_level=True)


def missing(name: str) -> str | None:
    """Return None if the named thing is here, else what is missing and how to get it.

    Raises:
        KeyError: no condition has that name.
    """
    family, _, detail = name.partition(":")
    if detail and family == "command":
        return None if shutil.which(detail) else f"no executable {detail} on PATH"
    if detail and family == "module":
        return None if importlib.util.find_spec(detail) else f"package {detail} is not installed"
    return CONDITIONS[name]()


@cache
def other_python() -> str | None:
    """Return an interpreter of another minor version that can import the package's dependencies, or None.

    `EDGE_PYTHON_OTHER` names it; `.ci/run` makes one.
    """
    path = os.environ.get("EDGE_PYTHON_OTHER", "")
    if not path:
        return None
    code = "import sys, cbor2, nacl, msgspec; print(*sys.version_info[:2])"
    answer = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode != 0:
        raise pytest.UsageError(f"EDGE_PYTHON_OTHER={path} does not run: {answer.stderr.strip()[-300:]}")
    same = answer.stdout.split() == [str(part) for part in sys.version_info[:2]]
    return None if same else path


def _root() -> str | None:
    return None if os.geteuid() == 0 else "run as root"


@cache
def _netns() -> str | None:
    """Asked of the kernel, not guessed: containers often have root and `ip` and still may not unshare."""
    if problem := _root() or missing("command:ip"):
        return problem
    pair = "ip link add edgeprobe0 type veth peer name edgeprobe1 && ip link set lo up"
    return _try(["unshare", "--net", "sh", "-c", pair], "this kernel gives no network namespaces with veth")


@cache
def _mount_namespace() -> str | None:
    if problem := _root():
        return problem
    with tempfile.TemporaryDirectory() as folder:
        mount = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", folder]
        return _try(mount, "this kernel gives no mount namespaces")


@cache
def _card() -> str | None:
    """A file system on a loop device: asked of the kernel, in a mount namespace of its own."""
    for command in ("mkfs.ext4", "losetup", "fsfreeze"):
        if missing(f"command:{command}"):
            return "install e2fsprogs and util-linux"
    if problem := _mount_namespace():
        return problem
    with tempfile.TemporaryDirectory() as folder:
        make = "truncate -s 8M image && mkfs.ext4 -q -F image && mkdir m && mount -o loop image m && umount m"
        script = f"cd {folder} && {make}"
        return _try(["unshare", "--mount", "sh", "-c", script], "this kernel mounts no file system on a loop device")


# `unified` is where version 2 stands beside version 1.
CONTROL_GROUP = """top=/sys/fs/cgroup; [ -d $top/unified ] && top=$top/unified
[ -e $top/cgroup.procs ] && mkdir $top/edge-probe-$$ && rmdir $top/edge-probe-$$"""


@cache
def _booted() -> str | None:
    """A container with a systemd of its own: a root by mmdebstrap, an overlay, a control group of version 2."""
    for command, package in (("systemd-nspawn", "systemd-container"), ("mmdebstrap", "mmdebstrap")):
        if missing(f"command:{command}"):
            return f"install {package}"
    if problem := _mount_namespace():
        return problem
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        layers = "mkdir a b c d && mount -t overlay none -o lowerdir=a,upperdir=b,workdir=c d && touch d/x"
        overlay = ["unshare", "--mount", "sh", "-ec", f"cd {folder} && {layers}"]
        problem = _try(overlay, "this kernel gives no overlay")
    return problem or _try(["sh", "-c", CONTROL_GROUP], "this kernel gives no control group of version 2")


def _systemd_analyze() -> str | None:
    return None if shutil.which("systemd-analyze") else "install systemd"


def _python_other() -> str | None:
    return None if other_python() else "set EDGE_PYTHON_OTHER to a Python of another minor version"


def _try(command: list[str], problem: str) -> str | None:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{problem}: {error}"
    return None if answer.returncode == 0 else f"{problem}: {answer.stderr.strip()[:200]}"


@cache
def _aarch64() -> str | None:
    from tests.support.aarch64 import why_not

    if missing("command:mmdebstrap"):
        return "install mmdebstrap"
    return _mount_namespace() or why_not()


def _small_board() -> str | None:
    from tests.support.boards import small_board

    try:
        with small_board(512, 25):
            return None
    except OSError as error:
        return f"control groups of memory and cpu: {error}"


CONDITIONS: dict[str, Callable[[], str | None]] = {
    "root": _root,
    "netns": _netns,
    "mount-namespace": _mount_namespace,
    "card": _card,
    "small-board": _small_board,
    "aarch64": _aarch64,
    "booted": _booted,
    "systemd-analyze": _systemd_analyze,
    "python-other": _python_other,
}
