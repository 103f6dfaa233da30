"""The checks of permissions, root keys and settings, on real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.doctor.finding import Finding, Known, Level, Place
from edge_runtime.host.doctor.permissions import check_roots, check_settings, check_socket, check_state
from edge_runtime.host.root_keys import list_roots, mark_backed_up, read_backup, write_backup
from edge_runtime.host.statedir import StateDir
from edge_runtime.objects.keys import SigningKey

ROOT_KEY = SigningKey.from_seed(b"r" * 32)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with its keys, and no daemon."""
    opened = StateDir.open(tmp_path / "state")
    opened.device_key(), opened.channel_seed(), opened.keep_root(ROOT_KEY)
    opened.close()
    return tmp_path / "state"


def levels(found: list[Finding]) -> list[Level]:
    return [finding.level for finding in found]


def test_a_state_of_its_owner_alone_is_well(state: Path) -> None:
    assert levels(check_state(state)) == [Level.OK]


@pytest.mark.parametrize(
    ("name", "mode", "do"),
    [
        (".", 0o755, "chmod o= "), ("keys", 0o750, "chmod 700 "), ("keys/device.key", 0o640, "chmod 600 "),
        ("keys/channel.key", 0o604, "chmod 600 "),
    ],
)  # fmt: skip
def test_what_others_can_read_is_named_with_the_command_that_mends_it(
    state: Path, name: str, mode: int, do: str
) -> None:  # fmt: skip
    path = state / name
    path.chmod(mode)
    (found,) = check_state(state)
    assert found.level is Level.ERROR and found.do == f"{do}{path}"
    assert os.system(found.do) == 0, "what is advised can be run as it stands"
    assert levels(check_state(state)) == [Level.OK]


def test_a_state_that_is_missing_or_no_directory_is_said(tmp_path: Path) -> None:
    (found,) = check_state(tmp_path / "none")
    assert found.level is Level.WARNING and "init" in found.do
    (tmp_path / "file").write_text("")
    (found,) = check_state(tmp_path / "file")
    assert found.level is Level.ERROR


def test_a_socket_that_refuses_us_names_the_group_to_join(tmp_path: Path) -> None:
    socket = tmp_path / "control.sock"
    socket.touch(0o660)
    assert check_socket(socket, Known(why_not="nobody")) == []
    if os.getegid() == 0:
        (found,) = check_socket(socket, Known(why_not="permission denied", is_refused=True))
        assert "adduser" not in found.do and "sudo -u root" in found.do, "nobody is sent into root's group"
        os.chown(socket, -1, 1)
    (found,) = check_socket(socket, Known(why_not="permission denied", is_refused=True))
    assert found.level is Level.ERROR and "adduser" in found.do
    socket.chmod(0o660)
    assert levels(check_socket(socket, Known({}))) == [Level.OK]
    socket.chmod(0o666)
    assert levels(check_socket(socket, Known({}))) == [Level.ERROR]


def test_a_root_key_is_warned_of_until_it_is_backed_up(state: Path, tmp_path: Path) -> None:
    (found,) = check_roots(state)
    assert found.level is Level.WARNING and "fleet backup -o FILE" in found.do
    file = tmp_path / "root.toml"
    (root,) = list_roots(state)
    write_backup(root, 'the "field"\n', file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert levels(check_roots(state)) == [Level.OK]
    name, key = read_backup(file)
    assert (name, key.public) == ('the "field"\n', ROOT_KEY.public)
    with pytest.raises(UsageError, match="is there already"):
        write_backup(root, "field", file)


def test_a_backup_that_cannot_be_written_sets_no_mark(state: Path, tmp_path: Path) -> None:
    (root,) = list_roots(state)
    with pytest.raises(UsageError, match="not backed up"):
        write_backup(root, "field", tmp_path / "no" / "such" / "folder")
    assert levels(check_roots(state)) == [Level.WARNING]
    mark_backed_up(state, "elsewhere")
    assert levels(check_roots(state)) == [Level.OK]


def test_a_mistyped_backup_is_refused(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "root.toml"
    (root,) = list_roots(state)
    write_backup(root, "field", file)
    text = file.read_text()
    at = text.index('secret = "') + len('secret = "')
    file.write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])
    with pytest.raises(UsageError, match="mistyped"):
        read_backup(file)
    file.write_text("hello")
    with pytest.raises(UsageError, match="no backup"):
        read_backup(file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_backup(tmp_path / "none")


def test_settings_are_read_as_the_daemon_would(tmp_path: Path) -> None:
    place = Place(tmp_path, None, tmp_path / "control.sock")
    assert levels(check_settings(place)) == [Level.OK, Level.OK]
    config = tmp_path / "config.toml"
    place = Place(tmp_path, config, tmp_path / "control.sock")
    assert levels(check_settings(place)) == [Level.ERROR, Level.OK]
    config.write_text("[device]\nname = 3\n")
    (tmp_path / "policy.toml").write_text("nonsense")
    found = check_settings(place)
    assert levels(found) == [Level.ERROR, Level.ERROR]
    assert "config check" in found[0].do and "policy check" in found[1].do
    config.write_text('[device]\nname = "x"\n')
    (tmp_path / "policy.toml").unlink()
    assert levels(check_settings(place)) == [Level.OK, Level.OK]
