"""A body that changed while its object slept: the object stops, says how it differs, and goes on with the old body."""

from __future__ import annotations

from pathlib import Path

from tests.support.daemons import Daemon, wait_until

OLD = '''
from edge_runtime import App
app = App("trip")

def look(n):
    return n + 1

@app.intent("trip")
async def trip(ctx, n: int):
    first = await ctx.run("look", look, n)
    answer = await ctx.promise("answer")
    return [first, answer, await ctx.run("again", look, first)]
'''
NEW = OLD.replace('ctx.run("look", look, n)', 'ctx.run("stare", look, n)')


def test_a_changed_body_stops_with_a_readable_difference_and_goes_on_when_the_old_one_is_back(tmp_path: Path) -> None:
    """Behaviour: 1.14: nothing is lost."""
    module = tmp_path / "trip.py"
    daemon = Daemon(tmp_path / "state", "--interface", "lo", "--app", "trip:app", cwd=tmp_path)
    try:
        module.write_text(OLD)
        daemon.start()
        daemon.ask("submit", intent="trip", arguments=1, name="t")
        wait_until(lambda: "answer" in str(daemon.ask("show", object="t")["reason"]), 20, "the wait")
        daemon.kill()
        module.write_text(NEW)
        daemon.start()
        daemon.ask("signal", object="t", name="answer", value="yes")
        shown = wait_until(lambda: _stopped(daemon), 20, "the stop")
        assert "look" in shown["reason"] and "stare" in shown["reason"], shown["reason"]
        assert "look" in daemon.run("explain", "t").stdout
        entries = shown["entries"]
        daemon.kill()
        daemon.start()
        assert _stopped(daemon) and daemon.ask("show", object="t")["entries"] == entries, "the same again adds nothing"
        daemon.kill()
        module.write_text(OLD)
        daemon.start()
        assert daemon.ask("wait", object="t")["result"] == [2, "yes", 3]
    finally:
        daemon.stop()


def _stopped(daemon: Daemon) -> dict[str, object] | None:
    shown: dict[str, object] = daemon.ask("show", object="t")
    return shown if str(shown["reason"]).startswith("nondeterminism") else None
