"""Many boards at once: cloud-init at a card's first boot, and Ansible."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.booted import Machine, Root, debian, made_once, with_layer
from tests.support.daemons import ROOT
from tests.support.requires import require

DEPLOY = ROOT / "deploy"
RUN_S = 180.0
# ansible-core for the Debian's own Python; what runs the tests may be another one.
ANSIBLE = "ansible-core==2.17.14"
CONFIG = '[device]\nname = "from-the-card"\n'


@pytest.fixture(scope="module")
def house(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheelhouse with its installer, as deploy/wheelhouse.sh makes it."""
    folder = tmp_path_factory.mktemp("house") / "edge-runtime"
    shutil.copytree(wheels, folder)
    shutil.copy(DEPLOY / "install.sh", folder)
    return folder


# --- cloud-init --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def card(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands on a card's boot partition."""
    folder = tmp_path_factory.mktemp("card")
    for name in ("user-data", "meta-data"):
        shutil.copy(DEPLOY / "cloud-init" / name, folder)
    shutil.copytree(house, folder / "edge-runtime")
    (folder / "edge-runtime/config.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def image(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A Debian with cloud-init, and the card's files where its NoCloud source looks for them."""
    require("booted")
    # No network, and none of the locales and keys that this small Debian has no programs for.
    settings = "datasource_list: [NoCloud]\\nnetwork: {config: disabled}\\nlocale: false\\nssh_genkeytypes: []\\n"
    script = (
        "cloud-init schema --config-file /card/user-data >/schema 2>&1\n"
        "mkdir -p /var/lib/cloud/seed/nocloud /boot/firmware\n"
        "cp /card/user-data /card/meta-data /var/lib/cloud/seed/nocloud/\n"
        f"printf '{settings}' >/etc/cloud/cloud.cfg.d/99-test.cfg\n"
    )
    return with_layer(debian("cloud-init"), tmp_path_factory.mktemp("image") / "layer", script, {card: "/card"})


def ask(machine: Machine, words: str) -> Any:
    """Return what a command of the installed program answers; None if it fails."""
    done = machine.run(f"edge-runtime --json {words}", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def first_boot(machine: Machine) -> dict[str, Any]:
    """Wait until cloud-init is through; what the daemon says of itself then."""
    machine.run("cloud-init status --wait", timeout=RUN_S, check=False)
    log = machine.path("/var/log/cloud-init-output.log").read_text()
    assert machine.run("cloud-init status", check=False).stdout.split()[1] == "done", log[-3000:]
    return dict(ask(machine, "status"))


def test_cloud_init_itself_finds_nothing_wrong_with_the_user_data(image: Root) -> None:
    assert (image[0] / "schema").read_text().strip().startswith("Valid")


def test_a_card_makes_a_device_of_a_board_at_its_first_boot_without_network(image: Root, card: Path, tmp_path: Path) -> None:
    boot = "mkdir -p /boot/firmware && cp -r /card/edge-runtime /boot/firmware/edge-runtime"
    with Machine(with_layer(image, tmp_path / "boot", boot, {card: "/card"})) as machine:
        status = first_boot(machine)
        assert status["name"] == "from-the-card", "the configuration of the card counts from the first start on"
        said = json.loads(machine.path("/boot/firmware/edge-runtime/device.json").read_text())
        assert said["device"] == status["device"], "an operator reads on the card whom to let in"
        machine.reboot()
        machine.wait(lambda: ask(machine, "status"), 30, "the daemon answers")
        assert ask(machine, "status")["device"] == status["device"], "cloud-init makes a device once"


def test_a_card_without_wheels_asks_the_package_index(image: Root, card: Path, tmp_path: Path) -> None:
    # The index is a folder here, and pip is told so as anybody would tell it.
    index = (
        "cp -r /card/edge-runtime /index && rm /index/install.sh /index/config.toml\n"
        "printf '[global]\\nno-index = true\\nfind-links = /index\\n' >/etc/pip.conf"
    )
    with Machine(with_layer(image, tmp_path / "index", index, {card: "/card"})) as machine:
        assert first_boot(machine)["name"] == "board-1", "the host name that cloud-init gave"


# --- Ansible -----------------------------------------------------------------------------------------------------------


def ansible() -> Path:
    """A root's layer with ansible-core for the Debian's Python in /ansible."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder / "ansible")]
        command += ["--python-version", "3.11", "--implementation", "cp", "--only-binary=:all:", ANSIBLE]
        subprocess.run(command, check=True, timeout=RUN_S, capture_output=True)

    return made_once(f"ansible-{ANSIBLE.replace('==', '-')}", make)


def play(machine: Machine, **variables: Any) -> tuple[int, int, str]:
    """Run the example's playbook inside; how many tasks changed something, how many failed, and all that was said."""
    machine.write("/variables.json", json.dumps(variables))
    command = (
        "cd /src/deploy/ansible && PYTHONPATH=/ansible ANSIBLE_NOCOLOR=1 ANSIBLE_PIPELINING=1 python3 -m ansible playbook "
        "-i localhost, -c local -e @/variables.json -e ansible_python_interpreter=/usr/bin/python3 play.yml"
    )
    done = machine.run(command, timeout=RUN_S, check=False)
    recap = re.search(r"^localhost .*changed=(\d+) .*failed=(\d+)", done.stdout, re.M)
    assert recap, done.stdout + done.stderr
    return int(recap[1]), int(recap[2]), done.stdout


def test_the_role_installs_once_then_changes_nothing_and_refuses_a_wrong_configuration(bare: Root, house: Path) -> None:
    with Machine((ansible(), *bare)) as machine:
        machine.copy_in(DEPLOY, "/src/deploy")
        machine.copy_in(house, "/wheels")
        playbook = (DEPLOY / "ansible/playbook.yml").read_text()
        machine.write("/src/deploy/ansible/play.yml", playbook.replace("hosts: edge", "hosts: localhost").replace("become: true", "become: false"))
        chosen = {
            "edge_runtime_wheelhouse": "/wheels", "edge_runtime_config": '[device]\nname = "by-ansible"\n',
            "edge_runtime_groups": ["video"], "edge_runtime_operators": ["www-data"],
        }  # fmt: skip
        changed, failed, said = play(machine, **chosen)
        assert changed > 0 and failed == 0, said
        assert ask(machine, "status")["name"] == "by-ansible"
        changed, failed, said = play(machine, **chosen)
        assert (changed, failed) == (0, 0), said
        _, failed, said = play(machine, **{**chosen, "edge_runtime_config": "[devise]\n"})
        assert failed == 1 and "devise" in said
        assert "by-ansible" in machine.path("/etc/edge-runtime/config.toml").read_text(), "the right one stays"
