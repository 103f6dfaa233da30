"""Programs that are driven and replayed without a node, and the same as a child process under another Python.

`Bench` plays the node for one body: it appends what resumes the body to a `Script`, delivers it, and records what the
body makes. `plan` is a handler that does what a nested list says, so that hypothesis can write programs.

As a child (`python -m tests.support.replay_child`) it reads one `Case` as JSON per line, replays its script, goes on
for some resumptions, and answers with one line: the longer script and what the body waits for then.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
from msgspec.structs import replace

from edge_runtime import App, Context, StepFailed
from edge_runtime.base.errors import UsageError
from edge_runtime.judge.outcomes import Outcome
from edge_runtime.objects.codec import encode_value
from edge_runtime.objects.script import Resumed, Resumption, Script
from edge_runtime.program.app import Intent
from edge_runtime.program.driver import Body, Completed, Learned, Published, Start, StateSet, StepCall
from edge_runtime.program.results import encode_result

START = Start(object=b"o" * 32, lineage=b"l" * 32, device=b"d" * 32)

app = App("replayed", version=1)


# --- Programs ---------------------------------------------------------------------------------------------------


def work(label: str) -> str:
    """A step: returns what it was given. `Bench` decides when, and fails those whose label begins with `bad`."""
    return label


@app.intent("plan")
async def plan(ctx: Context, nodes: list[Any]) -> list[Any]:
    """Do what the nested list says, and return what happened, in the order in which the body saw it."""
    seen: list[Any] = []
    await _do(ctx, ["seq", *nodes], seen)
    return seen


async def _do(ctx: Context, node: list[Any], seen: list[Any]) -> Any:
    kind, *rest = node
    return await ACTS[kind](ctx, rest, seen)


async def _step(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    try:
        result: Any = await ctx.run(rest[0], work, rest[1])
    except StepFailed as error:
        result = f"failed {error.outcome.name}"
    seen.append(result)
    return result


async def _seq(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    return [await _do(ctx, node, seen) for node in rest]


async def _gather(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    return await asyncio.gather(*(_do(ctx, node, seen) for node in rest))


async def _group(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_do(ctx, node, seen)) for node in rest]
    return [task.result() for task in tasks]


async def _race(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    tasks = [asyncio.create_task(_do(ctx, node, seen)) for node in rest]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    # In the sets' own order: this is what would differ if tasks hashed by address.
    won = [tasks.index(task) for task in done]
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    seen.append(["won", won, len(pending)])
    return won


async def _wait_for(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    try:
        return await asyncio.wait_for(_do(ctx, rest[1], seen), rest[0] / 1_000)
    except TimeoutError:
        seen.append("timed out")
        return None


async def _timeout(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    try:
        async with asyncio.timeout(rest[0] / 1_000):
            return await _do(ctx, rest[1], seen)
    except TimeoutError:
        seen.append("over")
        return None


async def _shield(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    inner = asyncio.create_task(_do(ctx, rest[1], seen))
    try:
        return await asyncio.wait_for(asyncio.shield(inner), rest[0] / 1_000)
    except TimeoutError:
        return await inner


async def _queue(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=2)

    async def produce(node: list[Any]) -> None:
        await queue.put(await _do(ctx, node, seen))

    producers = [asyncio.create_task(produce(node)) for node in rest]
    taken = [await queue.get() for _ in producers]
    seen.append(["queue", taken])
    return taken


async def _completed(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    tasks = [asyncio.create_task(_do(ctx, node, seen)) for node in rest]
    for next_one in asyncio.as_completed(tasks):
        seen.append(["completed", await next_one])
    return None


async def _locked(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    lock, condition, ready = asyncio.Lock(), asyncio.Condition(), []

    async def hold(node: list[Any]) -> None:
        async with lock:
            await _do(ctx, node, seen)
        async with condition:
            ready.append(1)
            condition.notify_all()

    tasks = [asyncio.create_task(hold(node)) for node in rest]
    async with condition:
        await condition.wait_for(lambda: len(ready) == len(tasks))
    seen.append("unlocked")
    return None


async def _event(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    """Many wait for one event, every other one through `wait_for`: who goes on first?"""
    event = asyncio.Event()

    async def wait(number: int) -> None:
        if number % 2:
            await event.wait()
        else:
            try:
                await asyncio.wait_for(event.wait(), 1_000)
            except TimeoutError:
                seen.append("asleep")
        seen.append(["woken", number])
        await _do(ctx, ["step", "woken", str(number)], seen)

    tasks = [asyncio.create_task(wait(number)) for number in range(rest[0])]
    await _do(ctx, rest[1], seen)
    event.set()
    await asyncio.gather(*tasks)
    return None


async def _guard(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    """Write down when a cancellation comes through."""
    try:
        return await _do(ctx, rest[1], seen)
    except asyncio.CancelledError:
        seen.append(["cancelled", rest[0]])
        raise


async def _sleep(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    await asyncio.sleep(rest[0] / 1_000)
    seen.append(["slept", ctx.age().total_seconds()])
    return None


async def _signals(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    taken = []
    async for signal in ctx.signals(rest[0]):
        taken.append(signal)
        if len(taken) == rest[1]:
            break
    seen.append(["signals", taken])
    return taken


async def _promise(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    value = await ctx.promise(rest[0], timeout=rest[1] / 1_000, default="nobody")
    seen.append(["promise", value])
    return value


async def _poll(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    """Poll one probe, perhaps with a timeout; a second wait on the same probe is told that it is polled."""
    try:
        value = await ctx.poll(rest[0], every=1, timeout=rest[1] / 1_000)
    except TimeoutError:
        value = "late"
    except UsageError:
        value = "polled already"
    seen.append(["poll", value])
    return value


async def _fact(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    value = await ctx.fact(rest[0], default=0)
    seen.append(["fact", value])
    return value


async def _make(ctx: Context, rest: list[Any], seen: list[Any]) -> Any:
    count = await ctx.state.get("count", 0)
    ctx.state.set("count", count + 1)
    ctx.publish("progress", len(seen))
    seen.append(["made", count, ctx.uuid(), ctx.random.randrange(1_000), ctx.now().isoformat()])
    return count


ACTS: dict[str, Callable[[Context, list[Any], list[Any]], Any]] = {
    "step": _step,
    "seq": _seq,
    "gather": _gather,
    "group": _group,
    "race": _race,
    "wait_for": _wait_for,
    "timeout": _timeout,
    "shield": _shield,
    "queue": _queue,
    "completed": _completed,
    "locked": _locked,
    "event": _event,
    "guard": _guard,
    "sleep": _sleep,
    "signals": _signals,
    "promise": _promise,
    "poll": _poll,
    "fact": _fact,
    "make": _make,
}


# --- The node's part ---------------------------------------------------------------------------------------------


class Facts:
    """A world whose one fact changes at every look, so that an unrecorded look would be seen."""

    def __init__(self, looks: int = 0) -> None:
        self.looks = looks
        self.state: dict[str, bytes] = {}

    def fact(self, name: str) -> bool | int | float | str | None:
        """Return how often anything was looked at."""
        self.looks += 1
        return self.looks

    def state_get(self, name: str) -> bytes | None:
        """Return what the bench has stored."""
        return self.state.get(name)


@dataclass
class Case:
    """One body between two devices: its records, what the next device still does, and what it saw."""

    intent: str
    script: Script
    seed: int
    resumptions: int
    state: dict[str, bytes] = field(default_factory=dict)
    waits: Any = None


def new_script(argument: Any) -> Script:
    """Return the records of a new object with this argument."""
    return Script(0, encode_value(argument), age_ms=0, wall_ms=1_000_000)


class Bench:
    """A body with its records, driven by a seeded scheduler that finishes things in random order."""

    def __init__(self, intent: Intent, script: Script, world: Facts | None = None) -> None:
        self.intent = intent
        self.script = script
        self.world = world or Facts()
        self.calls: dict[str, StepCall] = {}
        self.signals = 0
        self.body = self._replayed()

    @classmethod
    def begin(cls, intent: Intent, argument: Any, world: Facts | None = None) -> Bench:
        """Return a bench for a new object with this argument."""
        return cls(intent, new_script(argument), world)

    def _replayed(self) -> Body:
        body = Body(self.intent, START, self.script)
        body.replay(self.world)
        self._absorb(body)
        return body

    def _absorb(self, body: Body) -> None:
        """Record what the body made, as the node does in the same turn."""
        for made in body.take_made():
            match made:
                case Learned(path, value):
                    self.script.learned[path] = value
                case Published(path, name, _):
                    self.script.published[path] = name
                case StateSet(path, name, value):
                    self.script.learned[path] = value
                    self.world.state[name] = value

    def rebuild(self) -> None:
        """Free the body and make it again from its records alone."""
        self.body.free()
        self.script = replace(
            self.script,
            resumptions=list(self.script.resumptions),
            learned=dict(self.script.learned),
            published=dict(self.script.published),
        )
        self.body = self._replayed()

    def deliver(self, resumption: Resumption) -> None:
        """Append a resumption to the records and resume the body by it."""
        self.script.resumptions.append(resumption)
        self.body.deliver(resumption, self.world)
        self._absorb(self.body)

    def age_ms(self) -> int:
        """Return the age at the newest record."""
        return self.script.resumptions[-1].age_ms if self.script.resumptions else self.script.age_ms

    def choices(self) -> list[Resumption]:
        """Return everything that could resume the body next: steps that end (also abandoned ones), inputs, a timer."""
        age_ms, body = self.age_ms() + 7, self.body
        wall_ms = self.script.wall_ms + age_ms
        found = []
        for call in body.steps():
            self.calls[call.path] = call
        awaited = [call.path for call in body.steps()]
        for path in [*awaited, *(path for path in body.abandoned_steps() if path in self.calls)]:
            found.append(outcome_of(self.calls[path], age_ms, wall_ms))
        for name in dict.fromkeys(wait.name for wait in body.input_waits()):
            path = next(wait.path for wait in body.input_waits() if wait.name == name)
            value = encode_value([name, len(self.script.resumptions)])
            found.append(Resumption(Resumed.INPUT, path, age_ms, wall_ms, value))
        for timer in body.timers()[:1]:
            due_ms = max(age_ms, timer.due_age_ms)
            found.append(Resumption(Resumed.TIMER, timer.path, due_ms, self.script.wall_ms + due_ms))
        for poll in body.poll_waits():
            value = encode_value({"size": len(self.script.resumptions)})
            found.append(Resumption(Resumed.POLL, poll.path, age_ms, wall_ms, value))
        for wait in body.condition_waits():
            found.append(Resumption(Resumed.CONDITION, wait.path, age_ms, wall_ms))
        return found

    def go_on(self, rng: Random, resumptions: int) -> int:
        """Resume by so many random choices at most; return how many there were."""
        for count in range(resumptions):
            choices = [] if self.body.ended is not None else self.choices()
            if not choices:
                return count
            self.deliver(rng.choice(choices))
        return resumptions

    def waits(self) -> Any:
        """Return, as plain data, everything that the node can see of the body."""
        body = self.body
        ended = body.ended
        return [
            [[call.path, call.name, call.fingerprint.hex(), call.attempt.hex()] for call in body.steps()],
            sorted(body.abandoned_steps()),
            [[wait.path, wait.name] for wait in body.input_waits()],
            [[wait.path, wait.text] for wait in body.condition_waits()],
            [[wait.path, wait.probe, wait.since_age_ms] for wait in body.poll_waits()],
            [[timer.path, timer.due_age_ms] for timer in body.timers()],
            None if ended is None else [type(ended).__name__, *_plain(ended)],
        ]


def _plain(ended: Any) -> list[str]:
    return [ended.value.hex()] if isinstance(ended, Completed) else [repr(ended)]


MADE: list[Bench] = []


def bench_of(handler: Callable[..., Any], argument: Any = None, world: Facts | None = None) -> Bench:
    """Return a bench for a handler that is in no app yet; `free_all` frees its body."""
    one = App("test")
    one.intent("test")(handler)
    MADE.append(Bench.begin(one.intents["test"], argument, world))
    return MADE[-1]


def free_all() -> None:
    """Free every body that `bench_of` made."""
    while MADE:
        MADE.pop().body.free()


def outcome_of(call: StepCall, age_ms: int, wall_ms: int) -> Resumption:
    """Return how a plain step ends: with what its function returns, or `invalid` if that begins with `bad`."""
    label = call.function(*call.arguments)
    if str(label).startswith("bad"):
        return Resumption(
            Resumed.STEP, call.path, age_ms, wall_ms, b"", call.fingerprint, Outcome.INVALID, "asked to", "Bad"
        )
    value = encode_result(label, call.result_type, call.name)
    assert isinstance(value, bytes), value
    return Resumption(Resumed.STEP, call.path, age_ms, wall_ms, value, call.fingerprint)


def continue_case(case: Case) -> Case:
    """Replay a case, go on by its number of resumptions, and return it with the longer script."""
    world = Facts(looks=len(case.script.learned))
    world.state = dict(case.state)
    bench = Bench(app.intents[case.intent], case.script, world)
    replayed = bench.waits()
    bench.go_on(Random(case.seed), case.resumptions)
    answer = Case(case.intent, bench.script, case.seed, 0, world.state, [replayed, bench.waits()])
    bench.body.free()
    return answer


def main() -> None:
    """Answer each case on standard input with one line."""
    for line in sys.stdin:
        answer = continue_case(msgspec.json.decode(line, type=Case))
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
