"""A device that does nothing but discover: listens to its links and prints what it sees, as lines of JSON.

    python -m tests.support.discovery_child INSTANCE PORT [--interface NAME]... [--repeat-ms MS]

Lines: {"ready": true} once it listens, {"event": kind, "at": s}, {"peer": instance, "addresses": [...],
"at": s} with `at` on CLOCK_MONOTONIC, which all processes of a machine share. SIGTERM ends it with a goodbye.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time

from edge_runtime.base.limits import DISCOVERY_REPEAT_MS
from edge_runtime.host.discovery import Card, Discovery, Sighting
from edge_runtime.host.netlink import LinkListener


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def tell(sighting: Sighting) -> None:
    say(
        peer=sighting.instance,
        addresses=sighting.addresses,
        port=sighting.port,
        fleet=sighting.card.fleet_hint,
        at=time.monotonic(),
    )


async def listen(listener: LinkListener, discovery: Discovery) -> None:
    async for event in listener.events():
        say(event=event.kind.value, link=event.name, address=event.address, at=time.monotonic())
        await discovery.link_changed(event)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("instance")
    parser.add_argument("port", type=int)
    parser.add_argument("--interface", action="append")
    parser.add_argument("--repeat-ms", type=int, default=DISCOVERY_REPEAT_MS)
    args = parser.parse_args()
    listener = LinkListener()
    await listener.start()
    card = Card(1, "f00d", "beef")
    discovery = Discovery(args.instance, args.port, card, args.interface, listener.table, tell, args.repeat_ms)
    await discovery.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    task = asyncio.create_task(listen(listener, discovery))
    say(ready=True, at=time.monotonic())
    await ended.wait()
    task.cancel()
    await discovery.stop()
    listener.close()
    say(stopped=True, trouble=discovery.trouble, refused=discovery.refused, at=time.monotonic())


if __name__ == "__main__":
    asyncio.run(main())
