"""Other versions of a wheel, for upgrades: the same files under another version, some of them changed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

# A version that fails before it is ready, after it has opened the spool and brought it to the schema that it knows.
FAILS_LATE = {
    "edge_runtime/host/notify.py": """
def _send(self, *states):
    raise RuntimeError("broken on purpose")
Notifier.send = _send
"""
}


def changed_wheel(wheel: Path, folder: Path, version: str, more: Mapping[str, str] | None = None) -> Path:
    """Write a wheel like another one but for its version and the changed files; return it.

    Args:
        more: by file inside the wheel, what is added at its end.
    """
    name, old, *tags = wheel.name.split("-")
    made = folder / "-".join((name, version, *tags))
    left = dict(more or {})
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for file in source.namelist():
            data = source.read(file)
            if file.startswith(f"{name}-{old}.dist-info/"):
                file = file.replace(old, version, 1)
                data = data.replace(f"Version: {old}\n".encode(), f"Version: {version}\n".encode())
                data = data.replace(f"{name}-{old}.dist-info".encode(), f"{name}-{version}.dist-info".encode())
            target.writestr(file, data + left.pop(file, "").encode())
    assert not left, f"{sorted(left)} are not in {wheel.name}"
    return made
