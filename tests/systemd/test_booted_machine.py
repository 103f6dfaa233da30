"""The booted machine that the tests of this level stand on: pristine, real, and gone afterwards."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.booted import Machine, Root, with_layer
from tests.support.lan import Lan
from tests.support.requires import require


def test_a_machine_boots_pristine_keeps_its_files_over_reboots_and_leaves_nothing(bare: Root) -> None:
    with Machine(bare) as machine:
        group = machine.name
        assert machine.run("ps -o comm= -p 1").stdout == "systemd\n"
        machine.write("/etc/mine", "here")
        boot = machine.run("cat /proc/sys/kernel/random/boot_id").stdout
        machine.reboot()
        assert machine.run("cat /etc/mine").stdout == "here"
        assert machine.run("cat /proc/sys/kernel/random/boot_id").stdout != boot
        machine.cut_power()
        machine.boot()
        assert machine.run("cat /etc/mine").stdout == "here"
        leader = machine.leader
    assert not os.path.exists(f"/proc/{leader}")
    assert group not in Path("/proc/self/mountinfo").read_text()
    assert not list(Path("/dev/shm").glob(f"{group}*"))
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{group}")) and not list(Path("/sys/fs/cgroup").glob(group))
    with Machine(bare) as machine:
        assert machine.run("cat /etc/mine", check=False).returncode == 1


def test_a_layer_is_laid_over_a_root_and_leaves_it_alone(bare: Root, tmp_path: Path) -> None:
    gift = tmp_path / "gift"
    gift.mkdir()
    (gift / "it").write_text("given")
    root = with_layer(bare, tmp_path / "layer", "cp /mnt/it /etc/layer; rm /etc/debian_version", {gift: "/mnt"})
    assert not (bare[-1] / "etc/layer").exists() and (bare[-1] / "etc/debian_version").exists()
    with Machine(root) as machine:
        assert machine.run("cat /etc/layer; ls /etc/debian_version", check=False).stdout == "given"


def test_a_machine_stands_on_a_lan(bare: Root) -> None:
    require("netns")
    with Lan(2) as lan, Machine(bare, network=lan.namespace(1)) as machine:
        assert lan.address(1) in machine.run("ip -br address show dev eth0").stdout
