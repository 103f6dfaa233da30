"""Overrun a link listener: with its loop held up, loopback gets addresses until the kernel drops reports.

    python -m tests.support.links_child COUNT

Prints {"readings": n, "addresses": k, "events": kinds} when the listener has read the state anew and told of
the carrier. Needs a namespace of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from edge_runtime.host.interfaces import LinkChange
from edge_runtime.host.netlink import LinkListener


async def main() -> None:
    count = int(sys.argv[1])
    listener = LinkListener()
    await listener.start(receive_buffer_bytes=1)  # the kernel makes it its least, 2,304
    lines = "".join(f"addr add 10.9.0.{number}/32 dev lo\n" for number in range(1, count + 1))
    # On purpose without giving way to the loop.
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
    kinds = set()
    async with asyncio.timeout(10):
        async for event in listener.events():
            kinds.add(event.kind.value)
            if event.kind is LinkChange.CARRIER_UP:
                break
    [loopback] = [interface for interface in listener.table.interfaces if interface.is_loopback]
    known = [address for address in loopback.addresses if address.text.startswith("10.9.")]
    print(json.dumps({"readings": listener.readings, "addresses": len(known), "events": sorted(kinds)}))
    listener.close()


if __name__ == "__main__":
    asyncio.run(main())
