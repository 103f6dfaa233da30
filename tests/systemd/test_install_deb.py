"""deploy/build-deb.sh: a package that dpkg installs, upgrades, removes and purges on a booted Debian without network."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.booted import Machine, Root
from tests.support.daemons import ROOT
from tests.support.requires import require
from tests.support.wheels import FAILS_LATE, changed_wheel

RUN_S = 120.0


def build(wheels: Path, folder: Path, version: str, more: dict[str, str] | None = None) -> Path:
    """Return a package of another version, made from the wheels of a folder."""
    require("command:dpkg-deb")
    (own,) = wheels.glob("edge_runtime-*.whl")
    folder.mkdir()
    project = changed_wheel(own, folder, version, more)
    env = {**os.environ, "EDGE_SOURCE": str(project), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    command = ["sh", str(ROOT / "deploy/build-deb.sh"), "--arch", os.uname().machine, "--python", "3.11", "--extras", "mqtt"]
    done = subprocess.run([*command, str(folder)], env=env, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.deb")
    return made


@pytest.fixture(scope="module")
def packages(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three versions; the last one ends at its start."""
    folder = tmp_path_factory.mktemp("packages")
    return [
        build(wheels, folder / "1", "0.1.0"), build(wheels, folder / "2", "0.2.0"), build(wheels, folder / "3", "0.3.0", FAILS_LATE)
    ]  # fmt: skip


def test_a_package_is_installed_upgraded_removed_and_purged(bare: Root, packages: list[Path]) -> None:
    first, second, broken = packages
    with Machine(bare) as machine:
        for package in packages:
            machine.copy_in(package, f"/{package.name}")
        machine.run(f"dpkg --install /{first.name}", timeout=RUN_S)
        device = machine.run("edge-runtime --json status").stdout.split('"device": "')[1][:64]
        assert machine.run("systemctl is-enabled edge-runtime").stdout.strip() == "enabled"
        assert machine.run("/opt/edge-runtime/current/bin/python -c 'import aiomqtt'").returncode == 0, "the extras of the package"
        refused = machine.run("sh /usr/share/edge-runtime/wheels/install.sh", check=False)
        assert refused.returncode == 1 and "Use apt" in refused.stderr
        machine.run("systemctl disable edge-runtime && touch /etc/edge-runtime/mine")

        machine.run(f"dpkg --install /{second.name}", timeout=RUN_S)
        assert machine.run("edge-runtime --version").stdout == "edge-runtime 0.2.0\n"
        assert device in machine.run("edge-runtime --json status").stdout
        assert machine.run("systemctl is-enabled edge-runtime", check=False).stdout.strip() == "disabled", "the owner's word"

        failed = machine.run(f"dpkg --install /{broken.name}", timeout=RUN_S, check=False)
        assert failed.returncode != 0 and "The old one runs again" in failed.stderr
        assert device in machine.run("edge-runtime --json status").stdout
        assert "iF" in machine.run("dpkg -l edge-runtime").stdout, "dpkg knows that it is not configured"

        machine.run("dpkg --remove edge-runtime", timeout=RUN_S)
        assert not machine.path("/opt/edge-runtime").exists() and not machine.path("/usr/bin/edge-runtime").is_symlink()
        assert machine.path("/var/lib/edge-runtime/keys/device.key").exists()
        machine.run(f"dpkg --install /{second.name}", timeout=RUN_S)
        assert device in machine.run("edge-runtime --json status").stdout, "the same device as before"

        machine.run("dpkg --purge edge-runtime", timeout=RUN_S)
        left = machine.run("find / -xdev -name '*edge-runtime*' ! -path '/proc/*' ! -path '/var/log/*' ! -path '/tmp/*'")
        assert [line for line in left.stdout.splitlines() if not line.endswith(".deb")] == []
        assert machine.run("getent passwd edge-runtime; getent group edge-runtime", check=False).stdout == ""


def test_a_package_does_not_install_over_what_the_script_installed(bare: Root, packages: list[Path]) -> None:
    with Machine(bare) as machine:
        machine.copy_in(packages[0], "/one.deb")
        machine.run("mkdir -p /opt/edge-runtime/versions && touch /etc/systemd/system/edge-runtime.service")
        refused = machine.run("dpkg --install /one.deb", timeout=RUN_S, check=False)
        assert refused.returncode != 0 and "install.sh --uninstall" in refused.stderr
