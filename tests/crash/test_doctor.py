"""`doctor` as an installer and a person run it: before there is a device, beside a daemon, after it died."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_runtime.base.errors import Exit
from tests.support.daemons import Daemon


def look(device: Daemon, code: int = Exit.OK) -> dict[str, dict[str, Any]]:
    """Run `doctor --json`; return its findings by check, the worst of each."""
    done = device.run("doctor", "--json", check=False)
    assert done.returncode == code and done.stderr == "", done
    value = json.loads(done.stdout)
    assert value["ok"] is (code == Exit.OK)
    order = {"ok": 0, "warning": 1, "error": 2}
    found: dict[str, dict[str, Any]] = {}
    for row in sorted(value["findings"], key=lambda row: order[row["level"]]):
        assert set(row) == {"check", "level", "says", "do"} and bool(row["do"]) is (row["level"] != "ok")
        found[row["check"]] = row
    return found


def test_the_doctor_works_before_beside_and_after_a_daemon(tmp_path: Path) -> None:
    """Behaviour: 14.10"""
    device = Daemon(tmp_path / "one", "--interface", "lo")
    first = look(device)
    assert first["daemon"]["level"] == "warning" and "not there" in first["permissions"]["says"]
    with device:
        beside = look(device)
        assert beside["daemon"]["level"] == beside["socket"]["level"] == beside["spool"]["level"] == "ok"
        assert beside["root-key"]["level"] == "warning", "the fleet of one has a root key, too"
        device.run("fleet", "backup", "-o", str(tmp_path / "root.toml"))
        assert look(device)["root-key"]["level"] == "ok"
        device.run("radio", "off")
        assert look(device)["radio"]["level"] == "warning"
        device.kill()
    assert look(device)["radio"]["level"] == "warning", "the spool remembers: nothing is sent without a daemon either"


def test_what_must_be_put_right_ends_with_code_1_and_is_well_once_done(tmp_path: Path) -> None:
    device = Daemon(tmp_path / "one")
    device.run("init")
    key = device.folder / "keys" / "device.key"
    key.chmod(0o644)
    assert look(device, Exit.FAILED)["permissions"]["do"] == f"chmod 600 {key}"
    text = device.run("doctor", check=False).stdout
    assert "WRONG  permissions" in text and text.endswith("1 thing must be put right.\n")
    key.chmod(0o600)
    assert look(device)["permissions"]["level"] == "ok"


def test_a_root_key_comes_back_from_its_backup_on_a_new_device(tmp_path: Path) -> None:
    first, second = Daemon(tmp_path / "first"), Daemon(tmp_path / "second")
    first.run("init")
    made = json.loads(first.run("fleet", "create", "field", "--json").stdout)
    file = tmp_path / "root.toml"
    told = first.run("fleet", "backup", "-o", str(file)).stdout
    assert "fleet restore FILE" in told
    again = first.run("fleet", "backup", "-o", str(file), check=False)
    assert again.returncode == Exit.USAGE and "there already" in again.stderr
    second.run("init")
    restored = json.loads(second.run("fleet", "restore", str(file), "--json").stdout)
    assert restored["fleet"] == made["fleet"] and restored["name"] == "field"
    third = Daemon(tmp_path / "third")
    device = json.loads(third.run("init", "--json").stdout)["device"]
    second.run("grant", device, "-o", str(tmp_path / "third.grant"))
    joined = json.loads(third.run("join", str(tmp_path / "third.grant"), "--json").stdout)
    assert joined["fleet"] == made["fleet"], "what the restored key signed is taken"
    assert look(second)["root-key"]["level"] == "ok"
    refused = third.run("fleet", "backup", "-o", str(tmp_path / "x"), check=False)
    assert refused.returncode == Exit.USAGE and "not here" in refused.stderr
