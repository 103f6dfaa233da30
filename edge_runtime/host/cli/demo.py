"""`edge-runtime demo`: prints the timeline as it happens and checks the claims at its end."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...base.errors import Exit, UsageError
from ..demo.story import Story


def run_demo(options: Namespace) -> int:
    """Tell the story; return 0 if every check holds.

    Raises:
        UsageError: no images in --input, or something that was waited for did not come.
    """
    images = Path(options.input) if options.input else None
    if images is not None and not images.is_dir():
        raise UsageError(f"--input {images}: not a folder. Give one with PNG or JPEG files.")
    folder = _make_keep(Path(options.keep)) if options.keep else Path(tempfile.mkdtemp(prefix="edge-demo-"))
    # Whoever ends the demo early must not be left with three daemons: the `finally` runs for these too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    story = Story(folder, images, lambda *line: _tell(options.json, *line))
    try:
        if not story.images:
            raise UsageError(f"--input {images}: no image files there.")
        found = story.run()
    finally:
        story.close()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(found), flush=True)
    else:
        _conclude(found)
    return int(Exit.OK if found["ok"] else Exit.FAILED)


def _make_keep(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"--keep {folder}: {error.strerror}. Give a new folder.") from None
    if not is_empty:
        raise UsageError(f"--keep {folder}: it is not empty. Give a new folder.")
    return folder


def _tell(is_json: bool, seconds: float, who: str, stage: str, why: str) -> None:
    if is_json:
        print(json.dumps({"s": round(seconds, 2), "who": who, "stage": stage, "why": why}), flush=True)
    else:
        print(f"{seconds:6.1f} s  {who:<6} {stage:<9} {why}", flush=True)


def _conclude(found: dict[str, Any]) -> None:
    print()
    for claim, holds in found["checks"].items():
        print(f"  {'yes' if holds else 'NO '}  {claim}")
    word = "Every claim holds" if found["ok"] else "A claim does not hold"
    print(f"\n{word}: {found['entries']} entries, {found['steps']} steps, {found['seconds']} s.")
    print("Next: write your own handler, see README.md.")


COMMANDS: dict[str, Callable[[Namespace], int]] = {"demo": run_demo}
