"""`[[probes]]` of `config.toml`: what a program on this device may poll by name, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from ..base.errors import UsageError
from ..base.limits import LIST_ITEMS_MAX, NAME_BYTES_MAX, PROBE_TIMEOUT_MS_DEFAULT, PROBE_TIMEOUT_MS_MAX
from ..base.units import SECOND_MS

ProbeName = Annotated[str, Meta(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=NAME_BYTES_MAX)]
Argument = Annotated[str, Meta(min_length=1, max_length=4_096)]
Seconds = Annotated[int, Meta(ge=1, le=PROBE_TIMEOUT_MS_MAX // SECOND_MS)]

# The one key that a kind of probe needs besides its name.
KEYS = {"file": "path", "log": "path", "disk": "path", "http": "url", "command": "argv"}


class ProbeConfig(Struct, forbid_unknown_fields=True, frozen=True):
    """`[[probes]]`: what `ctx.poll(name)` looks at on this device; the kind says which of the other keys it has.

    `argv` is started as it is, without a shell; `timeout_s` is of one look.
    """

    name: ProbeName
    kind: Literal["file", "log", "disk", "http", "command"]
    path: str = ""
    url: str = ""
    argv: Annotated[list[Argument], Meta(max_length=LIST_ITEMS_MAX)] = []
    timeout_s: Seconds = PROBE_TIMEOUT_MS_DEFAULT // SECOND_MS


def check_probes(probes: Sequence[ProbeConfig]) -> None:
    """Check what no single field shows.

    Raises:
        UsageError: names the probe, what is wrong and what to write.
    """
    names = [probe.name for probe in probes]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"[[probes]] two are named {name!r}: give each a name of its own.")
    for probe in probes:
        _check(probe)


def _check(probe: ProbeConfig) -> None:
    what, wanted = f"[[probes]] {probe.name}", KEYS[probe.kind]
    given = [key for key in ("path", "url", "argv") if getattr(probe, key)]
    if given != [wanted]:
        found = " and ".join(given) or "neither path, url nor argv"
        raise UsageError(f"{what}: kind = {probe.kind!r} goes with `{wanted}` alone, and it has {found}.")
    if probe.kind == "http":
        if not _is_web(probe.url):
            raise UsageError(f"{what}: {probe.url!r} is no address of a web server: write http://host:8080/path.")
        return
    place = probe.argv[0] if probe.argv else probe.path
    if not Path(place).is_absolute():
        raise UsageError(f"{what}: {place!r} depends on the folder that the daemon runs in: give the whole path.")


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
