"""The story: three devices meet once, work apart, one is killed, a third carries, the far one delivers.

Every line of the timeline is something that was observed. At the end the claims are checked on the files themselves;
any that fails makes the demo fail.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .fleet import Device, wait_for
from .images import find_images, make_images
from .server import Receiver

SECONDS_EACH = 0.5
NAME = "survey-1"


def find_example() -> Path:
    """Return the folder of the shipped examples: installed with the package, or beside it in a checkout."""
    import edge_runtime

    package = Path(edge_runtime.__file__).parent
    installed = package / "examples"
    return installed if (installed / "survey.py").exists() else package.parent / "examples"


class Story:
    """One telling. `tell` is called with each line as it happens: (seconds, who, stage, why)."""

    def __init__(self, folder: Path, images: Path | None, tell: Callable[[float, str, str, str], None]) -> None:
        self.folder = folder
        self.images = find_images(images) if images is not None else make_images(folder / "images")
        self.began = time.monotonic()
        self._tell = tell
        self.starts_file = folder / "starts.log"
        env = {
            "EDGE_SURVEY_LOG": str(self.starts_file),
            "PYTHONPATH": os.pathsep.join([str(find_example()), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        app = ["--app", "survey:app"]
        self.base = Device("base", folder, [*app, "--capability", "uplink"], env)
        self.drone = Device("drone", folder, [*app, "--capability", "camera"], env)
        self.mule = Device("mule", folder, [], env)
        self.devices = (self.base, self.drone, self.mule)
        self.receiver = Receiver()

    def say(self, who: str, stage: str, why: str) -> None:
        """Tell one line."""
        self._tell(time.monotonic() - self.began, who, stage, why)

    def close(self) -> None:
        """End every process and the server."""
        for device in self.devices:
            device.stop()
        self.receiver.close()

    # --- The acts -------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Tell the whole story and return what was checked."""
        self.make_fleet()
        self.meet_once()
        made = self.work_apart()
        self.carry(made)
        return self.check(made)

    def make_fleet(self) -> None:
        """Put three devices into one fleet with the commands a person would use."""
        self.base.command("init", "--name", "base")
        self.base.command("fleet", "create", "field")
        for device in (self.drone, self.mule):
            made = device.command("init", "--name", device.name)
            file = self.folder / f"{device.name}.grant"
            self.base.command("grant", made["device"], "--roles", "executor", "-o", str(file))
            device.command("join", str(file))
        self.say("base", "entered", "fleet `field`: drone and mule joined")

    def meet_once(self) -> None:
        """Start the daemons, let all meet, then cut every link."""
        for device in self.devices:
            device.start()
        for device in self.devices:
            wait_for(partial(_knows_all, device), f"{device.name} to meet the others")
        self.say("all", "gossiped", "the three met and know what each can do")
        for device in self.devices:
            device.ask("radio", on=False)
        self.say("all", "gossiped", "radio off: nobody hears anybody")

    def work_apart(self) -> str:
        """The drone works alone, is killed in the middle, and goes on."""
        drone = self.drone
        area = {"area": {"images": [str(file) for file in self.images], "seconds_each": SECONDS_EACH,
                         "url": self.receiver.url}}  # fmt: skip
        made: str = drone.ask("submit", intent="survey.area", arguments=area, name=NAME)["object"]
        self.say("drone", "entered", f"survey of {len(self.images)} images ({made[:12]})")
        wait_for(lambda: self._executed(drone, made) >= 1, "the first photograph")
        self.say("drone", "executed", f"{self._executed(drone, made)} of {len(self.images)} photographs")
        drone.kill()
        self.say("drone", "entered", "killed with SIGKILL in the middle of its steps")
        drone.start()
        self.say("drone", "woken", f"started again; {self._executed(drone, made)} photographs are in its history")
        wait_for(lambda: self._executed(drone, made) >= len(self.images), "all photographs")
        self.say("drone", "executed", f"{len(self.images)} of {len(self.images)} photographs")
        wait_for(lambda: "survey.go" in str(drone.ask("show", object=made)["reason"]), "the wait")
        self.say("drone", "judged", f"dormant: {drone.ask('show', object=made)['reason']}")
        drone.ask("fact", name="survey.go", value=True)
        wait_for(lambda: "offered" in str(drone.ask("show", object=made)["reason"]), "the offer")
        self.say("drone", "judged", str(drone.ask("show", object=made)["reason"]))
        return made

    def carry(self, made: str) -> None:
        """The mule meets the drone, then the base, then the drone again."""
        self._switch(self.drone, self.mule)
        self._wait_equal(self.drone, self.mule, made)
        self.say("mule", "stored", "met the drone; carries the object, may not turn it")
        self._switch(self.mule, self.base)
        shown = wait_for(lambda: _if_mine(self.base, made), "the base to accept")
        self.say("base", "judged", f"accepted custody, epoch {shown['epoch']}; goes on from the history")
        wait_for(lambda: self.receiver.requests >= 1, "the first try")
        self.say("base", "executed", "the server was busy (503, Retry-After 1 s)")
        wait_for(lambda: self.base.ask("show", object=made)["status"] == "ended", "the delivery")
        self.say("base", "executed", f"delivered: {self.base.ask('show', object=made)['result']}")
        self._wait_equal(self.base, self.mule, made)
        self._switch(self.mule, self.drone)
        wait_for(lambda: self.drone.ask("show", object=made)["status"] == "ended", "the receipt")
        self.say("drone", "stored", f"the receipt is back: {self.drone.ask('show', object=made)['result']['receipt']}")

    def _switch(self, *on: Device) -> None:
        """Only these two devices transmit from now on; those that do not, first."""
        for device in sorted(self.devices, key=lambda device: device in on):
            device.ask("radio", on=device in on)
        names = " and ".join(device.name for device in on)
        self.say("all", "gossiped", f"radio on at {names} only")

    def _wait_equal(self, left: Device, right: Device, made: str) -> None:
        wait_for(lambda: left.ask("show", object=made)["heads"] == right.ask("show", object=made)["heads"],
                 f"{right.name} to hold what {left.name} holds")  # fmt: skip

    def _executed(self, device: Device, made: str) -> int:
        rows = device.ask("trace", object=made)
        return len([row for row in rows if row["kind"] == "executed" and row["body"]["is_final"]])

    # --- The checks -----------------------------------------------------------------------------------------------

    def check(self, made: str) -> dict[str, Any]:
        """Check every claim on what the devices hold; `ok` is true if all hold."""
        heads, verified = [], []
        for device in self.devices:
            file = self.folder / f"{device.name}.capsule"
            device.command("export", made, "-o", str(file))
            found = device.command("verify", str(file))
            heads.append(found["head"])
            verified.append(found["verified"] == "full" and found["entries"] > 0)
        rows = [row["body"] for row in self.base.ask("trace", object=made) if row["kind"] == "executed"]
        final = Counter(body["path"] for body in rows if body["is_final"])
        tries = Counter(body["attempt"] for body in rows)
        lines = [json.loads(line) for line in self.starts_file.read_text().splitlines()]
        starts = Counter(line["attempt"] for line in lines)
        checks = {
            "every entry verifies on every device": all(verified),
            "all devices hold the same heads": all(head == heads[0] for head in heads),
            "one delivery at the server": len(self.receiver.deliveries) == 1,
            "one final record for each step": len(final) == len(self.images) + 1 and set(final.values()) == {1},
            "no recorded step was started again": all(starts[key] <= tries[key] for key in starts),
            "photographs on the drone, delivery on the base": {
                (line["what"].split()[0], line["device"]) for line in lines
            } == {("shoot", "drone"), ("deliver", "base")},
        }
        shown = self.base.ask("show", object=made)
        return {
            "ok": all(checks.values()), "devices": len(self.devices), "objects": 1, "entries": shown["entries"],
            "steps": len(final), "starts": sum(starts.values()), "requests": self.receiver.requests,
            "deliveries": len(self.receiver.deliveries), "result": shown["result"], "checks": checks,
            "seconds": round(time.monotonic() - self.began, 1), "object": made,
        }  # fmt: skip


def _knows_all(device: Device) -> bool:
    peers = device.ask("peers")
    return len(peers) == 2 and all(peer["name"] and peer["connected"] for peer in peers)


def _if_mine(device: Device, made: str) -> dict[str, Any] | None:
    shown: dict[str, Any] = device.ask("show", object=made)
    return shown if shown["custodian_name"] == device.name else None
