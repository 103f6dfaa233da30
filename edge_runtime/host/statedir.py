"""The directory that holds everything of one device: spool, keys, lock, socket. One process at a time.

<state>/spool.db, keys/device.key, keys/channel.key, keys/*.root (all 0600), control.sock, lock. Where the socket
stands elsewhere (systemd gave a runtime directory, or the path is too long for a socket), control.path says where.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from pathlib import Path

from msgspec import Struct

from ..base.digests import blake2b
from ..base.errors import Exit, UsageError
from ..base.limits import SOCKET_PATH_BYTES_MAX
from ..client import default_state as default_state
from ..client import socket_path as socket_path
from ..node.store import read_version
from ..objects.keys import SigningKey

SEED_BYTES = 32
HALF_RESTORED = ".restore"  # a folder that is there while a backup is put in place


class StateDir(Struct):
    """An opened state directory; holds the lock until `close`."""

    path: Path
    lock: int

    @classmethod
    def open(cls, path: Path) -> StateDir:
        """Make the directory where it is missing, check who may read it, and take the lock.

        Raises:
            UsageError: another process has it, it cannot be written, or its keys can be read by others.
        """
        path = path.absolute()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(path)  # before anything is made in it: a folder of root's would lock the owner out
            (path / "keys").mkdir(mode=0o700, exist_ok=True)
            _check_private(path / "keys", is_folder=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise UsageError(
                f"{error.filename} cannot be used: permission denied. Run as the user that owns {path}, "
                "or give another place with --state DIR.",
                Exit.FAILED,
            ) from None
        except (FileExistsError, NotADirectoryError, OSError) as error:
            raise UsageError(f"The state {path} cannot be used: {error}.", Exit.FAILED) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise UsageError(
                f"Another edge-runtime is running on {path}. Stop it, or use another --state DIR.", Exit.FAILED
            ) from None
        return cls(path, lock)

    def close(self) -> None:
        """Give the lock back."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def place_socket(self) -> Path:
        """Decide where the control socket stands, and record it for clients.

        Raises:
            UsageError: the place is another user's.
        """
        path = self.path / "control.sock"
        record = self.path / "control.path"
        given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]  # systemd.exec(5), RuntimeDirectory=
        if given:
            found = Path(given) / "control.sock"
        elif len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            record.unlink(missing_ok=True)
            return path
        else:
            name = blake2b(os.fsencode(path), digest_size=8).hexdigest()
            found = _runtime_folder() / f"edge-runtime-{name}.sock"
        record.write_text(f"{found}\n")
        return found

    def connect(self) -> sqlite3.Connection:
        """Open the spool's one writing connection.

        Raises:
            UsageError: the file cannot be opened, or is of a newer schema; then nothing of it was changed.
        """
        file = self.path / "spool.db"
        if (self.path / HALF_RESTORED).exists() and not file.exists():
            what = f"A restore into {self.path} was cut off. Run `edge-runtime restore FILE` again."
            raise UsageError(what, Exit.FAILED)
        if (self.path / "spool.db-wal").exists():
            _check_unchanged(file)
        try:
            if not file.exists():
                os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            return sqlite3.connect(file, isolation_level=None, check_same_thread=False, cached_statements=256)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"{file} cannot be opened: {error}.", Exit.FAILED) from None

    def device_key(self) -> SigningKey:
        """Return the device's key, made at the first start."""
        return SigningKey.from_seed(self._seed("device.key"))

    def channel_seed(self) -> bytes:
        """Return the secret of the channel's X25519 key, made at the first start."""
        return self._seed("channel.key")

    def root_keys(self) -> list[SigningKey]:
        """Return the fleets' root keys that are kept here."""
        found = sorted((self.path / "keys").glob("*.root"))
        return [SigningKey.from_seed(_read_seed(file)) for file in found]

    def keep_root(self, key: SigningKey) -> Path:
        """Store a new fleet's root key, durable before anybody hears of the fleet."""
        file = self.path / "keys" / f"{key.public.hex()}.root"
        _write_durably(file, key.seed)
        return file

    def _seed(self, name: str) -> bytes:
        file = self.path / "keys" / name
        if not file.exists():
            _write_durably(file, os.urandom(SEED_BYTES))
        return _read_seed(file)


def _check_unchanged(file: Path) -> None:
    """Refuse a newer spool by a look that cannot write: whoever else closes it last works its journal off.

    Raises:
        UsageError: it is newer. Other errors are left to whoever opens it.
    """
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    try:
        read_version(connection)
    except sqlite3.Error:
        pass
    finally:
        connection.close()


def _runtime_folder() -> Path:
    """Return a folder of this user's own for sockets, made where it is missing."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given:
        return Path(given)
    import tempfile  # here, because it is rarely needed and takes 700 KiB of memory with it

    folder = Path(tempfile.gettempdir()) / f"edge-runtime-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    # The name can be foreseen, so somebody else may have made it first, as a link or open to all.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        what = f"{folder} is another user's. Give a shorter --state DIR, or set XDG_RUNTIME_DIR."
        raise UsageError(what, Exit.FAILED)
    _check_private(folder, is_folder=True)
    return folder


def _check_owner(path: Path) -> None:
    owner = os.stat(path).st_uid
    if owner != os.geteuid():
        # Root too: files that root leaves in it would lock the owner's daemon out.
        what = f"{path} belongs to user {owner}. Run as that user, or: chown -R {os.geteuid()} {path}"
        raise UsageError(what, Exit.FAILED)


def _check_private(path: Path, is_folder: bool = False) -> None:
    found = os.stat(path)
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = "700" if is_folder else "600"
        raise UsageError(f"{path} can be read by others. Run: chmod {mode} {path}", Exit.FAILED)


def _read_seed(file: Path) -> bytes:
    _check_private(file)
    try:
        seed = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error}.", Exit.FAILED) from None
    if len(seed) != SEED_BYTES:
        what = f"{file} is not a key of {SEED_BYTES} bytes. Restore it, or move it aside to get a new one."
        raise UsageError(what, Exit.FAILED)
    return seed


def _write_durably(file: Path, data: bytes) -> None:
    """Write a small secret so that it is whole or absent after a power cut."""
    temporary = file.with_suffix(".new")
    temporary.unlink(missing_ok=True)  # left by a power cut; a new file has the mode that is asked for
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(temporary, file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
