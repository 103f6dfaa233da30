"""Commands about files: configuration checked, capsules written, checked and taken in."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...base.errors import Exit, PeerError, UsageError
from ...base.limits import OBJECT_BYTES_MAX
from ...client import BlockingClient
from .console import Progress, ask, open_client, say

CHUNK_BYTES = 48 * 1024  # in hex well below CONTROL_LINE_BYTES_MAX


def read_file(name: str, bytes_max: int) -> bytes:
    """Return a file's bytes.

    Raises:
        UsageError: it cannot be read, or holds more than anything that is meant here.
    """
    try:
        with open(name, "rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from None
    if len(data) > bytes_max:
        raise UsageError(f"{name} is larger than {bytes_max} bytes: it is not the file that is meant here.")
    return data


def write_file(name: str, data: bytes) -> None:
    """Write a file so that it is whole and on the medium when this returns: a stick is pulled right after.

    Raises:
        UsageError: it cannot be written; what stood there before stands there still.
    """
    path = Path(os.path.realpath(name))
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}.new")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a pipe or a terminal
            return
        temporary.unlink(missing_ok=True)
        # The mode is asked for, not set: a stick's file system (vfat) knows none and refuses to change it.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise UsageError(f"{name} cannot be written: {error.strerror}.", Exit.FAILED) from None


def config(options: Namespace) -> int:
    """Check a configuration file, and the policy that stands beside it: a daemon takes both or neither."""
    from ..config import read_config, read_policy

    found = read_config(Path(options.file))
    read_policy(Path(options.file).parent)
    value = {"ok": True, "file": options.file, "apps": len(found.apps), "capabilities": list(found.device.capabilities)}
    return say(options, "config", value)


def export(options: Namespace) -> int:
    """Write one object's capsule, or those of all objects held here."""
    if bool(options.object) == options.all:
        raise UsageError("export: name one object, or give --all.")
    if options.all:
        return say(options, "export", _export_all(options, Path(options.output)))
    value = ask(options, "export", object=options.object)
    write_file(options.output, bytes.fromhex(value.pop("capsule")))
    return say(options, "export", {**value, "file": options.output})


def _export_all(options: Namespace, folder: Path) -> list[dict[str, Any]]:
    """Write each object's capsule into a folder, as OBJECT.capsule; what stands there of the same object is replaced.

    Raises:
        UsageError: the folder cannot be made or written; what was written before stays.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}.", Exit.FAILED) from None
    rows: list[dict[str, Any]] = []
    with open_client(options) as client:
        ids, last = [], ""
        while page := client.query(f"SELECT object FROM objects WHERE object > '{last}' ORDER BY object LIMIT 5000"):
            ids += [row["object"] for row in page]
            last = ids[-1]
        progress = Progress("export", len(ids), "objects", is_silent=options.json)
        try:
            for number, object_id in enumerate(ids, start=1):
                try:
                    value = client.ask("export", object=object_id)
                except UsageError as error:
                    if error.exit is not Exit.NOT_FOUND:
                        raise
                    continue  # it went meanwhile
                file = folder / f"{object_id}.capsule"
                write_file(str(file), bytes.fromhex(value.pop("capsule")))
                rows.append({**value, "file": str(file)})
                progress.advance(number)
        finally:
            progress.end()
    return rows


def verify(options: Namespace) -> int:
    """Check a capsule, with no daemon and no network."""
    from ...objects.capsule import read_capsule

    data = read_file(options.file, 2 * OBJECT_BYTES_MAX)
    progress = Progress(options.file, len(data), is_silent=options.json)
    try:
        capsule = read_capsule(data, progress.advance)
    except PeerError as error:
        what = f"{options.file} does not verify: {error}. Ask for a fresh copy of it."
        raise UsageError(what, Exit.FAILED) from None
    finally:
        progress.end()
    value = {
        "object": capsule.header.object.hex(), "entries": len(capsule.entries), "verified": "full",
        "head": [head.hex() for head in capsule.heads], "file": options.file,
    }  # fmt: skip
    return say(options, "verify", value)


def import_capsules(options: Namespace) -> int:
    """Take capsules in, one after the other; the others are taken even if one is refused.

    Returns:
        the exit code of the first refusal, 0 if all were taken.
    """
    code = Exit.OK
    with open_client(options) as client:
        for file in options.files:
            try:
                value = _import_one(client, file, options.json)
            except UsageError as error:
                if error.exit is Exit.NO_DAEMON or len(options.files) == 1:
                    raise
                code = code or error.exit
                _refuse(options, error, file)
            else:
                say(options, "import", value)
    return int(code)


def _import_one(client: BlockingClient, file: str, is_json: bool) -> dict[str, Any]:
    data = read_file(file, 2 * OBJECT_BYTES_MAX)
    progress = Progress(file, len(data), is_silent=is_json)
    value: dict[str, Any] = {}
    try:
        for at in range(0, max(1, len(data)), CHUNK_BYTES):
            end = at + CHUNK_BYTES
            value = client.ask("import", chunk=data[at:end].hex(), is_last=end >= len(data))
            progress.advance(end)
    except UsageError as error:
        raise UsageError(f"{file}: {error.message}", error.exit, **error.details) from None
    finally:
        progress.end()
    return {**value, "file": file}


def _refuse(options: Namespace, error: UsageError, file: str) -> None:
    if options.json:
        say(options, "import", {"ok": False, "error": error.message, "exit": int(error.exit), "file": file})
    else:
        print(f"edge-runtime: {error.message}", file=sys.stderr)


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "config": config,
    "export": export,
    "import": import_capsules,
    "verify": verify,
}
