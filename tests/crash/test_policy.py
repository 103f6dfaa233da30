"""Policy on a real daemon: refused, explained, permitted after the file is read again; a wrong file changes nothing."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.support.daemons import Daemon, wait_until

APP = '''
import time
from edge_runtime import App
app = App("work")
RAN = __file__ + ".ran"

def act(label, seconds=0):
    with open(RAN, "a") as file:
        print(label, seconds, file=file)
    time.sleep(min(seconds, 3))
    return seconds

@app.intent("work")
async def work(ctx, label: str, seconds: int = 0):
    return await ctx.run("act", act, label, seconds)
'''
REJECT = '[[rule]]\nname = "not now"\nwhen = \'step.name == "act"\'\neffect = "reject"\n'
PERMIT = '[[rule]]\nname = "now"\neffect = "permit"\n'
SHORT = '[[rule]]\nname = "short"\neffect = "constrain"\nset = { seconds = 1 }\n'


def ran(folder: Path) -> list[str]:
    file = folder / "work.py.ran"
    return file.read_text().splitlines() if file.exists() else []


def reload(daemon: Daemon, policy: str, folder: Path) -> None:
    (folder / "policy.toml").write_text(policy)
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)


def test_a_policy_is_read_again_at_a_signal_and_what_waited_for_it_goes_on(tmp_path: Path) -> None:
    """Behaviour: 2.4, 4.6, 6.4: no restart; a file that is not right leaves the old one in force."""
    (tmp_path / "work.py").write_text(APP)
    state = tmp_path / "state"
    state.mkdir()
    (state / "policy.toml").write_text(REJECT)
    daemon = Daemon(state, "--interface", "lo", "--app", "work:app", cwd=tmp_path)
    try:
        daemon.start()
        daemon.ask("submit", intent="work", arguments={"label": "one"}, name="one")
        wait_until(lambda: "not now" in str(daemon.ask("show", object="one")["reason"]), 20, "the refusal")
        text = daemon.run("explain", "one").stdout
        assert "policy: reject for step act (not now)" in text and "step.name = act" in text
        reload(daemon, "[[rule]]\nname = 3\n", state)
        wait_until(lambda: "What was in force stays" in daemon.log.read_text(), 20, "the wrong file is read")
        assert daemon.ask("explain", object="one")["verdict"]["rule"] == "not now" and ran(tmp_path) == []
        reload(daemon, PERMIT, state)
        assert daemon.ask("wait", object="one")["end"] == "completed"
        assert ran(tmp_path) == ["one 0"]
        reload(daemon, SHORT, state)
        wait_until(lambda: _policy(daemon) == "short", 20, "the new policy")
        assert daemon.ask("submit", intent="work", arguments={"label": "two", "seconds": 9}, wait=True)["result"] == 1
        assert ran(tmp_path)[1:] == ["two 1"]
        (denied,) = [row for row in daemon.ask("trace", object="one") if row["kind"] == "denied"]
        assert denied["body"]["rule"] == "not now"
    finally:
        daemon.stop()


def _policy(daemon: Daemon) -> str:
    """Return the rule that decides now, as an object that waits for nothing sees it."""
    rule: str = daemon.ask("explain", object="one")["verdict"]["rule"]
    return rule


def test_a_signal_during_the_start_is_obeyed_when_the_device_stands(tmp_path: Path) -> None:
    """Behaviour: 2.8: else a process would die of it, or judge by one policy and hold steps back by another."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "policy.toml").write_text(REJECT)
    impatient = f"import os, signal\nopen({str(state / 'policy.toml')!r}, 'w').write({PERMIT!r})\n"
    (tmp_path / "work.py").write_text(APP + impatient + "os.kill(os.getpid(), signal.SIGHUP)\n")
    with Daemon(state, "--interface", "lo", "--app", "work:app", cwd=tmp_path) as daemon:
        assert daemon.ask("submit", intent="work", arguments={"label": "one"}, wait=True)["end"] == "completed"
    assert ran(tmp_path) == ["one 0"]


def test_steps_that_wait_for_a_thread_do_not_run_under_a_policy_that_is_gone(tmp_path: Path) -> None:
    """Behaviour: 2.8: permitted at the verdict, refused when the effect is due; nothing of them ran."""
    (tmp_path / "work.py").write_text(APP)
    state = tmp_path / "state"
    state.mkdir()
    (state / "policy.toml").write_text(PERMIT)
    daemon = Daemon(state, "--interface", "lo", "--app", "work:app", cwd=tmp_path)
    try:
        daemon.start()
        for number in range(8):
            daemon.ask("submit", intent="work", arguments={"label": f"n{number}", "seconds": 3}, name=f"n{number}")
        wait_until(lambda: len(ran(tmp_path)) == 4, 20, "four threads that are taken")
        reload(daemon, REJECT, state)
        ends = [daemon.ask("wait", object=f"n{number}")["end"] for number in range(4)]
        assert ends == ["completed"] * 4
        names = [f"n{number}" for number in range(4, 8)]
        wait_until(lambda: all("not now" in str(daemon.ask("show", object=n)["reason"]) for n in names), 20, "refusals")
        assert sorted(ran(tmp_path)) == [f"n{number} 3" for number in range(4)]
        kinds = [row["kind"] for row in daemon.ask("trace", object="n7")]
        assert kinds == ["created", "denied", "dormant"]
    finally:
        daemon.stop()
