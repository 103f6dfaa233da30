"""`/healthz`: is this device getting on? The same question as systemd's watchdog, asked by whoever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ...base.limits import WEB_HEALTH_MS_MAX
from ..thread import NodeThread

LOOK_S = 0.02


async def find_trouble(thread: NodeThread, trouble: Callable[[], str]) -> str:
    """Return why the device does not get on, empty where it does.

    That this is answered at all shows that the loop runs. The node thread gets on if it has nothing to do, or ends a
    turn within WEB_HEALTH_MS_MAX. A spool that cannot be written is trouble too: nothing is acknowledged then.

    Source: ours, as the watchdog of `runtime`.
    """
    seen = thread.turns
    loop = asyncio.get_running_loop()
    until_s = loop.time() + WEB_HEALTH_MS_MAX / 1000
    while thread.failure is None and not thread.is_idle and thread.turns == seen:
        if loop.time() > until_s:
            return f"the node thread has ended no turn for {WEB_HEALTH_MS_MAX} ms"
        await asyncio.sleep(LOOK_S)
    if thread.failure is not None:
        return f"the node thread ended: {type(thread.failure).__name__}"
    return trouble()
