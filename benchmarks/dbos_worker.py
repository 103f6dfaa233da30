"""DBOS on SQLite in a process of its own, run by `peers.Worker` with the peers' interpreter: `FOLDER MODE`.

MODE is `default` or `wal`: the journal mode is set before the engine starts, it is a property of the file. Each line
on stdin is a command in JSON, each line on stdout its answer; the first answer says that the engine has launched and
has begun to recover what it found. What a body or step does first is to write a line to FOLDER/starts.log.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS

folder, mode = sys.argv[1:3]
answers, sys.stdout = sys.stdout, sys.stderr  # whatever the engine prints is no answer
file = os.path.join(folder, "dbos.sqlite")
if mode == "wal":
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
os.chdir(folder)
DBOS(
    config={
        "name": "bench",
        "system_database_url": f"sqlite:///{file}",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


def say_started(line):
    with open("starts.log", "a") as log:
        log.write(line + "\n")


@DBOS.step()
def step(text, number):
    return f"result {number} " + "x" * 50


@DBOS.workflow()
def three(text):
    return step(step(step(text, 1), 2), 3)


@DBOS.step()
def note(number):
    say_started(f"step {number}")
    return number


@DBOS.workflow()
def sleeper(number):
    say_started(f"body {number}")
    note(number)
    DBOS.sleep(86_400)


def measure(width, count):
    times = []

    def one(_):
        began = time.perf_counter()
        three("x")
        times.append((time.perf_counter() - began) * 1000)

    cpu, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(one, range(count)))
    took_s = time.perf_counter() - began
    return {"took_s": took_s, "times_ms": times, "cpu_ms": (time.process_time() - cpu) * 1000}


def sleep(count):
    for number in range(count):
        DBOS.start_workflow(sleeper, number)
    return {}


def say(answer):
    print(json.dumps(answer), file=answers, flush=True)


DBOS.launch()
say({"is_ready": True})
for line in sys.stdin:
    command = json.loads(line)
    say({"measure": measure, "sleep": sleep}[command.pop("do")](**command))
os._exit(0)
