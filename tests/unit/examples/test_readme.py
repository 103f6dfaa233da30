"""The README is true as far as it can be read: its code loads, its commands parse, its links lead to what they say."""

from __future__ import annotations

import re

import pytest

from edge_runtime import App
from edge_runtime.host.cli.parser import make_parser
from tests.support.page import ROOT, Line, python_blocks, read_line, read_page, shell_blocks

LINES = [line for block in shell_blocks() for line in block]
LINKS = re.findall(r"\]\(([\w./]+)\)", read_page())
PROOFS = re.findall(r'^\[(\w+)\]: (\S+) "(\w+)"$', read_page(), re.M)


@pytest.mark.parametrize(("file", "name", "intent"), [("hello.py", "greet", "greet"), ("trip.py", "app", "trip")])
def test_the_code_of_the_page_is_an_app(file: str, name: str, intent: str) -> None:
    space: dict[str, object] = {"__name__": file.removesuffix(".py")}
    exec(compile(python_blocks()[file], file, "exec", dont_inherit=True), space)
    assert list(App.of(space[name]).intents) == [intent]


def test_the_two_lines_are_the_shipped_example() -> None:
    shipped = (ROOT / "examples" / "hello.py").read_text()
    assert python_blocks()["hello.py"].strip() in shipped


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line.words))
def test_a_command_of_the_page_is_one_of_ours(line: Line) -> None:
    match line.words:
        case ("edge-runtime", *words):
            assert make_parser().parse_args(words).command == words[0]
        case ("sh", script):
            assert (ROOT / script).is_file()
        case other:
            assert other == ("kill", "-9", "$!")


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize(("label", "file", "name"), PROOFS)
def test_a_promise_names_a_test_that_is_there(label: str, file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.M)
    assert f"[{label}]" in read_page().partition(f"[{label}]: ")[0], "a proof that no promise leans on"


def test_every_promise_names_a_test() -> None:
    labels = [label for label, _, _ in PROOFS]
    rows = [row for row in read_page().splitlines() if row.startswith("| ") and "| meaning |" not in row]
    named = [re.findall(r"\]\[(\w+)\]", row.split("|")[3]) for row in rows]
    assert len(rows) >= 7
    assert all(row and all(label in labels for label in row) for row in named)


def test_a_comment_says_where_and_what_is_shown() -> None:
    line = read_line("edge-runtime show x   # on the second -> delivered 4")
    assert line == Line(("edge-runtime", "show", "x"), "second", False, "delivered 4")
    assert read_line("edge-runtime run --app a:b &").is_background
