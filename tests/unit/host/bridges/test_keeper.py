"""A bridge is kept up, paced by why it was lost, and never stops the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.base.limits import BRIDGE_WAIT_MS_FIRST, BRIDGE_WAIT_MS_MAX
from edge_runtime.host.bridges.keeper import Keeper, is_local, wait_ms_after
from edge_runtime.host.bridges.mavlink import is_on_board


def test_the_wait_doubles_up_to_its_bound_with_jitter_down_to_the_half() -> None:
    for failures in range(1, 40):
        ceiling_ms = min(BRIDGE_WAIT_MS_FIRST * 2 ** (failures - 1), BRIDGE_WAIT_MS_MAX)
        waits = [wait_ms_after(failures, Random(seed)) for seed in range(20)]
        assert ceiling_ms // 2 <= min(waits) < max(waits) <= ceiling_ms


@pytest.mark.parametrize("error", [ConnectionRefusedError("nobody"), RuntimeError("a mistake of theirs"), None])
async def test_whatever_a_session_ends_by_it_is_begun_again(error: Exception | None) -> None:
    tries: asyncio.Queue[int] = asyncio.Queue()

    async def session(stands: Callable[[], None]) -> None:
        tries.put_nowait(1)
        if error is not None:
            raise error

    keeper = Keeper("test", session, Random(0))
    task = asyncio.create_task(keeper.run())
    async with asyncio.timeout(20):
        for _ in range(4):
            await tries.get()
            while not keeper.trouble or keeper.trouble == "connecting":
                await asyncio.sleep(0)
            keeper.signal()  # a link came up: no wait is sat out
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert keeper.sessions == 0 and keeper.report()["trouble"]


async def test_a_link_that_comes_up_during_a_try_that_fails_is_not_forgotten() -> None:
    """The try began before there was a link: nothing else would begin the next one before the wait is over."""
    tries: asyncio.Queue[int] = asyncio.Queue()
    gate = asyncio.Event()

    async def session(stands: Callable[[], None]) -> None:
        tries.put_nowait(1)
        await gate.wait()
        raise ConnectionRefusedError("nobody")

    keeper = Keeper("test", session, Random(0))
    task = asyncio.create_task(keeper.run())
    await tries.get()
    keeper.signal()
    gate.set()
    async with asyncio.timeout(BRIDGE_WAIT_MS_FIRST / 1_000 / 2 - 0.1):  # less than the shortest wait
        await tries.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class NoWait(Random):
    """Chance that makes every wait nothing, and remembers how long it might have been."""

    def __init__(self) -> None:
        super().__init__(0)
        self.ceilings_ms: list[int] = []

    def randint(self, a: int, b: int) -> int:
        """Return nothing."""
        self.ceilings_ms.append(b)
        return 0


async def test_a_session_that_is_lost_as_soon_as_it_stands_is_begun_again_ever_more_slowly() -> None:
    """A broker that throws us out again would be dialled each second for ever."""

    async def session(stands: Callable[[], None]) -> None:
        stands()
        if len(chance.ceilings_ms) == 4:
            raise UsageError("enough")

    chance = NoWait()
    keeper = Keeper("test", session, chance)
    await keeper.run()
    assert chance.ceilings_ms == [BRIDGE_WAIT_MS_FIRST << number for number in range(4)]


async def test_what_only_another_configuration_could_help_is_not_tried_again() -> None:
    tries = []

    async def session(stands: Callable[[], None]) -> None:
        tries.append(1)
        raise UsageError("install it")

    keeper = Keeper("test", session, Random(0))
    await keeper.run()
    assert (tries, keeper.trouble) == ([1], "install it")


async def test_a_session_that_stands_clears_the_trouble() -> None:
    gate = asyncio.Event()

    async def session(stands: Callable[[], None]) -> None:
        stands()
        gate.set()
        await asyncio.Event().wait()

    keeper = Keeper("test", session, Random(0))
    task = asyncio.create_task(keeper.run())
    await gate.wait()
    assert keeper.report() == {"bridge": "test", "sessions": 1, "trouble": None}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_stays_on_this_machine_is_no_transmission() -> None:
    assert is_local("localhost") and is_local("127.0.1.1") and not is_local("10.0.0.1") and not is_local("localhosts.example")
    assert is_on_board("/dev/ttyAMA0") and is_on_board("udpin:127.0.0.1:14550") and is_on_board("uds:vehicle")
    assert not is_on_board("udpin:0.0.0.0:14550") and not is_on_board("tcp:10.0.0.1:5760")
