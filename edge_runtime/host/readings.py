"""What the kinds of probe read: each a function that may block, run in a thread, with plain values as its answer.

A source that cannot be read raises OSError or ValueError: the poll is *aborted* then, which is not the
same as finding nothing new.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from ..base.digests import blake2b
from urllib.parse import urlsplit

from msgspec import Struct

from ..base.limits import PROBE_BYTES_MAX, PROBE_FILE_BYTES_MAX, PROBE_HEAD_BYTES_MAX, PROBE_HEADER_CHARS_MAX

# A cursor in a log: offset (8 bytes, big-endian) and a hash (16 bytes) of the first bytes before it.
OFFSET_BYTES = 8


class Reading(Struct, frozen=True):
    """What one look at a source gave; `cursor` None for a source that is compared and not read on."""

    fields: Mapping[str, object]
    cursor: bytes | None = None


def read_file(path: str) -> Reading:
    """Return size, time and, up to PROBE_FILE_BYTES_MAX, a digest of a file's content.

    Raises:
        OSError: there is no such file, or it is none that can be read.
    """
    with open(_open_regular(path), "rb") as file:
        found = os.fstat(file.fileno())
        digest = None
        if found.st_size <= PROBE_FILE_BYTES_MAX:
            content = blake2b(digest_size=16)
            while chunk := file.read(1 << 16):
                content.update(chunk)
            digest = content.hexdigest()
    return Reading({"size": found.st_size, "mtime_ms": found.st_mtime_ns // 1_000_000, "digest": digest})


def read_log(path: str, cursor: bytes) -> Reading:
    """Return the whole lines after the cursor, at most PROBE_BYTES_MAX bytes of them; the rest comes next time.

    A log that begins otherwise than the one that was read is a new one, read from its beginning.

    Raises:
        OSError: there is no such file, or it is shorter than what was read of it already (a copy that lags).
    """
    with open(_open_regular(path), "rb") as file:
        offset = int.from_bytes(cursor[:OFFSET_BYTES], "big")
        if offset and _hash_of_head(file.read(min(offset, PROBE_HEAD_BYTES_MAX))) != cursor[OFFSET_BYTES:]:
            if os.fstat(file.fileno()).st_size < min(offset, PROBE_HEAD_BYTES_MAX):
                raise OSError(f"{path} is shorter than what was read of it already")
            offset = 0
        if os.fstat(file.fileno()).st_size < offset:
            raise OSError(f"{path} is shorter than what was read of it already")
        file.seek(offset)
        chunk = file.read(PROBE_BYTES_MAX)
        whole = chunk.rfind(b"\n") + 1
        if not whole and len(chunk) == PROBE_BYTES_MAX:
            whole = len(chunk)  # a line beyond any bound comes in pieces
        offset += whole
        file.seek(0)
        head = file.read(min(offset, PROBE_HEAD_BYTES_MAX))
    lines = chunk[:whole].decode("utf-8", "replace").removesuffix("\n").split("\n") if whole else []
    fields = {"lines": lines, "count": len(lines), "offset": offset}
    return Reading(fields, offset.to_bytes(OFFSET_BYTES, "big") + _hash_of_head(head) if offset else b"")


def read_disk(path: str) -> Reading:
    """Return the bytes of the file system that holds a path.

    Raises:
        OSError: there is no such path.
    """
    usage = shutil.disk_usage(path)
    return Reading({"free": usage.free, "total": usage.total, "percent": usage.free * 100 // max(1, usage.total)})


def head_http(url: str, timeout_s: float) -> Reading:
    """Return the status and the headers that name a version, of a HEAD request; redirects are not followed.

    Raises:
        OSError: nobody answered, or not in HTTP.
        ValueError: the URL is none.
    """
    # Here and not above: it loads OpenSSL, which a device that asks nobody need not keep in memory.
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("HEAD", target, headers={"User-Agent": "edge-runtime"})
        answer = connection.getresponse()
        headers = {
            name.replace("-", "_"): (answer.getheader(name) or "")[:PROBE_HEADER_CHARS_MAX]
            for name in ("etag", "last-modified", "content-length")
        }
        return Reading({"status": answer.status, **headers})
    except HTTPException as error:
        raise OSError(f"{url} did not answer in HTTP: {type(error).__name__} {error}") from None
    finally:
        connection.close()


def _open_regular(path: str) -> int:
    """Open a regular file without waiting for a writer, as a pipe would."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is no regular file")
    return handle


def _hash_of_head(head: bytes) -> bytes:
    return blake2b(head, digest_size=16).digest()
