"""The story: three devices meet once, work apart, one is killed, a third carries, the far one delivers.

Every line of the timeline is something that was observed. At the end the claims are checked on the files themselves;
any that fails makes the demo fail.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ...base.errors import Exit, UsageError
from ...base.limits import DEMO_IMAGES_MAX
from .checks import Capsule, Evidence, Killing, check, executed, read_starts
from .fleet import Device, stop_all, wait_for
from .images import find_images, make_images
from .server import Receiver

SECONDS_EACH = 0.5  # real devices take as long; here it leaves room for a kill in the middle
SECONDS_ALL = 24.0  # over all photographs; four are taken at a time
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
        self.folder = folder.absolute()
        self.found = find_images(images.absolute()) if images is not None else make_images(self.folder / "images")
        self.images = self.found[:DEMO_IMAGES_MAX]
        self.began = time.monotonic()
        self._tell = tell
        self.starts_file = self.folder / "starts.log"
        env = {
            "EDGE_SURVEY_LOG": str(self.starts_file),
            "PYTHONPATH": os.pathsep.join([str(find_example()), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        app = ["--app", "survey:app"]
        self.base = Device("base", self.folder, [*app, "--capability", "uplink"], env)
        self.drone = Device("drone", self.folder, [*app, "--capability", "camera"], env)
        self.mule = Device("mule", self.folder, [], env)
        self.devices = (self.base, self.drone, self.mule)
        self.receiver = Receiver()

    def say(self, who: str, stage: str, why: str) -> None:
        """Tell one line."""
        self._tell(time.monotonic() - self.began, who, stage, why)

    def close(self) -> None:
        """End every process and the server."""
        stop_all(self.devices)
        self.receiver.close()

    # --- The acts -------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Tell the whole story and return what was checked."""
        self.make_fleet()
        self.meet_once()
        made = self.submit()
        killing = self.kill_in_the_middle(made)
        self.finish_the_photographs(made)
        self.carry(made)
        return self.conclude(made, killing)

    def make_fleet(self) -> None:
        """Put three devices into one fleet with the commands a person would use."""
        self.base.command("init", "--name", "base")
        self.base.command("fleet", "create", "field")
        for device, roles in ((self.drone, "executor"), (self.mule, "relay")):
            made = device.command("init", "--name", device.name)
            file = self.folder / f"{device.name}.grant"
            self.base.command("grant", made["device"], "--roles", roles, "-o", str(file))
            device.command("join", str(file))
        self.say("base", "entered", "fleet `field`: the drone joined as executor, the mule as relay")

    def meet_once(self) -> None:
        """Start the daemons, let all meet, then cut every link."""
        for device in self.devices:
            device.start()
        for device in self.devices:
            wait_for(partial(self._knows_all, device), f"{device.name} to meet the others")
        self.say("all", "gossiped", "the three met: base has an uplink, drone a camera, mule nothing")
        for device in self.devices:
            device.ask("radio", on=False)
        self.say("all", "gossiped", "radio off: nobody hears anybody")

    def submit(self) -> str:
        """Give the drone its survey and return the object's id."""
        if len(self.found) > len(self.images):
            self.say("drone", "entered", f"{len(self.found)} images: the first {len(self.images)} are surveyed")
        each = min(SECONDS_EACH, SECONDS_ALL / len(self.images))
        area = {"area": {"folder": str(self.images[0].parent), "files": [file.name for file in self.images],
                         "seconds_each": each, "url": self.receiver.url}}  # fmt: skip
        made: str = self.drone.ask("submit", intent="survey.area", arguments=area, name=NAME)["object"]
        self.say("drone", "entered", f"survey of {len(self.images)} images ({made[:12]})")
        return made

    def kill_in_the_middle(self, made: str) -> Killing:
        """Kill the drone while steps run, if there are enough of them after the first is recorded; start it again."""
        taken = wait_for(partial(self._is_in_the_middle, made), "the middle of the photographs")
        self.drone.kill()
        killing = Killing(int(time.time() * 1000), read_starts(self.starts_file))
        self.say("drone", "executed", f"{taken - 1} of {len(self.images)} photographs")
        self.say("drone", "entered", f"killed with -9 in the middle: {len(killing.starts)} had begun")
        self.drone.start()
        self.say("drone", "woken", f"started again: {self._taken(made)} photographs are in its history")
        return killing

    def finish_the_photographs(self, made: str) -> None:
        """Tell each photograph as it comes, then sleep, wait for the word, and offer the object."""
        wanted, told = len(self.images), self._taken(made)
        while told < wanted:
            told = wait_for(partial(self._taken, made, told + 1), "the next photograph")
            self.say("drone", "executed", f"{told} of {wanted} photographs")
        shown = wait_for(lambda: self._if_reason(made, "sleeping", "survey.go"), "the durable sleep")
        if shown["reason"] == "sleeping":  # a machine that stalls for a second sees only what comes after
            self.say("drone", "judged", "dormant: sleeping")
        shown = wait_for(lambda: self._if_reason(made, "survey.go"), "the wait")
        self.say("drone", "judged", f"dormant: {shown['reason']}")
        self.drone.ask("fact", name="survey.go", value=True)
        self.say("drone", "woken", "survey.go is true")
        shown = wait_for(lambda: self._if_reason(made, "offered"), "the offer")
        self.say("drone", "judged", f"dormant: {shown['reason']}")

    def carry(self, made: str) -> None:
        """The mule meets the drone, then the base, then the drone again."""
        self._let_transmit(self.drone, self.mule)
        self._wait_equal(self.drone, self.mule, made)
        self.say("mule", "stored", "met the drone; carries the object, may not turn it")
        self._let_transmit(self.mule, self.base)
        shown = wait_for(lambda: self._if_custodian(self.base, made), "the base to accept")
        self.say("base", "judged", f"accepted custody, epoch {shown['epoch']}; goes on from the history")
        wait_for(lambda: self.receiver.requests >= 1, "the first try")
        self.say("base", "executed", "the server was busy: 503, Retry-After 1 s")
        shown = wait_for(lambda: self._if_ended(self.base, made), "the delivery")
        self.say("base", "executed", f"delivered, and ended: {shown['result']['receipt']}")
        self._wait_equal(self.base, self.mule, made)
        self._let_transmit(self.mule, self.drone)
        shown = wait_for(lambda: self._if_ended(self.drone, made), "the receipt")
        self.say("drone", "stored", f"the receipt is back: {shown['result']['receipt']}")
        self._wait_equal(self.drone, self.mule, made)

    def conclude(self, made: str, killing: Killing) -> dict[str, Any]:
        """Check every claim on what the devices hold; `ok` is true if all hold."""
        capsules = []
        for device in self.devices:
            file = self.folder / f"{device.name}.capsule"
            device.command("export", made, "-o", str(file))
            found = device.command("verify", str(file))
            capsules.append(Capsule(found["entries"], found["verified"], tuple(found["head"])))
        rows, starts = self.base.ask("trace", object=made), read_starts(self.starts_file)
        checks = check(Evidence(self.images, capsules, rows, starts, killing, self.receiver.deliveries))
        return {
            "ok": all(checks.values()), "devices": len(self.devices), "objects": 1,
            "entries": capsules[0].entries,
            "steps": len([row for row in executed(rows) if row["body"]["is_final"]]),
            "starts": len(starts), "requests": self.receiver.requests,
            "deliveries": len(self.receiver.deliveries),
            "result": self.base.ask("show", object=made)["result"], "checks": checks,
            "seconds": round(time.monotonic() - self.began, 1), "object": made,
        }  # fmt: skip

    # --- What is looked at ----------------------------------------------------------------------------------------

    def _let_transmit(self, *on: Device) -> None:
        """Let only these two transmit from now on. Those that must be silent are silenced first."""
        for device in self.devices:
            if device not in on:
                device.ask("radio", on=False)
        for device in on:
            if device.ask("status")["radio"] == "off":
                device.ask("radio", on=True)
        self.say("all", "gossiped", f"radio on at {' and '.join(device.name for device in on)} only")

    def _wait_equal(self, left: Device, right: Device, made: str) -> None:
        wait_for(lambda: left.ask("show", object=made)["heads"] == right.ask("show", object=made)["heads"],
                 f"{right.name} to hold what {left.name} holds")  # fmt: skip

    def _show(self, device: Device, made: str) -> dict[str, Any]:
        """Return what `show` says.

        Raises:
            UsageError: the object ended without a result, such as for an image that cannot be read.
        """
        shown: dict[str, Any] = device.ask("show", object=made)
        if shown["status"] == "ended" and shown["end"] != "completed":
            raise UsageError(f"The survey {shown['end']}: {shown['error']}", Exit.FAILED)
        return shown

    def _taken(self, made: str, least: int = 0) -> int:
        """Return how many photographs have a final record on the drone; 0 if those are fewer than `least`."""
        self._show(self.drone, made)
        rows = executed(self.drone.ask("trace", object=made))
        taken = len([row for row in rows if row["body"]["is_final"]])
        return taken if taken >= least else 0

    def _is_in_the_middle(self, made: str) -> int:
        """Return 1 + the photographs taken, if others have begun and one is taken or none is left to begin; else 0."""
        begun, taken = len(read_starts(self.starts_file)), self._taken(made)
        return 1 + taken if begun > taken and (taken or begun == len(self.images)) else 0

    def _if_reason(self, made: str, *words: str) -> dict[str, Any] | None:
        shown = self._show(self.drone, made)
        return shown if any(word in str(shown["reason"]) for word in words) else None

    def _if_custodian(self, device: Device, made: str) -> dict[str, Any] | None:
        shown = self._show(device, made)
        return shown if shown["custodian_name"] == device.name else None

    def _if_ended(self, device: Device, made: str) -> dict[str, Any] | None:
        shown = self._show(device, made)
        return shown if shown["status"] == "ended" else None

    def _knows_all(self, device: Device) -> bool:
        peers = device.ask("peers")
        met = [peer for peer in peers if peer["connected"] and peer["name"] in ("base", "drone", "mule")]
        return len(met) == len(self.devices) - 1
