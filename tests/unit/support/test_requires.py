"""The skip rules, on small test runs of their own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support import requires

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[2] / "conftest.py"

SKIPPING = """
    import pytest
    from tests.support.requires import require

    def test_that_needs_a_tool():
        require("command:no-such-tool-anywhere")
        assert False, "must not get here"

    def test_that_skips_by_itself():
        pytest.skip("because it rains")

    def test_that_runs():
        require("command:sh", "module:json")
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with our conftest and no `EDGE_REQUIRE`."""
    shutil.copy(CONFTEST, pytester.path / "conftest.py")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    monkeypatch.delenv(requires.VARIABLE, raising=False)
    return pytester


def test_what_a_machine_lacks_is_skipped_by_name(run: pytest.Pytester) -> None:
    run.makepyfile(SKIPPING)
    result = run.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "*not run on this machine*",
            "because it rains  (1)",
            "    *::test_that_skips_by_itself",
            "needs command:no-such-tool-anywhere: no executable no-such-tool-anywhere on PATH  (1)",
            "    *::test_that_needs_a_tool",
        ]
    )


def test_every_skip_is_a_failure_where_all_must_run(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.makepyfile(SKIPPING)
    monkeypatch.setenv(requires.VARIABLE, "all")
    result = run.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*needs command:no-such-tool-anywhere*", "*EDGE_REQUIRE=all*"])


def test_a_module_that_skips_itself_is_named_or_fails_likewise(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.makepyfile(
        """
        from tests.support.requires import require
        require("module:no_such_package_anywhere")

        def test_inside():
            pass
        """
    )
    result = run.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["needs module:no_such_package_anywhere: *  (1)"])
    monkeypatch.setenv(requires.VARIABLE, "all")
    result = run.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)


def test_an_expected_failure_is_not_taken_for_a_skip(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.makepyfile(
        """
        import pytest

        @pytest.mark.xfail(strict=True)
        def test_known():
            assert False
        """
    )
    monkeypatch.setenv(requires.VARIABLE, "all")
    run.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(xfailed=1)


def test_a_misspelt_condition_is_an_error_and_not_a_skip() -> None:
    with pytest.raises(KeyError):
        requires.require("netnss")


def test_a_misspelt_variable_stops_the_run(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    run.makepyfile(SKIPPING)
    monkeypatch.setenv(requires.VARIABLE, "everything")
    assert run.runpytest_inprocess("-p", "no:cacheprovider").ret == pytest.ExitCode.USAGE_ERROR


def test_every_condition_answers_with_nothing_or_a_reason() -> None:
    for name in requires.CONDITIONS:
        problem = requires.missing(name)
        assert problem is None or len(problem) > 5, name


def test_the_other_python_is_one_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_PYTHON_OTHER", sys.executable)
    requires.other_python.cache_clear()
    try:
        assert requires.other_python() is None, "this very interpreter is not another one"
        monkeypatch.setenv("EDGE_PYTHON_OTHER", "/nonexistent/python")
        requires.other_python.cache_clear()
        with pytest.raises(OSError):
            requires.other_python()
    finally:
        requires.other_python.cache_clear()
