"""`inbox/`: a capsule or a submission that any program puts there by rename is taken, once.

A file is read, asked of the node (which answers when it is durable), its answer written beside where it goes, and only
then is it moved. Whatever dies in between, the file still stands in `inbox/` and is taken again; a submission's name
follows from the file's name and content, a capsule's entries from themselves, so it comes to the same object.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import signal
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ...base.digests import blake2b
from ...base.errors import Exit, PeerError, UsageError
from ...base.limits import (
    DROP_FILES_PER_LOOK_MAX, DROP_KEPT_MAX, DROP_NAME_BYTES_MAX, DROP_TASK_BYTES_MAX, OBJECT_BYTES_MAX,
)  # fmt: skip
from ...node.commands import Submit
from ...objects.capsule import Capsule, read_capsule
from ..task_config import Dropped

DONE, REFUSED = "done", "refused"
ANSWER = ".answer.json"
FILE_MODE = 0o660
TEMPORARY = (".tmp", ".part", ".partial", ".new", ".crdownload", "~")
SHORTAGES = (errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
CAPSULE_FIRST = range(0xA0, 0xC0)  # a CBOR map: what a capsule begins with, and no text does

Submission = Callable[[Submit], Awaitable[dict[str, Any]]]
Importing = Callable[[Capsule], Awaitable[dict[str, Any]]]


class NotYet(Exception):  # noqa: N818, not an error: it is taken later
    """The file is still being written, or the daemon is stopping."""


class Taken(Struct, frozen=True):
    """One file that was taken or refused: where it went, and what is told of it."""

    name: str
    folder: str
    answer: dict[str, Any]


class Inbox:
    """One folder.

    Args:
        submit, take_capsule: ask the node; what they answer is durable.
    """

    def __init__(self, folder: Path, submit: Submission, take_capsule: Importing) -> None:
        self.folder = folder
        self._submit = submit
        self._take_capsule = take_capsule

    async def look(self) -> tuple[list[Taken], bool]:
        """Take what stands in the folder, at most DROP_FILES_PER_LOOK_MAX; return it, and whether more may stand there.

        Raises:
            OSError: the folder cannot be read, or files not moved.
        """
        found: list[Taken] = []
        names = await asyncio.to_thread(lambda: sorted(_candidates(self.folder))[:DROP_FILES_PER_LOOK_MAX])
        for name in names:
            try:
                taken = await self._take(name)
            except (NotYet, FileNotFoundError):
                continue
            await asyncio.to_thread(_put_away, self.folder, taken)
            found.append(taken)
        return found, len(names) == DROP_FILES_PER_LOOK_MAX and bool(found)

    async def _take(self, name: str) -> Taken:
        try:
            if len(os.fsencode(name)) > DROP_NAME_BYTES_MAX:
                raise UsageError(f"The name is longer than {DROP_NAME_BYTES_MAX} bytes. Choose a shorter one.")
            data = await _read(self.folder / name)
            value = await self._ask(name, data)
        except UsageError as error:
            if error.exit is Exit.NO_DAEMON:
                raise NotYet from None
            if "storage" in error.details:  # nothing about this file: it is asked for again when there may be room
                raise OSError(errno.ENOSPC, str(error.details["storage"]), name) from None
            return Taken(name, REFUSED, {"ok": False, "error": error.message, "exit": int(error.exit)})
        return Taken(name, DONE, {"ok": True, **value})

    async def _ask(self, name: str, data: bytes) -> dict[str, Any]:
        if data[:1] and data[0] in CAPSULE_FIRST:
            try:
                capsule = await asyncio.to_thread(read_capsule, data)
            except PeerError as error:
                raise UsageError(f"It does not verify: {error}. Ask for a fresh copy.", Exit.REFUSED) from None
            return await self._take_capsule(capsule)
        shown = await self._submit(read_task(name, data))
        return {"object": shown["object"], "name": shown["name"], "intent": shown["intent"]}


def read_task(name: str, data: bytes) -> Submit:
    """Return the submission in a file.

    Its name is the one that it gives itself, else one of the file's name and content: who drops the same file twice
    means one object, for a copy may be repeated on the way.

    Raises:
        UsageError: it is neither TOML nor JSON, too large, or a field is not right.
    """
    kind = name.rpartition(".")[2].lower()
    if kind not in ("toml", "json"):
        raise UsageError("It is no capsule. A submission's file ends in .toml or .json.")
    if len(data) > DROP_TASK_BYTES_MAX:
        raise UsageError(f"It has {len(data)} bytes; a submission has at most {DROP_TASK_BYTES_MAX}. Pass a path.")
    try:
        decode = msgspec.toml.decode if kind == "toml" else msgspec.json.decode
        task = decode(data, type=Dropped)
    except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeDecodeError are ValueErrors
        raise UsageError(f"It is no submission: {error}. One with the field `intent` is enough.") from None
    if task.name:
        return task.command(task.name)
    digest = blake2b(data, digest_size=8).hexdigest()
    return task.command(f"drop-{name[:80]}-{digest}")


def _candidates(folder: Path) -> Iterator[str]:
    """Yield what is not left alone: no folder, nothing hidden, nothing that a program is still writing."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if not name.startswith(".") and not name.endswith(TEMPORARY) and not entry.is_dir(follow_symlinks=False):
                yield name


async def _read(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        UsageError: a link, a device, too large, not readable by this user. NotYet: somebody still writes to it.
    """
    import aiofiles

    handle = await asyncio.to_thread(_open, path)
    try:
        async with aiofiles.open(handle, "rb") as file:
            data: bytes = await file.read(2 * OBJECT_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"It cannot be read: {error.strerror}.", Exit.FAILED) from None
    if len(data) > 2 * OBJECT_BYTES_MAX:
        raise UsageError(f"It has more than {2 * OBJECT_BYTES_MAX} bytes, as no capsule does.")
    return data


def _open(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise UsageError("The daemon may not read it. Give its group the right: chmod g+r.", Exit.REFUSED) from None
    except OSError as error:
        if error.errno in SHORTAGES:
            raise  # nothing about this file
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
            raise UsageError("It is a link, a socket or a device. Put a file there.", Exit.REFUSED) from None
        raise UsageError(f"It cannot be read: {error.strerror}.", Exit.FAILED) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UsageError("It is no regular file. Put a file there.", Exit.REFUSED)
    try:
        # A lease for reading is refused while anybody has the file open for writing: somebody who copies rather than
        # renames is not read half. Of others' files it cannot be had: there the rename has to be relied on. Should
        # somebody open it between these lines, the signal is one that nobody minds; by default it would end us.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES) and os.fstat(handle).st_uid == os.geteuid():
            os.close(handle)
            raise NotYet from None
    return handle


def _put_away(inbox: Path, taken: Taken) -> None:
    """Write the answer beside where the file goes, then move the file: never the other way round."""
    folder = inbox / taken.folder
    text = json.dumps(taken.answer, ensure_ascii=False) + "\n"
    name = taken.name
    if len(os.fsencode(name)) > DROP_NAME_BYTES_MAX:
        name = name.encode("utf-8", "surrogateescape")[:DROP_NAME_BYTES_MAX].decode("utf-8", "ignore")
    write_by_rename(folder / (name + ANSWER), text.encode("utf-8", "surrogateescape"))
    os.rename(inbox / taken.name, folder / name)
    _keep_few(folder)


def write_by_rename(path: Path, data: bytes) -> None:
    """Write a file so that whoever sees its name sees all of it, after a power cut too.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    temporary = path.with_name(f".{path.name[:200]}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as file:
            os.fchmod(handle, FILE_MODE)  # whatever the umask says: the daemon's group takes them out
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _keep_few(folder: Path) -> None:
    """Remove the oldest of what was put away beyond DROP_KEPT_MAX: a card must not fill up with it."""
    with os.scandir(folder) as entries:
        files = [(entry.stat(follow_symlinks=False).st_ctime_ns, entry.name) for entry in entries]
    for _, name in sorted(files)[: max(0, len(files) - 2 * DROP_KEPT_MAX)]:
        os.unlink(folder / name)
