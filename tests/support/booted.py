"""A machine of its own for a test: a minimal Debian with a booted systemd, as a container of this machine (root only).

    with Machine(debian()) as machine:                  # pristine; up in a second
        machine.copy_in(ROOT / "deploy", "/src/deploy")
        machine.run("sh /src/deploy/install.sh", timeout=60)
        machine.reboot()                                # files stay, processes do not
        machine.run("systemctl is-active edge-runtime")

A test says `require("booted")` first. A root is a list of folders, upmost first, laid over each other by an overlay; a
machine writes into a folder of its own in memory, which is deleted with it. All mounts are in a mount namespace that
dies with the machine's processes, so that even a killed test leaves nothing mounted.

What is made once per machine stands in `~/.cache/edge-runtime-tests` (or `$EDGE_TEST_CACHE`): the Debian (263 MB, half
a minute) and wheels of the package's dependencies; whoever comes second meanwhile waits for it.

Source: systemd-nspawn(1). Three things are not as in its examples: the machine keeps a control group of ours, for there
may be no systemd here to make one; `systemd-nspawn` itself is never signalled (that would leave its children), its
first process is; limits of memory and processor do nothing inside where this kernel has control groups of version 1.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.daemons import ROOT, wait_until

# What stands in a minimal Debian on which somebody is about to install the daemon.
SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "python3-minimal", "python3-venv", "ca-certificates", "iproute2", "procps",
)  # fmt: skip
PYTHON = "3.11"  # of that Debian
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAKE_S_MAX = 300
# Without these a unit's DeviceAllow= and DevicePolicy= would do nothing inside: systemd sets them by a BPF program.
DEVICE_RULES = ("--system-call-filter=bpf", "--capability=CAP_BPF")
UP_S_MAX = 60.0
DOWN_S_MAX = 30.0
REBOOTED = 133  # what systemd-nspawn --keep-unit ends with when the machine wants to start again
_numbers = itertools.count(1)

Root = tuple[Path, ...]


# --- Roots ----------------------------------------------------------------------------------------------------------


def cache() -> Path:
    """Return the folder for what is made once per machine."""
    folder = Path(os.environ.get("EDGE_TEST_CACHE") or Path.home() / ".cache" / "edge-runtime-tests")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Wait until no other process makes the same thing."""
    with open(cache() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache; if it is missing, `make` is given a path at which it makes it first."""
    folder = cache() / name
    with _alone(name):
        if not folder.exists():
            unfinished = cache() / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def debian(*more: str) -> Root:
    """Return a minimal Debian: systemd, and Python with venv; nothing of ours.

    Args:
        more: further packages that stand in it; each choice is a root of its own.
    """
    packages = (*PACKAGES, *more)
    key = hashlib.sha256(" ".join((SUITE, *packages)).encode()).hexdigest()[:12]

    def make(folder: Path) -> None:
        _run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", SUITE, str(folder)])

    return (made_once(f"debian-{SUITE}-{key}", make),)


def wheelhouse(folder: Path) -> Path:
    """Fill a folder with wheels of the package, as it stands in this tree, and of all it depends on; return it.

    They fit the Debian's Python, whichever runs the tests: `pip install --no-index --find-links FOLDER edge-runtime`.
    """
    _run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)])
    wanted = "edge-runtime[mqtt,mavlink,web]"
    key = hashlib.sha256(wanted.encode() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()[:12]
    machine = platform.machine()
    places = [f"--platform=manylinux_{of}_{machine}" for of in ("2_36", "2_34", "2_28", "2_17")]
    places += [f"--platform=manylinux2014_{machine}", "--platform=any"]
    tags = [f"--python-version={PYTHON}", "--implementation=cp", *(f"--abi={abi}" for abi in ("cp311", "abi3", "none"))]

    def make(made: Path) -> None:
        where = ["--only-binary=:all:", *places, *tags, "-d", str(made), "--find-links", str(folder)]
        _run([sys.executable, "-m", "pip", "download", "-q", *where, wanted])
        for own in made.glob("edge_runtime-*"):
            own.unlink()

    for wheel in made_once(f"wheels-{PYTHON}-{key}", make).iterdir():
        shutil.copy2(wheel, folder)
    return folder


def with_layer(below: Root, layer: Path, script: str, binds: Mapping[Path, str] | None = None) -> Root:
    """Return a root with one folder more: what a shell script run in it (not booted, no network needed) writes.

    Args:
        layer: an empty or missing folder for it. binds: folders of this machine that the script sees, and where.
    """
    layer.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="edge-layer-", dir=layer.parent))
    try:
        steps = [_overlay(below, layer, work)]
        for source, target in (binds or {}).items():
            steps += [f"mkdir -p {work}/root{target}", f"mount --bind {shlex.quote(str(source))} {work}/root{target}"]
        steps += [f"mount -t proc proc {work}/root/proc", f"exec chroot {work}/root /bin/sh -euc {shlex.quote(script)}"]
        _run(_own_mounts(steps), env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"})
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return (layer, *below)


def _overlay(below: Root, upper: Path, work: Path) -> str:
    """Return the shell command that mounts a root at WORK/root, writable into `upper`."""
    (work / "work").mkdir(exist_ok=True)
    (work / "root").mkdir(exist_ok=True)
    layers = f"lowerdir={':'.join(map(str, below))},upperdir={upper},workdir={work / 'work'}"
    return f"mount -t overlay edge-test -o {shlex.quote(layers)} {work / 'root'}"


def _own_mounts(steps: Sequence[str]) -> list[str]:
    return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", "\n".join(steps)]


def _run(argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MAKE_S_MAX, env=env, check=False
    )
    said = f"{done.stdout[-1500:]}{done.stderr[-3000:]}"
    assert done.returncode == 0, f"{shlex.join(argv)[:300]}: {done.returncode}\n{said}"
    return done.stdout


# --- Machines -------------------------------------------------------------------------------------------------------


class Machine:
    """One booted machine. Use as `with Machine(root) as machine`; it is up inside.

    Args:
        root: what it starts with; it is not written to.
        network: a network namespace by its name under /run/netns (such as `Lan.namespace(1)`); None for one of its own
            with nothing but loopback.
        arguments: more of systemd-nspawn's, such as `--bind=/dev/fuse`.
    """

    def __init__(self, root: Root, network: str | None = None, arguments: Sequence[str] = ()) -> None:
        self.name = f"edge{os.getpid()}m{next(_numbers)}"
        self.root = root
        space = "--private-network" if network is None else f"--network-namespace-path=/run/netns/{network}"
        self._arguments = (space, *arguments)
        memory = Path("/dev/shm")
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=memory if memory.is_dir() else None))
        self._files = self._folder / "files"
        self._files.mkdir()
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.leader = 0  # the process that is number 1 inside, as this machine counts; 0 while it is down
        self.console = self._folder / "console"  # what it printed at boot

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- Power ---

    def boot(self) -> None:
        """Start it, and wait until its systemd has started everything."""
        assert self._nspawn is None, "it is up"
        groups = _control_groups(self.name)
        for group in groups:
            group.mkdir(exist_ok=True)
        nspawn = [
            "systemd-nspawn", "--quiet", f"--directory={self._folder}/root", f"--machine={self.name}",
            "--register=no", "--keep-unit", "--console=pipe", "--link-journal=no", "--resolv-conf=off",
            "--timezone=off", *DEVICE_RULES, *self._arguments, "--boot",
        ]  # fmt: skip
        steps = [f"echo $$ > {group}/cgroup.procs" for group in groups]
        steps += [_overlay(self.root, self._files, self._folder), f"exec {shlex.join(nspawn)}"]
        with open(self.console, "ab") as console:
            self._nspawn = subprocess.Popen(
                _own_mounts(steps), stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )  # fmt: skip
        wait_until(self._is_up, UP_S_MAX, f"{self.name} boots")

    def power_off(self) -> None:
        """Shut it down in order and wait for its end; its files stay for the next `boot`."""
        self._signal(signal.SIGRTMIN + 4)  # systemd(1), "Signals"
        self._wait_down()

    def reboot(self) -> None:
        """Shut it down in order and boot it again."""
        self._signal(signal.SIGRTMIN + 5)
        assert self._wait_down() == REBOOTED, self._tail()
        self.boot()

    def cut_power(self) -> None:
        """End all of its processes at once. What they wrote stays: for flushes that never happened, see `cards`."""
        self._signal(signal.SIGKILL)
        self._wait_down()

    def keep_files(self, layer: Path) -> None:
        """Copy what it wrote to a folder, as a layer of other roots; it is powered off."""
        assert self._nspawn is None, "it is up"
        _run(["cp", "--archive", f"{self._files}/.", str(layer)])

    def close(self) -> None:
        """End and delete it."""
        try:
            if self._nspawn is not None:
                self.leader = self.leader or self._find_leader()
                if self.leader:
                    self._signal(signal.SIGKILL)
                elif self._nspawn.poll() is None:
                    self._nspawn.kill()  # it has no machine yet
                self._wait_down()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _signal(self, number: int) -> None:
        assert self.leader, "it is down"
        try:
            os.kill(self.leader, number)
        except ProcessLookupError:
            pass  # it went down by itself

    def _wait_down(self) -> int:
        assert self._nspawn is not None
        code = self._nspawn.wait(DOWN_S_MAX)
        self._nspawn, self.leader = None, 0
        for group in _control_groups(self.name):
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)
        return code

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, self._tail()
        self.leader = self.leader or self._find_leader()
        if not self.leader:
            return False
        state = self.run("systemctl is-system-running", check=False).stdout.strip()
        assert state != "maintenance", self._tail()
        return state in ("running", "degraded")

    def _find_leader(self) -> int:
        assert self._nspawn is not None
        task = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        try:
            for child in task.read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                spaces = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
                if spaces[-1] == "1" and len(spaces) == 3 and "Name:\tsystemd\n" in status:
                    return int(child)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it began or ended meanwhile
        return 0

    def _tail(self) -> str:
        return f"{self.name}: {self.console.read_text(errors='replace')[-3000:]}"

    # --- Inside ---

    def run(
        self, command: str, user: str = "root", timeout: float = 30.0, check: bool = True, stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a shell command inside to its end.

        Args:
            user: who runs it, with a home and groups as after logging in. timeout: in seconds.
        """
        inner = ["sh", "-c", command] if user == "root" else ["runuser", "-u", user, "--", "sh", "-c", command]
        done = subprocess.run(
            self.words(inner), input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})},
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def words(self, argv: Sequence[str]) -> list[str]:
        """Return the command line, for a process of this machine, that runs a program inside."""
        return ["nsenter", f"--target={self.leader}", *"-m -u -i -n -p -C -r -w".split(), "--", *argv]

    def path(self, inside: str) -> Path:
        """Return where a file of the running machine stands on this one."""
        return Path(f"/proc/{self.leader}/root") / inside.lstrip("/")

    def copy_in(self, source: Path, target: str, mode: int | None = None) -> None:
        """Copy a file or folder to the path `target` inside; folders above it are made. Owner: root."""
        place = self.path(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, place)
            shutil.copymode(source, place)
        if mode is not None:
            place.chmod(mode)

    def write(self, target: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside, whole; folders above it are made."""
        place = self.path(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def wait(self, check: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for a condition; fail with what the machine's journal says."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if check():
                return
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.journal()[-3000:]}")

    def journal(self, *words: str) -> str:
        """Return the journal of this boot, or what `words` of journalctl select of it."""
        return self.run(shlex.join(["journalctl", "--no-pager", "-b", "-o", "short-monotonic", *words])).stdout


def _control_groups(name: str) -> list[Path]:
    """Return the machine's own control group in each hierarchy that its systemd wants to see."""
    tops = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd")]
    return [top / name for top in tops if (top / "cgroup.procs").exists()]
