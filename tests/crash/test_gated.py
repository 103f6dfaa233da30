"""A real daemon that is killed inside an irreversible step: nothing is guessed, and nothing is sent twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.daemons import Daemon, wait_until

APP = """
import os, time
from edge_runtime import App, StepFailed, current_attempt

app = App("sms")
log = os.open(os.environ["SMS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def send(text):
    os.write(log, f"{current_attempt().id}\\n".encode()); os.fsync(log)
    while os.path.exists(os.environ["SMS_LOG"] + ".hang"):
        time.sleep(0.01)
    return text

@app.intent
async def sms(ctx, rule: str):
    try:
        return await ctx.run("send", send, "hello", effect="irreversible", not_after=3600, on_unknown=rule)
    except StepFailed as failed:
        return failed.outcome.name.lower()
"""


@pytest.mark.parametrize("rule", ["ask", "stop", "resend"])
def test_a_daemon_that_dies_inside_an_irreversible_step_says_unknown_and_does_what_was_declared(
    tmp_path: Path, rule: str
) -> None:
    """Behaviours: 7.7, 15.1, 15.5."""
    (tmp_path / "sms.py").write_text(APP)
    log, hang = tmp_path / "sent", tmp_path / "sent.hang"
    hang.touch()
    daemon = Daemon(
        tmp_path / "state", "--interface", "lo", "--app", "sms:app", env={"SMS_LOG": str(log)}, cwd=tmp_path
    )
    try:
        daemon.start()
        made = daemon.ask("submit", intent="sms", arguments={"rule": rule})["object"]
        wait_until(lambda: log.read_text(), what="the step's own word that it began")
        daemon.kill()
        hang.unlink()
        daemon.start()
        if rule == "ask":
            reason = wait_until(lambda: daemon.ask("show", object=made)["reason"], what="the question")
            name = next(word for word in reason.split() if word.startswith("unknown:"))
            assert name == f"unknown:{log.read_text().strip()}", "asked about the attempt that the step itself knew"
            daemon.run("signal", made, name, "true")
        shown = daemon.ask("wait", object=made)
        assert shown["result"] == {"ask": None, "stop": "unknown", "resend": "hello"}[rule]
        starts = log.read_text().split()
        assert len(starts) == (2 if rule == "resend" else 1) and len(set(starts)) == 1
        rows = [row["body"]["outcome"] for row in daemon.ask("trace", object=made) if row["kind"] == "executed"]
        assert rows[0] == "unknown"
    finally:
        daemon.stop()


def test_rights_are_given_at_the_command_line_and_shown(tmp_path: Path) -> None:
    (tmp_path / "kits.py").write_text(
        "async def give(ctx):\n"
        "    return await ctx.run('give', str, 'kit', effect='bounded', rights={'kits': 2})\n"
    )
    with Daemon(tmp_path / "state", "--interface", "lo", "--app", "kits:give", cwd=tmp_path) as daemon:
        done = daemon.run("submit", "give", "--rights", "kits=10", "--name", "one", "--wait")
        assert done.returncode == 0
        assert "rights kits: 8 left, 2 spent of 10" in daemon.run("show", "one").stdout
        refused = daemon.run("submit", "give", "--rights", "kits=none", check=False)
        assert refused.returncode == 2, refused.stderr
