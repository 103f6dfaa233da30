"""The style page as a program: floors, sizes, cycles, what may not be reached, words. No list of exceptions.

Each rule is shown on a small bad snippet first, so that a rule that has stopped seeing fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import tidy, tidy_text

ROOT = Path(__file__).parents[1]
TEXTS = ("*.py", "*.sh", "*.toml", "*.service", "*.play")
FOLDERS = ("edge_runtime", "tests", "deploy", "systemd", "benchmarks", "examples")

Rule = Callable[[tidy.Package], list[str]]
RULES: list[Rule] = [
    tidy.upward_imports,
    tidy.import_cycles,
    tidy.oversizes,
    tidy.machine_reached,
    tidy.undefined_bounds,
    tidy.values_of_another_kind,
    tidy_text.thin_front_pages,
    tidy_text.undocumented,
    tidy_text.marks_left,
    tidy_text.orders_given,
    tidy_text.sets_iterated,
]


@pytest.fixture(scope="module")
def package() -> tidy.Package:
    """Every module of the package as it stands."""
    return tidy.read_package(ROOT / "edge_runtime")


def report(found: list[str]) -> None:
    """Fail with one line for each breach."""
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule, package: tidy.Package) -> None:
    assert len(package) > 5, "an empty package keeps every rule"
    report(rule(package))


def test_one_place_at_most_catches_everything(package: tidy.Package) -> None:
    found = tidy.broad_handlers(package)
    report(found if len(found) > 1 else [])


def test_no_file_knows_somebodys_machine() -> None:
    paths = [path for folder in FOLDERS for kind in TEXTS for path in (ROOT / folder).rglob(kind)]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in paths if path != Path(__file__)}
    report(tidy_text.machine_paths(texts))


def test_no_file_has_the_marks_of_an_unfinished_merge() -> None:
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "edge_runtime").rglob("*.[jc]s*")]
    marks = ("<<<" + "<<<< ", ">>>" + ">>>> ")  # what stands in Python does not even load
    report([f"{path.relative_to(ROOT)}:{number}" for path in paths
            for number, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(marks)])  # fmt: skip


FRONT = '"""Page of `a`, `b` and `C`."""\n'
DOC = '"""Text."""\n'


def judge(rule: Rule, source: str, at: str = "objects/thing.py", **more: str) -> list[str]:
    """Apply a rule to one module (and to more, given as folder__file="...")."""
    sources = {f"p/{at}": source} | {
        f"p/{name.replace('__', '/', 1)}.py": text for name, text in more.items()
    }
    return rule(tidy.parse_package(sources))


UPWARD = [
    ("objects/thing.py", "from ..judge import policy"),
    ("objects/thing.py", "from ..judge.policy import decide"),
    ("objects/thing.py", "import p.node.store"),
    ("objects/thing.py", "if TYPE_CHECKING:\n    from ..node import store"),
    ("objects/thing.py", "def f():\n    from ..host import clock"),
    ("objects/__init__.py", "from ..judge import policy"),
    ("objects/thing.py", "from .. import testing"),
    ("objects/thing.py", "from .. import judge"),
    ("base/thing.py", "from ..objects import codec"),
    ("node/deep/thing.py", "from ...host import clock"),
    ("testing.py", "from .host import clock"),
    ("__init__.py", "from .host.clock import now"),
    ("helpers.py", "import json"),
    ("objects/thing.py", "from .. import helpers"),
]


@pytest.mark.parametrize(("at", "source"), UPWARD)
def test_an_import_that_goes_up_is_seen(at: str, source: str) -> None:
    others = "judge/__init__ judge/policy node/store host/__init__ host/clock testing helpers".split()
    package = tidy.parse_package({f"p/{other}.py": "" for other in others} | {f"p/{at}": source})
    name = ".".join(["p", *at.removesuffix(".py").replace("__init__", "").strip("/").split("/")]).strip(".")
    assert len([line for line in tidy.upward_imports(package) if line.split(":")[0].split()[0] == name]) == 1


@pytest.mark.parametrize(
    ("at", "source"),
    [
        (
            "host/thing.py",
            "from ..node import store\nfrom ..base import limits\nfrom .. import testing\nimport json",
        ),
        ("objects/thing.py", "from . import other\nfrom ..base.limits import X_MAX"),
        ("testing.py", "from .node import store"),
        ("__init__.py", "from .program import app\nfrom .testing import World"),
        ("__main__.py", "from .host.cli.main import main"),
    ],
)
def test_an_import_that_goes_down_is_let_pass(at: str, source: str) -> None:
    assert judge(tidy.upward_imports, source, at, node__store="", base__limits="", host__cli="") == []


def test_a_ring_of_imports_is_seen_but_for_types_and_inside_functions() -> None:
    ring = judge(
        tidy.import_cycles,
        "from .b import x",
        "node/a.py",
        node__b="from . import c",
        node__c="import p.node.a",
    )
    assert ring == ["p.node.a -> p.node.b -> p.node.c -> p.node.a"]
    for link in ("if TYPE_CHECKING:\n    from .a import x", "def f():\n    from .a import x"):
        assert judge(tidy.import_cycles, "from .b import x", "node/a.py", node__b=link) == []
    guarded = "if TYPE_CHECKING:\n    pass\nelse:\n    from .b import x"
    assert len(judge(tidy.import_cycles, guarded, "node/a.py", node__b="from .a import x")) == 1


def test_what_is_too_large_is_seen() -> None:
    assert judge(tidy.oversizes, "x = 1\n" * 400) == []
    assert judge(tidy.oversizes, "x = 1\n" * 401) == ["p.objects.thing has 401 lines, 400 at most"]
    method = "class C:\n    def f(self):\n" + "        x = 1\n" * 69
    assert judge(tidy.oversizes, method) == []
    assert judge(tidy.oversizes, method + "        x = 1\n") == ["p.objects.thing.f has 71 lines, 70 at most"]
    assert len(judge(tidy.oversizes, "async " + "def f():\n" + "    x = 1\n" * 70)) == 1
    assert judge(tidy.oversizes, "x = '" + "a" * 114 + "'") == []
    assert len(judge(tidy.oversizes, "x = '" + "a" * 115 + "'")) == 1


REACHING = """
import time
from time import monotonic
import os.path
import logging
import asyncio
import socket
import threading
import secrets
from uuid import uuid4
from random import randrange
from concurrent.futures import ThreadPoolExecutor
def f():
    import subprocess
random.random()
x = random.Random()
x = Random()
random.seed(1)
datetime.now()
datetime.datetime.now(UTC)
dt.datetime.utcnow()
date.today()
nacl.utils.random(32)
SigningKey.generate()
signing.SigningKey.generate()
asyncio.run(main())
""".strip().splitlines()


@pytest.mark.parametrize("line", [line for line in REACHING if not line.startswith("def")])
def test_reaching_for_the_machine_a_clock_or_chance_is_seen(line: str) -> None:
    source = f"def f():\n    {line.strip()}"
    assert len(judge(tidy.machine_reached, source)) == 1
    assert len(judge(tidy.machine_reached, source, "__init__.py")) == 1
    assert judge(tidy.machine_reached, source, "host/thing.py") == []


def test_what_is_handed_in_is_let_pass() -> None:
    good = "import random\nfrom random import Random\nimport datetime\nr = random.Random(7)\nx = r.random()\n"
    good += "from datetime import timedelta\nimport sqlite3\ny = moment.now\nfrom .time import x\n"
    assert judge(tidy.machine_reached, good) == []


def test_program_may_use_types_of_asyncio_but_no_loop_of_the_machine() -> None:
    for place in ("program/thing.py", "testing.py"):
        assert judge(tidy.machine_reached, "import asyncio\nt: asyncio.Future[int]", place) == []
        assert len(judge(tidy.machine_reached, "import asyncio\nasyncio.run(f())", place)) == 1
        assert len(judge(tidy.machine_reached, "from asyncio import open_connection", place)) == 1
    assert len(judge(tidy.machine_reached, "import asyncio", "node/thing.py")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept BaseException as error:\n    raise",
        "try:\n    f()\nexcept (KeyError, Exception):\n    pass",
        "try:\n    f()\nexcept* Exception:\n    pass",
        "with contextlib.suppress(Exception):\n    f()",
    ],
)
def test_catching_everything_is_seen_wherever_it_stands(source: str) -> None:
    assert len(judge(tidy.broad_handlers, source, "host/thing.py")) == 1
    assert judge(tidy.broad_handlers, "try:\n    f()\nexcept KeyError:\n    pass") == []


@pytest.mark.parametrize(
    "source", ["ROUNDS_MAX = 3", "from .x import ROUNDS_MAX", "a = limits.ROUNDS_MAX", "a = ROUNDS_MAX"]
)
def test_a_bound_outside_the_one_file_is_seen(source: str) -> None:
    assert len(judge(tidy.undefined_bounds, source, base__limits="OTHER_MAX = 1")) == 1
    if "=" not in source.partition("_MAX")[2]:
        assert judge(tidy.undefined_bounds, source, base__limits="ROUNDS_MAX: int = 3") == []


@pytest.mark.parametrize("source", ["import dataclasses", "from dataclasses import dataclass", "import ast, dataclasses"])
def test_a_value_of_another_kind_is_seen(source: str) -> None:
    assert len(judge(tidy.values_of_another_kind, source)) == 1
    assert judge(tidy.values_of_another_kind, "from msgspec import Struct") == []


def test_a_thin_or_untrue_front_page_is_seen() -> None:
    def pages(page: str) -> list[str]:
        files = {"node__a": "", "node__b": "class C: ..."}
        return judge(tidy_text.thin_front_pages, page, "node/__init__.py", **files)

    assert pages(FRONT) == []
    assert len(pages('"""Page of `a` and `b`."""')) == 1
    assert "not found: ['gone']" in pages('"""Page of `a`, `b` and `gone`."""')[0]
    assert judge(tidy_text.thin_front_pages, "", "node/a.py") == ["p.node has no front page (__init__.py)"]


def test_a_missing_docstring_is_seen() -> None:
    def missing(source: str) -> int:
        return len(judge(tidy_text.undocumented, source))

    assert missing("x = 1") == 1
    assert missing(DOC + "def f(): ...") == 1
    assert missing(DOC + "class C:\n    x = 1") == 1
    assert missing(DOC + 'class C:\n    """Text."""\n    def f(self): ...') == 1
    assert missing(DOC + "def _f(): ...\nclass _C:\n    def f(self): ...") == 0
    assert (
        missing(
            DOC
            + 'class C:\n    """Text."""\n    def __init__(self): ...\n    @override\n    def f(self): ...'
        )
        == 0
    )


@pytest.mark.parametrize(
    "mark", ["# TODO later", "# FIXME", "raise NotImplementedError", "x = 1  # type: ignore[misc]"]
)
def test_a_mark_of_unfinished_work_is_seen(mark: str) -> None:
    assert len(judge(tidy_text.marks_left, mark)) == 1
    assert judge(tidy_text.marks_left, "# a todo list is a noun here") == []


def test_a_path_of_somebodys_machine_is_seen() -> None:
    for path in ("/home/ann/x", "cp /root/x", "'/tmp/socket'", "/work/tree", "/Users/ann"):
        assert len(tidy_text.machine_paths({"a.py": f"x = 1\ny = {path}"})) == 1
    fine = "/var/lib/edge-runtime /run/edge-runtime/control.sock ~/.local/state a/work/b https://x/home/y"
    assert tidy_text.machine_paths({"a.py": fine}) == []


@pytest.mark.parametrize(
    "source",
    [
        "class Assign: ...",
        "class TaskAssigned(Body): ...",
        "class LeaderElection: ...",
        "class Kind(IntEnum):\n    ELECT = 7",
        'class Kind(Enum):\n    CHOSEN = "elected"',
        'class Ask(Struct, tag="assign"): ...',
        "UNIT_ASSIGNED = 12",
    ],
)
def test_a_record_or_message_that_gives_orders_is_seen(source: str) -> None:
    """Behaviour: 13.5."""
    assert len(judge(tidy_text.orders_given, source)) >= 1
    assert judge(tidy_text.orders_given, 'class Selected(Enum):\n    REELECTRIFIED = "selected"') == []


ORDERED_BY_LUCK = """
for x in {1, 2}: pass
for x in set(y): pass
a = [x for x in frozenset(y)]
a = list({x for x in y})
a = list(set(a) - set(b))
a = tuple(set(a).union(b))
a = [*set(y)]
a = ",".join({"a", "b"})
a = next(iter(set(y)))
a = set(y).pop()
a, b = {1, 2}
a = sorted(set(y), key=len)
a = min({1, 2}, key=f)
a = dict.fromkeys(set(y))
a.extend({1, 2})
a = list(enumerate(set(y)))
""".strip().splitlines()


@pytest.mark.parametrize("line", ORDERED_BY_LUCK)
def test_taking_a_sets_items_in_order_is_seen(line: str) -> None:
    assert len(judge(tidy_text.sets_iterated, f"def f():\n    {line}")) >= 1
    assert judge(tidy_text.sets_iterated, f"def f():\n    {line}", "host/thing.py") == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(y: set[int]):\n    for x in y: pass",
        "def f(y: frozenset[int] | None):\n    for x in y: pass",
        "def f():\n    y = set()\n    for x in y: pass",
        "def f():\n    y: set[int] = g()\n    return [x for x in y]",
        "Y = frozenset({1})\ndef f():\n    for x in Y: pass",
        "class C:\n    y: set[int]\n    def f(self):\n        for x in self.y: pass",
    ],
)
def test_a_set_behind_a_name_is_seen(source: str) -> None:
    assert len(judge(tidy_text.sets_iterated, source)) == 1


def test_asking_a_set_or_sorting_it_is_let_pass() -> None:
    good = "y = {1, 2}\na = 1 in y\nb = len(y)\nc = sorted(y)\nd = y - {1}\ne = max(y)\nf = any([1])\n"
    good += "z = {'a': 1}\nfor key in z: pass\nw = z.pop('a')\nfor x in sorted(set(z) | {'b'}): pass\n"
    assert judge(tidy_text.sets_iterated, good) == []
