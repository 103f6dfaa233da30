"""DBOS on SQLite, in its own process: `dbos_worker.py steps FOLDER MODE COUNT` or `dormant FOLDER MODE COUNT SECONDS`.

MODE is `default` or `wal` (the journal mode is set before the engine starts; it is a property of the file).
"""

import json
import os
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS

what, folder, mode, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
file = os.path.join(folder, "dbos.sqlite")
if mode == "wal":
    sqlite3.connect(file).execute("PRAGMA journal_mode=WAL").close()
os.chdir(folder)
log = os.path.join(folder, "starts.log")
DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{file}", "run_admin_server": False,
             "log_level": "ERROR"})


@DBOS.step()
def step(text, number):
    return f"result {number} " + "x" * 50


@DBOS.workflow()
def three(text):
    return step(step(step(text, 1), 2), 3)


@DBOS.step()
def note(number):
    with open(log, "a") as out:
        out.write(f"{number}\n")
    return number


@DBOS.workflow()
def sleeper(number):
    with open(log, "a") as out:
        out.write(f"w{number}\n")
    note(number)
    DBOS.sleep(86_400)


def rss_mb():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)


def measure(width):
    times = []
    lock = threading.Lock()

    def one(_):
        began = time.perf_counter()
        three("x")
        with lock:
            times.append((time.perf_counter() - began) * 1000)

    cpu, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(one, range(count)))
    took = time.perf_counter() - began
    times.sort()
    return {"width": width, "per_s": round(count / took, 1), "p50_ms": round(times[len(times) // 2], 2),
            "p99_ms": round(times[int(len(times) * 0.99)], 2),
            "cpu_ms_each": round((time.process_time() - cpu) * 1000 / count, 2)}


if what == "steps":
    DBOS.launch()
    for _ in range(5):
        three("x")
    print(json.dumps({"rows": [measure(1), measure(50)]}), flush=True)
    os._exit(0)

began = time.perf_counter()
DBOS.launch()
if what == "dormant":
    idle = rss_mb()
    for number in range(count):
        DBOS.start_workflow(sleeper, number)
    until = time.time() + 600
    while time.time() < until and (not os.path.exists(log) or sum(1 for _ in open(log)) < 2 * count):
        time.sleep(0.2)
    cpu, began = time.process_time(), time.perf_counter()
    time.sleep(float(sys.argv[5]))
    share = (time.process_time() - cpu) / (time.perf_counter() - began) * 100
    print(json.dumps({"idle_rss_mb": idle, "rss_mb": rss_mb(), "idle_cpu_percent": round(share, 2),
                      "starts": sum(1 for _ in open(log))}), flush=True)
else:  # again: the same folder after a kill
    before = sum(1 for _ in open(log))
    last, quiet = before, time.perf_counter()
    while time.perf_counter() - quiet < 3:
        time.sleep(0.05)
        now = sum(1 for _ in open(log))
        if now != last:
            last, quiet = now, time.perf_counter()
    print(json.dumps({"restart_s": round(quiet - began, 2), "rerun": last - before}), flush=True)
os._exit(0)
