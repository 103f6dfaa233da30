"""Completion in real shells, and the manual page under two formatters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.host.cli.completion import bash, fish, shapes, zsh
from edge_runtime.host.cli.main import PLACES
from edge_runtime.host.cli.manual import page
from edge_runtime.host.cli.parser import make_parser
from tests.support.requires import require

SHELL_S = 60
# The words that a daemon would give, from a command of that name on PATH.
FAKE = """#!/bin/sh
case "$*" in
    "--state elsewhere completion objects") echo far-1 ;;
    "completion objects") printf 'first\\nsecond\\n' ;;
    "completion devices") echo drone ;;
    "completion intents") echo survey.area ;;
esac
"""
CASES: list[tuple[str, list[str]]] = [
    ("edge-runtime exp", ["explain", "export"]),
    ("edge-runtime show ", ["first", "second"]),
    ("edge-runtime show f", ["first"]),
    ("edge-runtime --state elsewhere show ", ["far-1"]),
    ("edge-runtime hand first --to ", ["drone"]),
    ("edge-runtime revoke ", ["drone"]),
    ("edge-runtime submit ", ["survey.area"]),
    ("edge-runtime submit x --pri", ["--priority"]),
    ("edge-runtime ls --status ", ["attempting", "awake", "dormant", "ended"]),
    ("edge-runtime radio o", ["off", "on"]),
    ("edge-runtime fleet re", ["restore"]),
    ("edge-runtime completion z", ["zsh"]),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the scripts, and with a command that answers for the daemon."""
    found = shapes(make_parser())
    for name, text in (("bash", bash(found)), ("zsh", zsh(found)), ("fish", fish(found))):
        (tmp_path / f"script.{name}").write_text(text)
    command = tmp_path / "edge-runtime"
    command.write_text(FAKE)
    command.chmod(0o755)
    return tmp_path


def run(place: Path, *argv: str) -> str:
    env = {"PATH": f"{place}:/usr/local/bin:/usr/bin:/bin", "HOME": str(place), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SHELL_S, cwd=place, env=env)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


def test_every_command_can_be_completed() -> None:
    assert [shape.name for shape in shapes(make_parser())] == ["", *sorted(PLACES)]


def test_bash_offers_commands_options_and_what_is_on_the_device(place: Path) -> None:
    require("command:bash")
    lines = ["source ./script.bash"]
    for text, _ in CASES:
        words = text.split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        lines.append(f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _edge_runtime; echo \"${{COMPREPLY[*]}}\"")
    found = run(place, "bash", "--norc", "-c", "\n".join(lines)).splitlines()
    assert [sorted(line.split()) for line in found] == [wanted for _, wanted in CASES]


def test_bash_offers_files_where_a_file_is_meant(place: Path) -> None:
    require("command:bash")
    (place / "one.capsule").write_text("")
    lines = "COMP_WORDS=(edge-runtime import x.capsule one); COMP_CWORD=3; _edge_runtime; echo ${COMPREPLY[*]}"
    assert run(place, "bash", "--norc", "-c", f"source ./script.bash\n{lines}") == "one.capsule\n"


def test_fish_offers_the_same(place: Path) -> None:
    require("command:fish")
    script = "source ./script.fish\n" + "\n".join(f"complete -C '{text}'; echo ---" for text, _ in CASES)
    found = run(place, "fish", "--no-config", "-c", script).split("---\n")
    for (text, wanted), offered in zip(CASES, found, strict=False):
        words = [line.split("\t")[0] for line in offered.splitlines()]
        assert all(word in words for word in wanted), (text, words)


def test_zsh_offers_the_same_through_its_own_emulation(place: Path) -> None:
    require("command:zsh")
    # A pseudo terminal of zsh's own: completion is a thing of its line editor.
    driver = """
    zmodload zsh/zpty
    zpty -b shell 'zsh -f -i'
    say() { zpty -w shell "$1"; }
    until_seen() { local all='' part; while zpty -r -m shell part "*$1*" ; do all+=$part; break; done; print -r -- $all; }
    say 'PS1="> "; unsetopt zle_bracketed_paste; source ./script.zsh; print READ""Y'
    until_seen READY >/dev/null
    """
    for text, wanted in CASES:
        if len(wanted) == 1:
            tail = wanted[0] + "*"
            driver += f"zpty -n -w shell $'{text}\\t'\nuntil_seen '{tail}'\nzpty -n -w shell $'\\x15'\n"
    found = run(place, "zsh", "-f", "-c", driver)
    for text, wanted in CASES:
        if len(wanted) == 1:
            assert wanted[0] in found, (text, found)


def test_the_manual_page_is_good_roff_and_names_every_command(tmp_path: Path) -> None:
    file = tmp_path / "edge-runtime.1"
    file.write_text(page(make_parser()))
    shown = subprocess.run(["man", "-l", str(file)], capture_output=True, text=True, timeout=SHELL_S)
    text = shown.stdout if shown.returncode == 0 else file.read_text()
    assert all(f"{name}" in text for name in PLACES)
    require("command:groff", "command:mandoc")
    for argv in (["groff", "-man", "-ww", "-z"], ["mandoc", "-T", "lint", "-W", "error"]):
        done = subprocess.run([*argv, str(file)], capture_output=True, text=True, timeout=SHELL_S)
        assert done.returncode == 0 and done.stdout + done.stderr == "", done


@pytest.mark.parametrize("words", [["completion", "bash"], ["man"]])
def test_the_commands_print_and_need_no_daemon(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_runtime", *words], capture_output=True, text=True, timeout=SHELL_S
    )  # fmt: skip
    assert done.returncode == 0 and "edge-runtime" in done.stdout and done.stderr == ""
    silent = subprocess.run(
        [sys.executable, "-m", "edge_runtime", "completion", "objects", "--state", "/nonexistent"],
        capture_output=True, text=True, timeout=SHELL_S,
    )  # fmt: skip
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")
