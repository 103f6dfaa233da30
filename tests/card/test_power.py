"""The real daemon on real ext4 whose power is cut at random moments, and copies of the card taken while it works."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from edge_runtime.base.errors import UsageError
from edge_runtime.client import BlockingClient
from edge_runtime.host.clock import Clock
from edge_runtime.host.device import make_node
from edge_runtime.host.statedir import StateDir
from edge_runtime.judge.policy import Policy
from edge_runtime.node.node import Node
from tests.support.cards import Card, run
from tests.support.daemons import Daemon, wait_until

STEPS = 5
CUTS = int(os.environ.get("EDGE_CUTS", "300"))
LANES = 4  # cards side by side: most of a cut is waiting for a daemon to start
SEED = int(os.environ.get("EDGE_CUT_SEED", "20261125"))
IMAGES = int(os.environ.get("EDGE_IMAGES", "60"))
OLD_CHECKED = 40  # objects acknowledged before earlier cuts that are looked at after each; at the end all are

APP = f'''
import asyncio, os
from edge_runtime import App, current_attempt
app = App("power")
log = os.open(os.environ["POWER_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

async def work(x, i):
    os.write(log, f"{{current_attempt().id}} {{x}} {{i}}\\n".encode())
    await asyncio.sleep(0.002 * (i + 1))
    return x

@app.intent("chain")
async def chain(ctx, x: int):
    for i in range({STEPS}):
        await ctx.run(f"s{{i}}", work, x, i)
        if i == 2:
            await asyncio.sleep(0.02)
    return x
'''


class Told(Struct):
    """What a daemon acknowledged: number -> object id, and the numbers whose end was told."""

    made: dict[int, str] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)

    def copy(self) -> Told:
        return Told(dict(self.made), dict(self.ended))


def submit_until_it_dies(folder: Path, told: Told, first: int) -> None:
    """Submit objects by number, one in four waited for, until the daemon says nothing any more."""
    try:
        with BlockingClient(folder) as client:
            for number in range(first, first + 1_000):
                made = client.submit("chain", number, name=f"o{number}", wait=number % 4 == 1)
                told.made[number] = made["object"]
                if number % 4 == 1:
                    told.ended[number] = made["result"]
    except UsageError:
        pass  # the power is off


class Starts:
    """The starts of steps, written by the app outside of the card; what began after a cut is in no world.

    Attributes:
        counts: starts of each attempt. last: number -> the last step begun: those before it were durable then.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.counts: Counter[str] = Counter()
        self.last: dict[int, int] = {}
        self._at = 0

    def read(self) -> None:
        data = self.log.read_bytes() if self.log.exists() else b""
        for line in data[self._at : data.rfind(b"\n") + 1].decode().splitlines():
            attempt, number, step = line.split()
            self.counts[attempt] += 1
            self.last[int(number)] = max(self.last.get(int(number), 0), int(step))
        self._at = data.rfind(b"\n") + 1

    def skip(self) -> None:
        """Leave out what came since the last reading."""
        self._at = self.log.stat().st_size if self.log.exists() else 0


def open_state(folder: Path) -> StateDir:
    """Open a state that no daemon has. Another lane's child holds a copy of our last lock until it has become a daemon."""
    found: StateDir = wait_until(lambda: StateDir.open(folder), 10, "the lock")
    return found


def open_node(state: StateDir) -> Node:
    return make_node(state, (), Policy.default(), Clock(), "x")


def finals(node: Node, object_id: str) -> Counter[str]:
    """Return how many final records each step of an object has; reading them checks each entry's hash and place."""
    live = node.parts.spool.find(bytes.fromhex(object_id))
    assert live is not None, f"{object_id} was acknowledged and is gone"
    rows = [row["body"] for row in node.answers.trace(live) if row["kind"] == "executed"]
    return Counter(body["path"].rpartition("/")[2].partition(":")[0] for body in rows if body["is_final"])


def check_spool(folder: Path, told: Told, begun: dict[int, int], numbers: Iterable[int]) -> None:
    """What was acknowledged is in the spool: objects, ends, and the steps before each step that had begun."""
    state = open_state(folder)
    try:
        node = open_node(state)
        run_sql = node.parts.store.run
        assert run_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
        for number in numbers:
            object_id = told.made[number]
            count = finals(node, object_id)
            assert max(count.values(), default=0) <= 1, f"a step of o{number} finished twice"
            for step in range(begun.get(number, 0)):
                assert count[f"s{step}"] == 1, f"o{number}: step {step} was recorded and is gone ({count})"
            live = node.parts.spool.find(bytes.fromhex(object_id))
            assert live is not None
            if number in told.ended:
                assert live.state.content.finish is not None, f"the end of o{number} was told and is gone"
        node.parts.store.connection.close()
    finally:
        state.close()


def device_on(card: Card, folder: Path) -> Daemon:
    """Return a device whose state is on a card, and whose app and logs are in a folder elsewhere."""
    (folder / "power.py").write_text(APP)
    env = {"POWER_LOG": str(folder / "starts")}
    daemon = Daemon(card.path / "s", "--interface", "lo", "--app", "power:app", env=env, cwd=folder)
    daemon.log = folder / "daemon.log"
    return daemon


class Lane:
    """One card, one device on it, and its cuts."""

    def __init__(self, folder: Path, number: int, cuts: int) -> None:
        self.folder = folder / f"lane{number}"
        self.folder.mkdir()
        self.log = self.folder / "starts"
        self.chance = random.Random(SEED + number)
        self.cuts = cuts
        self.starts = Starts(self.log)
        self.told = Told()

    def run(self) -> None:
        with Card() as card:
            daemon = device_on(card, self.folder)
            try:
                daemon.start()
                for cut in range(self.cuts):
                    self.one_cut(card, daemon, first=cut * 1_000)
                    daemon.start()
                self.finish(daemon)
            finally:
                daemon.kill()

    def one_cut(self, card: Card, daemon: Daemon, first: int) -> None:
        older = list(self.told.made)
        told = self.told
        submitter = threading.Thread(target=submit_until_it_dies, args=(daemon.folder, told, first))
        submitter.start()
        if self.chance.random() < 0.8:  # else the cut comes while the daemon begins again with what it finds
            known = len(older)
            wait_until(lambda: len(told.made) > known, what="a first acknowledgement")
        time.sleep(self.chance.uniform(0.0, 0.2))  # the moment of the cut, not a wait
        acknowledged = told.copy()
        self.starts.read()
        card.cut()
        daemon.kill()
        self.starts.skip()
        submitter.join(10)
        assert not submitter.is_alive()
        self.told = acknowledged
        card.unmount()
        card.mount()
        fresh = [number for number in acknowledged.made if number >= first]
        older = self.chance.sample(older, min(OLD_CHECKED, len(older)))
        check_spool(daemon.folder, acknowledged, self.starts.last, [*fresh, *older])

    def finish(self, daemon: Daemon) -> None:
        """All that was acknowledged ends, each step with one final record, and none started after it."""
        with BlockingClient(daemon.folder) as client:
            for object_id in self.told.made.values():
                try:
                    client.ask("resume", object=object_id)  # what died three times in one step is set aside
                except UsageError:
                    pass  # ended already
            for number, object_id in self.told.made.items():
                assert client.ask("wait", object=object_id)["result"] == number
        daemon.stop()
        check_spool(daemon.folder, self.told, {number: STEPS for number in self.told.made}, self.told.made)
        self.check_starts(daemon.folder)

    def check_starts(self, folder: Path) -> None:
        self.starts.read()
        state = open_state(folder)
        try:
            node = open_node(state)
            for object_id in self.told.made.values():
                live = node.parts.spool.find(bytes.fromhex(object_id))
                assert live is not None
                rows = [row["body"] for row in node.answers.trace(live) if row["kind"] == "executed"]
                for attempt, count in Counter(body["attempt"] for body in rows).items():
                    assert self.starts.counts[attempt] <= count, "a finished step was started again"
            node.parts.store.connection.close()
        finally:
            state.close()


def test_power_cuts_lose_nothing_acknowledged_and_finish_nothing_twice(tmp_path: Path) -> None:
    """Behaviours: 1.5, 15.1, 18.1. Cuts at random moments of a working daemon, on real ext4, several cards at once."""
    began = time.monotonic()
    lanes = [Lane(tmp_path, number, CUTS // LANES + (number < CUTS % LANES)) for number in range(LANES)]
    with ThreadPoolExecutor(LANES) as pool:
        for done in [pool.submit(lane.run) for lane in lanes]:
            done.result()
    made, ended = (sum(len(getattr(lane.told, name)) for lane in lanes) for name in ("made", "ended"))
    steps = sum(sum(lane.starts.counts.values()) for lane in lanes)
    print(f"seed {SEED}: {CUTS} cuts in {time.monotonic() - began:.0f} s; {made} objects and {ended} ends acknowledged "
          f"before a cut, {steps} starts of steps")  # fmt: skip
    assert made >= CUTS // 2 and steps >= CUTS, "the daemons hardly worked between the cuts"


def test_every_copy_of_the_card_at_any_moment_holds_what_was_acknowledged_before(tmp_path: Path) -> None:
    """Behaviours: 15.1, 18.1. Images of the whole card by reflink while the daemon works; each one is mounted and read."""
    chance = random.Random(SEED)
    told, starts = Told(), Starts(tmp_path / "starts")
    images: list[tuple[Path, Told, dict[int, int]]] = []
    with Card(600, "xfs") as shelf, Card(image=shelf.path / "card") as card:
        daemon = device_on(card, tmp_path)
        submitter = threading.Thread(target=submit_until_it_dies, args=(daemon.folder, told, 0))
        try:
            daemon.start()
            submitter.start()
            wait_until(lambda: told.made, what="a first acknowledgement")
            for number in range(IMAGES):
                starts.read()
                copy = shelf.path / f"image{number}"
                acknowledged, begun = told.copy(), dict(starts.last)
                run("cp", "--reflink=always", str(card.image), str(copy))
                images.append((copy, acknowledged, begun))
                time.sleep(chance.uniform(0.0, 0.03))  # the moment of the next image, not a wait
        finally:
            daemon.kill()
        submitter.join(10)
        for copy, acknowledged, begun in images:
            with Card(image=copy) as copied:
                newest = list(acknowledged.made)[-OLD_CHECKED:]
                check_spool(copied.path / "s", acknowledged, begun, newest)
    print(f"seed {SEED}: {IMAGES} images, {len(told.made)} objects acknowledged, {sum(starts.counts.values())} starts")
