"""deploy/install.sh on a booted Debian without network: install, upgrade, go back, uninstall."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.booted import Machine, Root, with_layer
from tests.support.daemons import ROOT
from tests.support.wheels import FAILS_LATE, changed_wheel

INSTALLER = ROOT / "deploy" / "install.sh"
VERSION = "0.1.0"
RUN_S = 120.0
APP = """
from pathlib import Path
from edge_runtime import App, Context
app = App("trip")

def mark(word: str) -> str:
    with open("/var/lib/edge-runtime/marks", "a") as marks:
        marks.write(f"{word}\\n")
    return word

def read(path: str) -> str:
    try:
        open(path, "rb", buffering=0).close()
    except OSError as error:
        return error.strerror
    return "open"

@app.intent("trip")
async def trip(ctx: Context) -> str:
    await ctx.run("first", mark, "first")
    await ctx.until("door.open == True")
    await ctx.run("second", mark, "second")
    return "there"

@app.intent("read")
async def read_node(ctx: Context, path: str) -> str:
    return await ctx.run("read", read, path)
"""
CONFIG = '[device]\nname = "board"\n\n[[apps]]\nmodule = "trip:app"\npath = "/opt/trip"\n'

@pytest.fixture(scope="module")
def house(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheelhouse with its installer, as deploy/wheelhouse.sh makes it."""
    folder = tmp_path_factory.mktemp("house") / "wheels"
    shutil.copytree(wheels, folder)
    shutil.copy(INSTALLER, folder)
    return folder


@pytest.fixture(scope="module")
def installed(bare: Root, house: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root in which the installer has run while it was no running machine, as when an image is made."""
    files = tmp_path_factory.mktemp("files")
    (files / "trip.py").write_text(APP)
    (files / "config.toml").write_text(CONFIG)
    copy = "mkdir -p /opt/trip /etc/edge-runtime && cp /files/trip.py /opt/trip && cp /files/config.toml /etc/edge-runtime"
    binds = {house: "/wheels", files: "/files"}
    layer = tmp_path_factory.mktemp("installed") / "layer"
    return with_layer(bare, layer, f"{copy} && sh /wheels/install.sh && test ! -e /var/lib/edge-runtime", binds)


@pytest.fixture
def board(installed: Root) -> Iterator[Machine]:
    """A board at its first boot after `installed`."""
    with Machine(installed) as machine:
        machine.wait(lambda: ask(machine, "status"), 20, "the daemon answers")
        yield machine


def install(machine: Machine, *words: str, code: int = 0, env: str = "") -> str:
    """Run the installer that stands in /wheels; return all that it said."""
    command = f"{env} sh /wheels/install.sh {' '.join(words)} 2>&1"
    done = machine.run(command, timeout=RUN_S, check=False)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def ask(machine: Machine, words: str) -> Any:
    """Return what a command of the installed program answers; None if it fails."""
    done = machine.run(f"edge-runtime --json {words}", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def other_version(house: Path, machine: Machine, version: str, more: dict[str, str] | None = None) -> None:
    """Put a wheelhouse whose project is of another version into /wheels of the machine."""
    machine.run("rm -rf /wheels")
    machine.copy_in(house, "/wheels")
    (own,) = house.glob("edge_runtime-*.whl")
    machine.run("rm /wheels/edge_runtime-*.whl")
    changed_wheel(own, machine.path("/wheels"), version, more)


def begin_trip(machine: Machine) -> None:
    """An object in flight: one step done, asleep until the door is open."""
    machine.run("edge-runtime submit trip --name t")
    machine.wait(lambda: (ask(machine, "show t") or {}).get("status") == "dormant", 20, "it sleeps")


def end_trip(machine: Machine) -> None:
    """It goes on where it was: what was done is not done again."""
    machine.run("edge-runtime fact set door.open=true")
    machine.wait(lambda: (ask(machine, "show t") or {}).get("result") == "there", 20, "it arrives")
    assert machine.path("/var/lib/edge-runtime/marks").read_text() == "first\nsecond\n"


def opened(machine: Machine, path: str) -> str:
    """What a step that opens a device node says, inside the daemon's sandbox."""
    return str(ask(machine, f"submit read --arg path={path} --wait")["result"])


def version_of(machine: Machine) -> str:
    """What the running daemon's program says of itself."""
    return machine.run("edge-runtime --version").stdout.split()[1]


def pid_of(machine: Machine) -> str:
    return machine.run("systemctl show --property MainPID --value edge-runtime").stdout.strip()


# --- Install -----------------------------------------------------------------------------------------------------------


def test_one_command_on_a_bare_debian_without_network_ends_with_a_daemon_that_answers(bare: Root, house: Path) -> None:
    with Machine(bare) as machine:
        machine.copy_in(house, "/wheels")
        assert "not started" in install(machine, "--no-start")
        assert machine.run("systemctl is-active edge-runtime", check=False).stdout.strip() == "inactive"
        said = install(machine, "--operator www-data")
        assert f"the daemon is ready: version {VERSION}" in said and "Next:" in said
        assert ask(machine, "status")["objects"] is not None
        assert machine.run("systemctl is-enabled edge-runtime").stdout.strip() == "enabled"
        assert machine.run("id -nG www-data").stdout.split() == ["www-data", "edge-runtime"]
        found = machine.run("stat -c '%U:%G %a %n' /var/lib/edge-runtime /var/lib/edge-runtime/keys /etc/edge-runtime").stdout
        assert found.splitlines() == [
            "edge-runtime:edge-runtime 750 /var/lib/edge-runtime",
            "edge-runtime:edge-runtime 700 /var/lib/edge-runtime/keys",
            "root:root 755 /etc/edge-runtime",
        ]
        assert machine.run("runuser -u www-data -- edge-runtime status").returncode == 0
        assert machine.path("/usr/local/share/man/man1/edge-runtime.1").read_text().startswith(".TH EDGE-RUNTIME")
        assert "_edge_runtime" in machine.path("/etc/bash_completion.d/edge-runtime").read_text()
        # Again: nothing is made anew, nothing restarts, and what the owner wrote stays.
        pid = pid_of(machine)
        machine.write("/etc/edge-runtime/config.toml", '[device]\nname = "mine"\n')
        said = install(machine)
        assert "installed already" in said and "nothing has changed" in said
        assert pid_of(machine) == pid
        assert machine.path("/etc/edge-runtime/config.toml").read_text() == '[device]\nname = "mine"\n'


def test_an_image_that_was_installed_without_running_makes_its_own_key_at_its_first_boot(installed: Root) -> None:
    ids = set()
    for _ in range(2):
        with Machine(installed) as machine:
            machine.wait(lambda: ask(machine, "status"), 20, "the daemon answers")
            ids.add(ask(machine, "status")["device"])
    assert len(ids) == 2, "two cards from one image are one device"


def test_hardware_that_is_named_is_let_into_the_sandbox_and_nothing_else(board: Machine, house: Path) -> None:
    board.copy_in(house, "/wheels")
    video = int(board.run("getent group video").stdout.split(":")[2])
    for name, number, group in (("camera0", 229, video), ("camera1", 237, 0)):  # of fuse and loop-control: they can be opened
        os.mknod(board.path(f"/dev/{name}"), 0o660 | stat.S_IFCHR, os.makedev(10, number))
        os.chown(board.path(f"/dev/{name}"), 0, group)
    assert opened(board, "/dev/camera0") == "No such file or directory"
    said = install(board, "--device /dev/camera0 --group video --device /dev/camera9")
    assert "/dev/camera9 is not there now" in said
    assert opened(board, "/dev/camera0") == "open"
    assert opened(board, "/dev/camera1") == "Permission denied"
    # That no other node can be opened, whatever its mode, systemd does by BPF, which a container may not have: so it is asked.
    allowed = board.run("systemctl show --property DevicePolicy --property DeviceAllow edge-runtime").stdout
    assert {"DeviceAllow=/dev/camera0 rw", "DeviceAllow=/dev/camera9 rw", "DevicePolicy=closed"} <= set(allowed.splitlines())
    assert "camera1" not in allowed
    assert "nothing has changed" in install(board, "--device /dev/camera0 --group video")


@pytest.mark.parametrize(
    ("before", "command", "says"),
    [
        ("true", "runuser -u www-data -- sh /wheels/install.sh", "must run as root"),
        ("echo ID=fedora >/etc/os-release", "sh /wheels/install.sh", "no Debian"),
        ("rm /usr/bin/systemctl", "sh /wheels/install.sh", "no systemd here"),
        ("rm -r /usr/lib/python3*/ensurepip", "sh /wheels/install.sh", "apt install python3-venv"),
        ("rm /wheels/msgspec*", "sh /wheels/install.sh", "packages are missing"),
        ("true", "PYTHON=/bin/false sh /wheels/install.sh", "no Python 3.11 or newer"),
        ("true", "EDGE_SOURCE=/nowhere/x.whl sh /wheels/install.sh", "there is no such file"),
        ("exec 8>/opt/edge-runtime/.lock; flock 8", "sh /wheels/install.sh", "another install.sh is at work"),
    ],
)
def test_what_cannot_be_is_one_clear_error_and_nothing_is_installed(
    bare: Root, house: Path, tmp_path: Path, before: str, command: str, says: str
) -> None:
    script = f"cp -r /house /wheels; chmod -R a+rX /wheels; mkdir -p /opt/edge-runtime; {before}\ncode=0; {command} >/out 2>&1 || code=$?; test $code = 1"
    with_layer(bare, tmp_path / "layer", script, {house: "/house"})
    said = (tmp_path / "layer" / "out").read_text()
    assert says in said.splitlines()[-1]
    assert not (tmp_path / "layer/opt/edge-runtime/current").is_symlink()
    assert not (tmp_path / "layer/etc/systemd/system/edge-runtime.service").exists()


def test_a_file_to_join_with_is_kept_for_the_daemon_alone_and_counts_from_the_next_start(bare: Root, house: Path) -> None:
    with Machine(bare) as machine:
        machine.copy_in(house, "/wheels")
        install(machine)
        # Another device, on the same machine and without a daemon, grants.
        own = "/opt/edge-runtime/bin/edge-runtime --state /srv/first --json"
        fleet = json.loads(machine.run(f"{own} fleet create boats").stdout)["fleet"]
        machine.run(f"{own} grant {ask(machine, 'status')['device']} --roles executor -o /srv/boats.grant")
        assert "as soon as it reaches who invited" in install(machine, "--join /srv/boats.grant")
        found = machine.run("stat -c '%U:%G %a' /etc/edge-runtime/invitation").stdout.strip()
        assert found == "root:edge-runtime 640", "an invitation is a secret while it is open"
        machine.wait(lambda: fleet in str(ask(machine, "status")), 20, "it has joined")
        assert "nothing has changed" in install(machine, "--join /srv/boats.grant")


# --- Upgrade -----------------------------------------------------------------------------------------------------------


def test_an_upgrade_keeps_objects_in_flight_and_can_be_taken_back(board: Machine, house: Path) -> None:
    begin_trip(board)
    other_version(house, board, "0.2.0")
    said = install(board)
    assert "the daemon is ready: version 0.2.0" in said
    assert version_of(board) == "0.2.0"
    said = board.run("sh /opt/edge-runtime/install.sh --rollback", timeout=RUN_S).stdout
    assert f"the daemon is ready: version {VERSION}" in said
    assert version_of(board) == VERSION
    end_trip(board)
    board.reboot()
    board.wait(lambda: ask(board, "status"), 20, "the daemon answers")
    assert version_of(board) == VERSION and ask(board, "show t")["result"] == "there"


def test_a_version_that_does_not_become_ready_is_replaced_by_the_old_one(board: Machine, house: Path) -> None:
    begin_trip(board)
    other_version(house, board, "0.3.0", FAILS_LATE)
    said = install(board, code=1)
    assert "broken on purpose" in said, "the log is shown"
    assert said.splitlines()[-1].startswith("install.sh: the new version did not become ready")
    assert version_of(board) == VERSION and ask(board, "status")
    assert len(list(board.path("/opt/edge-runtime/versions").iterdir())) == 1, "the broken one takes no room"
    end_trip(board)


def test_a_version_that_migrated_the_spool_and_then_failed_leaves_it_as_it_was(board: Machine, house: Path) -> None:
    begin_trip(board)
    migration = "UPGRADES[SCHEMA_VERSION] = 'CREATE TABLE later (x INTEGER);'\nSCHEMA_VERSION += 1\n"
    newer = {"edge_runtime/node/schema.py": migration}
    other_version(house, board, "0.4.0", {**FAILS_LATE, **newer})
    said = install(board, code=1)
    assert "copying the spool first" in said and "The old one runs again" in said
    assert not board.path("/var/lib/edge-runtime/spool.before-upgrade").exists()
    assert "edge-runtime:edge-runtime 600" in board.run("stat -c '%U:%G %a' /var/lib/edge-runtime/spool.db").stdout
    end_trip(board)
    other_version(house, board, "0.4.1", newer)
    assert "the daemon is ready: version 0.4.1" in install(board)
    done = board.run("sh /opt/edge-runtime/install.sh --rollback", timeout=RUN_S, check=False)
    assert done.returncode == 1 and "Nothing was changed" in done.stderr, "the old one could not read it"
    assert version_of(board) == "0.4.1" and ask(board, "show t")["result"] == "there"


def test_a_configuration_that_the_new_version_refuses_stops_the_upgrade_before_it_begins(
    board: Machine, house: Path
) -> None:
    pid = pid_of(board)
    board.write("/etc/edge-runtime/config.toml", "[devise]\n")
    other_version(house, board, "0.2.0")
    said = install(board, code=1)
    assert "devise" in said and "untouched" in said.splitlines()[-1]
    assert (version_of(board), pid_of(board)) == (VERSION, pid)


def test_power_that_goes_away_during_an_upgrade_leaves_the_old_version_and_the_next_run_ends_it(
    board: Machine, house: Path
) -> None:
    begin_trip(board)
    other_version(house, board, "0.2.0")
    running = subprocess.Popen(board.words(["sh", "/wheels/install.sh"]), stdout=subprocess.DEVNULL)
    try:
        pip = board.path("/opt/edge-runtime/versions/2/lib/python3.11/site-packages/msgspec")
        board.wait(pip.exists, 60, "packages are being installed")
        board.cut_power()
    finally:
        running.kill()
        running.wait(10)
    board.boot()
    board.wait(lambda: ask(board, "status"), 20, "the daemon answers")
    assert version_of(board) == VERSION
    assert "the daemon is ready: version 0.2.0" in install(board)
    end_trip(board)


# --- Uninstall ---------------------------------------------------------------------------------------------------------


def test_uninstalling_keeps_the_state_and_a_new_installation_is_the_same_device(board: Machine, house: Path) -> None:
    begin_trip(board)
    device = ask(board, "status")["device"]
    board.copy_in(house, "/wheels")
    board.write("/etc/systemd/system/edge-runtime.service.d/mine.conf", "[Service]\nNice=5\n")
    said = board.run("sh /opt/edge-runtime/install.sh --uninstall").stdout
    assert "kept: the state in /var/lib/edge-runtime" in said
    for gone in ("/opt/edge-runtime", "/usr/local/bin/edge-runtime", "/etc/systemd/system/edge-runtime.service"):
        assert not board.path(gone).exists(), gone
    assert board.path("/etc/systemd/system/edge-runtime.service.d/mine.conf").exists(), "what the owner wrote stays"
    assert board.run("systemctl is-active edge-runtime", check=False).returncode != 0
    install(board)
    assert ask(board, "status")["device"] == device
    end_trip(board)


def test_purging_needs_a_yes_and_then_leaves_nothing(board: Machine) -> None:
    refused = board.run("sh /opt/edge-runtime/install.sh --uninstall --purge", check=False)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert ask(board, "status"), "it still runs"
    board.run("sh /opt/edge-runtime/install.sh --uninstall --purge --yes")
    left = board.run("find / -xdev -name '*edge-runtime*' ! -path '/proc/*' ! -path '/var/log/*' ! -path '/tmp/*'").stdout
    assert left == ""
    assert board.run("getent passwd edge-runtime; getent group edge-runtime", check=False).stdout == ""
