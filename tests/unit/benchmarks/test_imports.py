"""Import times by package, from what Python writes of them."""

from __future__ import annotations

import pytest

from benchmarks.imports import OTHERS, START, measure, package_of, sums_of

WRITTEN = """import time: self [us] | cumulative | imported package
import time:       100 |        100 |   encodings
import time:       200 |        300 | site
import time:      1500 |       1500 |     edge_runtime.node.node
import time:       500 |       2000 |   edge_runtime.node
import time:        10 |         10 | ast
something else
import time:        40 |         40 | _sqlite3
""".splitlines()


def test_each_module_counts_once_in_its_package_and_the_interpreters_own_apart() -> None:
    assert sums_of(WRITTEN) == {START: (2, pytest.approx(0.3)), "edge_runtime.node": (2, 2.0), OTHERS: (1, 0.01), "sqlite3": (1, 0.04)}


def test_floors_are_told_apart() -> None:
    assert package_of("edge_runtime.host.web.door") == "edge_runtime.host"
    assert package_of("edge_runtime.client") == "edge_runtime" and package_of("asyncio.events") == "asyncio"


def test_the_daemons_imports_are_measured_and_the_page_for_browsers_is_not_among_them() -> None:
    rows = {row.what: row for row in measure(is_small=True).rows}
    assert rows["edge_runtime.node"].modules > 20 and all(row.ms >= 0 for row in rows.values())
    assert rows["edge_runtime.node"].ms > 0
