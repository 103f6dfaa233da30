"""`start`: cold start of the daemon on an existing state, idle memory, and the time that its imports take; medians."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from .dormant import SETTLE_S
from .ours import Daemon
from .processes import ROOT, environment, folder, rss_mb
from .results import Start

RUNS, RUNS_SMALL = 9, 3
IMPORTS = """
import time
began = time.perf_counter()
import edge_runtime.host.runtime, edge_runtime.host.links
print((time.perf_counter() - began) * 1000)
"""


def measure(is_small: bool) -> Start:
    """Return the medians. `ready_s` is from the start of the process to `ready` read from its output.

    Raises:
        Unusable: the daemon does not start.
    """
    runs = RUNS_SMALL if is_small else RUNS
    times: list[float] = []
    memory: list[float] = []
    with folder() as place:
        with Daemon(place / "state"):
            pass  # the first start makes keys and spool
        for _ in range(runs):
            began = time.perf_counter()
            with Daemon(place / "state") as daemon:
                times.append(time.perf_counter() - began)
                time.sleep(SETTLE_S)
                memory.append(rss_mb(daemon.pid))
    imports = [_time_imports_ms() for _ in range(runs)]
    return Start(
        ready_s=round(statistics.median(times), 3), rss_mb=round(statistics.median(memory), 1),
        import_ms=round(statistics.median(imports), 1),
    )  # fmt: skip


def _time_imports_ms() -> float:
    argv = [sys.executable, "-c", IMPORTS]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, env=environment(), check=True)
    return float(done.stdout)
