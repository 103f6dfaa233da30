"""Pages of docs/ that are walked through: each block is done in order, in a shell of its own, as a reader would do it.

- ` ```python ` and ` ```toml `: the first line, such as `# pond.py`, names the file that the block becomes.
- ` ```sh `: each line is typed. `&` at its end starts a device, and the next line is typed when it is ready. A comment
  may say `-> text`: the line is typed again until its output has the text; and `exit N`: so it must end. `CODE` is the
  code that was printed last.
- ` ```text `: is in the output of the line before; `…` stands for anything.
- A block whose first line is `# not run here: why` is an illustration. They are counted, page by page.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from tests.support.daemons import wait_until
from tests.support.page import ROOT

LINE_S = 60.0  # the longest that one line may take
SHOWN_S = 30.0  # the longest until it shows what the page says
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
CODE = re.compile(r"\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}\b")
EXIT = re.compile(r"\bexit (\d)\b")
NOT_RUN = "# not run here: "
LANGUAGES = ("python", "toml", "sh", "text")


class Block(Struct, frozen=True):
    """One block: language, text, and why it is not run; empty where it is."""

    language: str
    text: str
    why_not: str = ""

    @property
    def file(self) -> str:
        """Name of the file that it becomes, or empty."""
        found = re.match(r"# ([\w./-]+\.(?:py|toml))\n", self.text)
        return found[1] if found and self.language in ("python", "toml") else ""


class Typed(Struct, frozen=True):
    """One line of a `sh` block: the command, what its output must have, the code with which it must end."""

    command: str
    expected: str = ""
    exit: int = 0

    @property
    def is_background(self) -> bool:
        """Whether it starts a device."""
        return self.command.endswith("&")


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of `docs/PAGE`, in order."""
    found = []
    for language, text in BLOCK.findall((ROOT / "docs" / page).read_text()):
        first = text.partition("\n")[0]
        found.append(Block(language, text, first.removeprefix(NOT_RUN) if first.startswith(NOT_RUN) else ""))
    return found


def typed_lines(text: str) -> Iterator[Typed]:
    """Yield the lines of a `sh` block; a line that ends with a backslash goes on in the next."""
    for line in text.replace("\\\n", " ").splitlines():
        command, _, comment = line.partition("  #")
        if command.strip() and not command.startswith("#"):
            code = EXIT.search(comment)
            yield Typed(command.strip(), comment.partition("-> ")[2].strip(), int(code[1]) if code else 0)


class Walk:
    """A shell in an empty folder, with a home of its own and `edge-runtime` and `python` on its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "here"
        self.tools = folder / "tools"
        home = folder / "home"
        for made in (self.folder, self.tools / "bin", home):
            made.mkdir(parents=True)
        for name, words in (("edge-runtime", "-m edge_runtime"), ("python", "")):
            tool = self.tools / "bin" / name
            tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            tool.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("EDGE_", "XDG_", "PYTEST"))}
        path = f"{self.tools / 'bin'}:{os.environ['PATH']}"
        self.env = {**kept, "HOME": str(home), "PATH": path, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
        self.code = ""
        self.count = 0
        self.last: Typed | None = None
        self.output = ""

    def __enter__(self) -> Walk:
        """Start the shell, in a session of its own: what it starts can be ended with it."""
        self.shell = subprocess.Popen(
            ["sh"], stdin=subprocess.PIPE, cwd=self.folder, env=self.env, text=True, start_new_session=True
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """End the shell and every device that was started from it."""
        assert self.shell.stdin is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.shell.pid, number)
                self.shell.wait(15)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.shell.stdin.close()

    def do(self, block: Block) -> None:
        """Do one block."""
        assert block.language in LANGUAGES, f"a block of the language {block.language!r} is neither run nor marked"
        if block.why_not:
            return
        if block.language == "sh":
            for line in typed_lines(block.text):
                self.type(line)
        elif block.language == "text":
            self.compare(block.text)
        else:
            assert block.file, f"no file is named in the first line of\n{block.text}"
            (self.folder / block.file).write_text(block.text)

    def type(self, line: Typed) -> None:
        """Type one line and wait for what it must show."""
        self.last = line
        if line.is_background:
            self._start(line)
        elif line.expected:
            wait_until(lambda: line.expected in self._run(line), SHOWN_S, f"{line.expected!r} of {line.command}")
        else:
            self._run(line)

    def compare(self, text: str) -> None:
        """Check that the output of the last line has these lines, in order; while it has not, type it again."""
        parts = [re.escape(part) for part in re.split("…", text.strip())]
        wanted = re.compile(".*?".join(parts), re.S)
        last = self.last
        assert last is not None and not last.is_background, f"no output stands before\n{text}"
        if not wanted.search(self.output):
            wait_until(lambda: wanted.search(self._run(last)), SHOWN_S, f"{text!r} in {self.output!r}")

    def _start(self, line: Typed) -> None:
        self.count += 1
        log = self.tools / f"{self.count}.log"
        log.touch()
        self._send(f"{line.command.removesuffix('&')} >>{log} 2>&1 &")
        wait_until(lambda: "ready\n" in log.read_text(), SHOWN_S, f"ready of {line.command}: {log.read_text()}")

    def _run(self, line: Typed) -> str:
        self.count += 1
        out, code = self.tools / f"{self.count}.out", self.tools / f"{self.count}.code"
        command = re.sub(r"\bCODE\b", self.code, line.command)
        self._send(f"{{ {command}\n}} >{out} 2>&1 </dev/null; echo $? >{code}.new; mv {code}.new {code}")
        wait_until(code.exists, LINE_S, f"an end of {command}")
        self.output = out.read_text()
        ended = int(code.read_text())
        is_done = ended == line.exit or (line.expected and ended == 4)  # what is looked for may not have come yet
        assert is_done, f"{command} ended with {ended}, the page says {line.exit}\n{self.output}"
        found = CODE.findall(self.output)
        self.code = found[-1] if found else self.code
        return self.output

    def _send(self, text: str) -> None:
        assert self.shell.stdin is not None
        self.shell.stdin.write(f"{text}\n")
        self.shell.stdin.flush()
