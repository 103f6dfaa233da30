"""A booted machine with the daemon installed by `deploy/install.sh`: what a person has who followed the README.

    with Board(installed(bare, wheels, folder)) as board:
        board.submit("nap", "--name", "n")
        board.wait_for("n", status="dormant")
        board.run("systemctl kill -s KILL edge-runtime")
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.support import board_app
from tests.support.booted import Machine, Root
from tests.support.daemons import ROOT

UNIT = "edge-runtime.service"
TOOL = "/usr/local/bin/edge-runtime"
INSTALL = "sh /mnt/install.sh --wheelhouse /mnt/wheels"
SOCKET = "/run/edge-runtime/control.sock"
STATE = "/var/lib/edge-runtime"
CONFIG = "/etc/edge-runtime"
APP_CONFIG = '[[apps]]\nmodule = "board_app:app"\npath = "/opt/apps"\n'
OPERATOR, STRANGER = "ada", "eve"


def installed(bare: Root, wheels: Path, layer: Path) -> Root:
    """Return a root on which the daemon is installed and not started, with an app, an operator and a stranger."""
    with Machine(bare) as machine:
        machine.run(f"useradd -m {OPERATOR}; useradd -m {STRANGER}; mkdir -p /mnt/wheels")
        machine.copy_in(wheels, "/mnt/wheels")
        machine.copy_in(ROOT / "deploy" / "install.sh", "/mnt/install.sh")
        machine.run(f"{INSTALL} --no-start --operator {OPERATOR}", timeout=120)
        machine.copy_in(Path(board_app.__file__), "/opt/apps/board_app.py", 0o644)
        machine.write(f"{CONFIG}/config.toml", APP_CONFIG)
        machine.run("chmod 755 /opt/apps")
        machine.power_off()
        machine.keep_files(layer)
    return (layer, *bare)


class Board(Machine):
    """The machine; the daemon has been started by its boot."""

    def __init__(self, root: Root, network: str | None = None, arguments: Sequence[str] = ()) -> None:
        super().__init__(root, network, arguments)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            assert self.state() == "active", self.journal()
        except BaseException:
            self.close()
            raise
        return self

    # --- systemd's view ---

    def setting(self, name: str) -> str:
        """Return what systemd says of the unit."""
        return self.run(f"systemctl show --property {name} --value {UNIT}").stdout.strip()

    def state(self) -> str:
        """Return `active`, `activating`, …"""
        return self.setting("ActiveState")

    @property
    def pid(self) -> int:
        """The daemon's process, as the machine counts; 0 if there is none."""
        return int(self.setting("MainPID"))

    def wait_for_status(self, *words: str, seconds: float = 15) -> str:
        """Wait until the unit's status line has all of these words; return it."""
        self.wait(lambda: all(word in self.setting("StatusText") for word in words), seconds, f"status {words}")
        return self.setting("StatusText")

    def wait_for_restart(self, pid: int, seconds: float = 20) -> None:
        """Wait until another process than this one is the active daemon."""
        is_new = lambda: self.pid not in (0, pid) and self.state() == "active"  # noqa: E731
        self.wait(is_new, seconds, "a new daemon")

    def drop_in(self, name: str, *lines: str) -> None:
        """Add settings of `[Service]` to the unit; they count from the next start on."""
        self.write(f"/etc/systemd/system/{UNIT}.d/{name}.conf", "\n".join(("[Service]", *lines, "")))
        self.run("systemctl daemon-reload")

    # --- The tool ---

    def tool(self, *words: str, user: str = OPERATOR) -> Any:
        """Return what a command of the tool answers: one value, or a list of rows."""
        rows = [json.loads(line) for line in self.run(shlex.join([TOOL, "--json", *words]), user).stdout.splitlines()]
        return rows[0] if len(rows) == 1 else rows

    def submit(self, intent: str, *words: str) -> str:
        """Submit; return the object."""
        return str(self.tool("submit", intent, *words)["object"])

    def wait_for(self, name: str, seconds: float = 30, **wanted: Any) -> dict[str, Any]:
        """Wait until `show` says all of this; return it."""
        found: dict[str, Any] = {}

        def look() -> bool:
            done = self.run(f"{TOOL} --json show {name}", check=False)
            found.clear()
            found.update(json.loads(done.stdout) if done.returncode == 0 else {})
            return all(found.get(key) == value for key, value in wanted.items())

        self.wait(look, seconds, f"{name} {wanted}, not {found}")
        return found
