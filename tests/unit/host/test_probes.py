"""Probes on the host: one answer each, nothing on the loop that blocks, nothing that the configuration does not name."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.limits import PROBE_BYTES_MAX, PROBES_IN_FLIGHT_MAX
from edge_runtime.host.probe_config import ProbeConfig
from edge_runtime.host.probes import Probes, run_command
from edge_runtime.node.effects import StartProbe
from edge_runtime.node.events import ProbeAnswered
from edge_runtime.objects.codec import decode_value

OBJECT = b"o" * 32


class Bench:
    """Probes on the test's loop, and their answers as they come."""

    def __init__(self, state: Path) -> None:
        self.answers: asyncio.Queue[ProbeAnswered] = asyncio.Queue()
        self.probes = Probes(asyncio.get_running_loop(), self.answers.put_nowait, (), state)
        self.number = 0

    def start(self, name: str, cursor: bytes = b"") -> None:
        self.number += 1
        self.probes.start(StartProbe(OBJECT, name, self.number, cursor))

    async def answer(self) -> ProbeAnswered:
        async with asyncio.timeout(20):
            return await self.answers.get()

    async def look(self, probe: ProbeConfig, cursor: bytes = b"") -> ProbeAnswered:
        """Configure one probe and look at it."""
        self.probes.configure([probe])
        self.start(probe.name, cursor)
        found = await self.answer()
        assert (found.object, found.probe, found.number) == (OBJECT, probe.name, self.number)
        return found


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    found = Bench(tmp_path)
    yield found
    await found.probes.close()


def command(*argv: str, timeout_s: int = 10) -> ProbeConfig:
    return ProbeConfig("it", "command", argv=list(argv), timeout_s=timeout_s)


def python(code: str, timeout_s: int = 10) -> ProbeConfig:
    return command(sys.executable, "-c", code, timeout_s=timeout_s)


async def test_each_kind_answers_with_its_reading(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "door").write_text("one\n")
    path = str(tmp_path / "door")
    found = await bench.look(ProbeConfig("it", "file", path=path))
    assert decode_value(found.value)["size"] == 4 and not found.has_cursor and not found.error
    found = await bench.look(ProbeConfig("it", "log", path=path))
    assert decode_value(found.value)["lines"] == ["one"] and found.has_cursor
    found = await bench.look(ProbeConfig("it", "log", path=path), found.cursor)
    assert decode_value(found.value)["lines"] == []
    found = await bench.look(command("/bin/echo", "-n", "$HOME;", "a b"))
    assert decode_value(found.value) == {"exit": 0, "out": "$HOME; a b"}, "no shell looks at it"


async def test_the_disk_needs_no_configuration(bench: Bench) -> None:
    bench.start("disk")
    assert decode_value((await bench.answer()).value)["free"] > 0


async def test_a_name_that_is_not_configured_runs_nothing(bench: Bench) -> None:
    bench.start("/bin/true")
    assert "no probe named '/bin/true'" in (await bench.answer()).error


async def test_an_absent_source_is_an_error_and_not_a_reading(bench: Bench, tmp_path: Path) -> None:
    """Behaviour: 5.4."""
    for probe in [
        ProbeConfig("it", "file", path=str(tmp_path / "none")), ProbeConfig("it", "http", url="http://127.0.0.1:1/"),
        command("/nonexistent/command"),
    ]:  # fmt: skip
        found = await bench.look(probe)
        assert found.error and not found.value


async def test_a_command_is_killed_with_its_children_when_its_time_is_over(bench: Bench, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"import os,time; os.fork(); open({str(pids)!r},'a').write(f'{{os.getpid()}}\\n'); time.sleep(600)"
    found = await bench.look(python(code, timeout_s=1))
    assert found.error == "no answer within 1 s"
    children = [int(line) for line in pids.read_text().split()]
    assert len(children) == 2
    until_s = time.monotonic() + 5
    while any(_runs(pid) for pid in children):
        assert time.monotonic() < until_s
        await asyncio.sleep(0.01)


async def test_what_a_command_leaves_behind_is_killed_when_it_keeps_the_answer_waiting(
    bench: Bench, tmp_path: Path
) -> None:
    """The command itself has ended: its child holds the output open, and would stay after every look."""
    pid = tmp_path / "pid"
    found = await bench.look(command("/bin/sh", "-c", f"sleep 600 & echo $! > {pid}", timeout_s=1))
    assert found.error == "no answer within 1 s"
    until_s = time.monotonic() + 5
    while _runs(int(pid.read_text())):
        assert time.monotonic() < until_s
        await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


async def test_what_a_command_prints_is_bounded_and_what_it_fails_with_is_told(bench: Bench) -> None:
    found = await bench.look(python("import sys; sys.stdout.write('x' * 10**6); sys.exit(3)"))
    assert decode_value(found.value) == {"exit": 3, "out": "x" * PROBE_BYTES_MAX}


async def test_no_more_run_at_once_than_the_bound_and_the_loop_goes_on(bench: Bench, tmp_path: Path) -> None:
    """A log that is a pipe would block; a command that waits for a file stands for a slow source."""
    go = tmp_path / "go"
    code = f"import os,time\nopen({str(tmp_path)!r}+f'/s{{os.getpid()}}','w')\nwhile not os.path.exists({str(go)!r}): time.sleep(.01)"
    bench.probes.configure([python(code, timeout_s=30)])
    for _ in range(PROBES_IN_FLIGHT_MAX + 3):
        bench.start("it")
    until_s = time.monotonic() + 20
    while len(list(tmp_path.glob("s*"))) < PROBES_IN_FLIGHT_MAX:
        assert time.monotonic() < until_s
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(list(tmp_path.glob("s*"))) == PROBES_IN_FLIGHT_MAX and bench.answers.empty()
    go.touch()
    numbers = sorted([(await bench.answer()).number for _ in range(PROBES_IN_FLIGHT_MAX + 3)])
    assert numbers == list(range(1, PROBES_IN_FLIGHT_MAX + 4))


async def test_sources_that_hang_do_not_make_others_wait_for_ever(tmp_path: Path) -> None:
    answers: asyncio.Queue[ProbeAnswered] = asyncio.Queue()
    hung = command("/bin/sleep", "600", timeout_s=60)
    probes = Probes(asyncio.get_running_loop(), answers.put_nowait, [hung], tmp_path, place_s=0.05)
    for number in range(PROBES_IN_FLIGHT_MAX):
        probes.start(StartProbe(OBJECT, "it", number, b""))
    await asyncio.sleep(0)
    probes.start(StartProbe(OBJECT, "disk", 99, b""))
    async with asyncio.timeout(10):
        found = await answers.get()
    assert found.number == 99 and "do not come back" in found.error
    await probes.close()


async def test_stopping_ends_commands_at_once(bench: Bench) -> None:
    bench.probes.configure([command("/bin/sleep", "600")])
    bench.start("it")
    await asyncio.sleep(0.05)
    begun_s = time.monotonic()
    await bench.probes.close()
    assert time.monotonic() - begun_s < 1.0
    assert bench.answers.empty(), "who asked is gone with the process, and asks again in the next"


async def test_a_command_sees_no_terminal_and_no_input() -> None:
    reading: Any = await run_command([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"])
    assert reading.fields["out"] == "''"


async def test_a_probe_that_policy_refuses_is_not_looked_at(bench: Bench, tmp_path: Path) -> None:
    """Behaviour: 2.3: the command does not run."""
    bench.probes.configure([command("/bin/touch", str(tmp_path / "ran"))])
    bench.probes.start(StartProbe(OBJECT, "it", 1, b"", "refused by policy: no spying"))
    assert await bench.answer() == ProbeAnswered(OBJECT, "it", 1, error="refused by policy: no spying")
    assert not (tmp_path / "ran").exists()
