"""The state directory: permissions, keys, lock, the place of the socket."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.host.statedir import StateDir, default_state, socket_path
from edge_runtime.objects.keys import SigningKey


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "EDGE_RUNTIME_STATE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    """A state directory, opened."""
    found = StateDir.open(tmp_path / "state")
    yield found
    found.close()


def mode_of(path: Path) -> int:
    """Return a file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_in_it_is_its_owners_alone(state: StateDir) -> None:
    state.device_key(), state.channel_seed(), state.connect().close()
    state.keep_root(SigningKey.from_seed(b"r" * 32))
    assert mode_of(state.path) == 0o700
    files = [path for path in state.path.rglob("*")]
    assert {path.name for path in files} >= {"keys", "device.key", "channel.key", "spool.db", "lock"}
    for path in files:
        assert mode_of(path) == (0o700 if path.is_dir() else 0o600), path


def test_keys_are_made_once_and_differ(state: StateDir) -> None:
    assert state.device_key() == state.device_key()
    assert state.channel_seed() == state.channel_seed()
    assert state.device_key().seed != state.channel_seed()


def test_root_keys_are_kept_under_their_public_name(state: StateDir) -> None:
    keys = [SigningKey.from_seed(bytes((number,)) * 32) for number in (1, 2)]
    files = [state.keep_root(key) for key in keys]
    assert [file.name for file in files] == [f"{key.public.hex()}.root" for key in keys]
    assert sorted(state.root_keys(), key=lambda key: key.seed) == keys


def test_a_key_that_others_can_read_is_refused_and_the_text_says_chmod(state: StateDir) -> None:
    state.device_key()
    file = state.path / "keys" / "device.key"
    file.chmod(0o640)
    with pytest.raises(UsageError, match=f"chmod 600 {file}"):
        state.device_key()


def test_a_key_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    StateDir.open(tmp_path / "state").close()
    (tmp_path / "state" / "keys").chmod(0o755)
    with pytest.raises(UsageError, match="chmod 700"):
        StateDir.open(tmp_path / "state")


def test_a_key_cut_short_is_refused_and_kept(state: StateDir) -> None:
    state.device_key()
    file = state.path / "keys" / "device.key"
    file.write_bytes(b"short")
    with pytest.raises(UsageError, match="not a key of 32 bytes"):
        state.device_key()
    assert file.read_bytes() == b"short"


def test_a_half_written_key_of_a_power_cut_is_not_taken_for_one(state: StateDir) -> None:
    (state.path / "keys" / "device.new").write_bytes(b"half")
    assert len(state.device_key().seed) == 32


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_root_leaves_nothing_in_an_empty_state_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 65_534, 65_534)
    with pytest.raises(UsageError, match="belongs to user 65534"):
        StateDir.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_state_of_another_user_is_refused_even_by_root(tmp_path: Path) -> None:
    StateDir.open(tmp_path / "state").close()
    os.chown(tmp_path / "state", 12_345, 12_345)
    with pytest.raises(UsageError, match="belongs to user 12345.*chown"):
        StateDir.open(tmp_path / "state")


HOLD = "import sys\nfrom pathlib import Path\nfrom edge_runtime.host.statedir import StateDir\n" \
       "state = StateDir.open(Path(sys.argv[1]))\nprint('held', flush=True)\nsys.stdin.read()\n"  # fmt: skip


def test_a_second_process_is_kept_out_until_the_first_is_gone_or_dead(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="Another edge-runtime is running on") as caught:
            StateDir.open(tmp_path)
        assert caught.value.exit is Exit.FAILED
    finally:
        child.kill()
        child.communicate()
    StateDir.open(tmp_path).close()


def test_a_state_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(UsageError, match="cannot be used"):
        StateDir.open(tmp_path / "state")


# --- Where the socket stands ----------------------------------------------------------------------------------------


def test_the_socket_stands_in_the_directory(state: StateDir) -> None:
    assert state.place_socket() == socket_path(state.path) == state.path / "control.sock"


def test_a_path_too_long_for_a_socket_is_hashed_and_clients_find_it_without_the_same_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    state = StateDir.open(tmp_path / ("d" * 90) / "state")
    placed = state.place_socket()
    assert placed.parent == runtime and len(os.fsencode(placed.name)) < 60
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert socket_path(state.path) == placed
    state.close()


def test_systemds_runtime_directory_is_used_and_forgotten_when_run_by_hand(
    state: StateDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    assert state.place_socket() == socket_path(state.path) == tmp_path / "control.sock"
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    state.place_socket()
    assert socket_path(state.path) == state.path / "control.sock"


@pytest.mark.parametrize("trap", ["link", "open"])
def test_a_runtime_folder_laid_by_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"edge-runtime-{os.getuid()}"
    if trap == "link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    state = StateDir.open(tmp_path / ("d" * 90) / "state")
    with pytest.raises(UsageError, match="another user's|can be read by others"):
        state.place_socket()
    state.close()


def test_the_default_place_is_the_environments_then_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_state() == tmp_path / ".local" / "state" / "edge-runtime"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "x"))
    assert default_state() == tmp_path / "x" / "edge-runtime"
    monkeypatch.setenv("EDGE_RUNTIME_STATE", str(tmp_path / "y"))
    assert default_state() == tmp_path / "y"
