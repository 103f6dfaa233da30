"""Other versions of a wheel, for upgrades: the same files under another version, some of them changed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

Change = tuple[str, str]  # what stands in a file, and what takes its place


def changed_wheel(wheel: Path, folder: Path, version: str, changes: Mapping[str, Change] | None = None) -> Path:
    """Write a wheel like another one but for its version and the changed files; return it.

    Args:
        changes: by file inside the wheel; each text must stand there once.
    """
    name, old, *tags = wheel.name.split("-")
    made = folder / "-".join((name, version, *tags))
    left = dict(changes or {})
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for file in source.namelist():
            data = source.read(file)
            if file.startswith(f"{name}-{old}.dist-info/"):
                file = file.replace(old, version, 1)
                data = data.replace(f"Version: {old}\n".encode(), f"Version: {version}\n".encode())
                data = data.replace(f"{name}-{old}.dist-info".encode(), f"{name}-{version}.dist-info".encode())
            if file in left:
                before, after = left.pop(file)
                assert data.decode().count(before) == 1, f"{file} has not one {before!r}"
                data = data.replace(before.encode(), after.encode())
            target.writestr(file, data)
    assert not left, f"{sorted(left)} are not in {wheel.name}"
    return made
