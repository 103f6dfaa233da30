"""The link listener against a kernel that drops reports."""

from __future__ import annotations

import json
import sys

from tests.support.lan import Ipv6, Lan


def test_reports_that_the_kernel_dropped_are_made_good_by_reading_the_state() -> None:
    with Lan(1, ipv6=Ipv6.OFF, plugged=False) as lan:
        said = json.loads(lan.run(1, [sys.executable, "-m", "tests.support.links_child", "40"]))
    assert said["readings"] >= 2, "nothing was dropped"
    assert said["addresses"] == 40
    assert "carrier up" in said["events"]
