"""Every `edge-runtime` command in a block of any page is one that the parser takes; every named script is there."""

from __future__ import annotations

import re
import shlex

import pytest

from edge_runtime.base.errors import UsageError
from edge_runtime.host.cli.parser import make_parser
from tests.support.page import ROOT

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
# What stands for something: `FILE…`, `[--wait]`, `on|off` are a form and not a line to type.
FORM = re.compile(r"…|\[--|\w\|\w")
STARTS = re.compile(r"^(?:\$ )?(?:sudo (?:-u \S+ )?)?(edge-runtime .*|sh \S+\.sh.*)$")


def typed() -> list[tuple[str, str]]:
    """Return page and command of each line of the pages' blocks that begins with a command of ours."""
    found = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for language, block in BLOCK.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines() if language in ("", "sh") else ():
                command = line.partition("  #")[0].strip().removesuffix("&").strip()
                if (match := STARTS.match(command)) and not FORM.search(command):
                    found.append((str(page.relative_to(ROOT)), match[1]))
    return found


TYPED = typed()


@pytest.mark.parametrize(("page", "command"), TYPED, ids=lambda text: text)
def test_a_command_of_a_page_is_one_of_ours(page: str, command: str) -> None:
    plain = re.sub(r"\s[|>;].*|\$\(.*?\)", " ", command)
    program, *words = shlex.split(plain)
    if program == "sh":
        script = ROOT / words[0]
        assert script.is_file() or words[0].split("/")[0] in ("wheels", "", "BOOT"), words[0]
        text = script.read_text() if script.is_file() else (ROOT / "deploy" / "install.sh").read_text()
        for option in (word for word in words[1:] if word.startswith("--")):
            assert option in text, f"{words[0]} knows no {option}"
        return
    try:
        assert make_parser().parse_args(words).command is not None
    except UsageError as error:
        pytest.fail(f"{page}: {command}: {error.message}", pytrace=False)
    except SystemExit as ended:
        assert ended.code == 0, command  # --help


def test_the_pages_have_many_commands() -> None:
    assert len(TYPED) > 100 and len({page for page, _ in TYPED}) > 8
