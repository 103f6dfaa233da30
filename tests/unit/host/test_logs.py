"""What journald reads: the level of each line, on a real pipe in place of its stream."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from edge_runtime.host.logs import ERROR, JournalFormatter, with_level

SCRIPT = """import logging, os
from edge_runtime.host.logs import start_logging
found = os.fstat(2)
os.environ["JOURNAL_STREAM"] = os.environ.get("STREAM") or f"{found.st_dev}:{found.st_ino}"
start_logging("info")
log = logging.getLogger("x")
log.debug("hidden"); log.info("i"); log.warning("w"); log.error("e")
"""


def printed(stream: str = "") -> str:
    """What a process logs to a pipe that `JOURNAL_STREAM` names, or to another one."""
    env = {**os.environ, "STREAM": stream}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=env, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_journal_is_given_the_level_of_each_message() -> None:
    assert printed() == "<6>i\n<4>w\n<3>e\n"


def test_a_file_or_terminal_in_the_journals_place_is_given_letters() -> None:
    assert printed("8:1") == "I i\nW w\nE e\n"


def test_each_line_of_a_message_has_its_level() -> None:
    assert with_level("one\ntwo", ERROR) == "<3>one\n<3>two"
    record = logging.LogRecord("x", logging.DEBUG, "", 0, "a\nb", None, None)
    assert JournalFormatter().format(record) == "<7>a\n<7>b"
