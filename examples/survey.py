"""A survey in four parts: photograph, rest, wait for the word, deliver. The handler of `edge-runtime demo`.

Each photograph is a step that needs a camera; the delivery needs an uplink. Between them lie a durable sleep and a
condition. Whichever device has what the next step needs goes on, from the object's own history.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import struct
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from edge_runtime import App, Context, TerminalError, current_attempt

app = App("survey", version=1)

PNG_START = b"\x89PNG\r\n\x1a\n"


@dataclass
class Area:
    """What to survey: image files of a folder, how long one photograph takes, and where the report goes."""

    folder: str
    files: list[str]
    seconds_each: float
    url: str


@dataclass
class Shot:
    """What is known of one image."""

    file: str
    bytes_size: int
    hash: str
    width: int
    height: int


def log_start(what: str) -> None:
    """Write down, durably, that a step began: the demo counts these lines."""
    file = os.environ.get("EDGE_SURVEY_LOG")
    if file:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        line = {"what": what, "attempt": current_attempt().id, "device": os.environ.get("EDGE_SURVEY_DEVICE", "")}
        os.write(handle, json.dumps(line).encode() + b"\n")
        os.fsync(handle)
        os.close(handle)


def measure(data: bytes) -> tuple[int, int]:
    """Return (width, height) of a PNG or JPEG; 0, 0 where the format is another one."""
    if data.startswith(PNG_START) and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return 0, 0


def shoot(folder: str, file: str, seconds: float) -> Shot:
    """Read, hash and measure one image."""
    log_start(f"shoot {file}")
    try:
        data = Path(folder, file).read_bytes()
    except OSError as error:
        raise TerminalError(f"{file}: {error.strerror}") from error
    time.sleep(seconds)  # the lens takes its time
    width, height = measure(data)
    return Shot(file, len(data), hashlib.sha256(data).hexdigest(), width, height)


def deliver(url: str, shots: list[Shot]) -> str:
    """Send the report once: the server keeps the attempt's id as idempotency key."""
    log_start("deliver")
    body = json.dumps([shot.__dict__ for shot in shots]).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": current_attempt().id}
    request = urllib.request.Request(url, body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        receipt: str = json.load(answer)["receipt"]
    return receipt


@app.intent("survey.area")
async def survey_area(ctx: Context, area: Area) -> dict[str, object]:
    """Photograph each image, sleep, wait until `survey.go` is true, deliver, and return the receipt."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(ctx.run("shoot", shoot, area.folder, file, area.seconds_each, needs={"camera"}))
            for file in area.files
        ]
    shots = [task.result() for task in tasks]
    ctx.publish("shots", len(shots))
    await asyncio.sleep(1)
    await ctx.until("survey.go == True")
    receipt = await ctx.run("deliver", deliver, area.url, shots, needs={"uplink"})
    return {"shots": len(shots), "receipt": receipt, "pixels": sum(shot.width * shot.height for shot in shots)}
