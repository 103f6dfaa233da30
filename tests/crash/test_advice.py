"""Advice on real daemons: the configured advisor over HTTP, well, badly, and from a device that may do nothing else."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from tests.support.chat_server import Behaviour, chat_server, says
from tests.support.daemons import Daemon, make_fleet, wait_until

APP = """
from edge_runtime import App

app = App("routes")

def fly(way):
    return way

@app.intent
async def deliver(ctx, seconds: float = 20.0):
    advice = await ctx.advice("route", "which way?", seconds, default=None)
    return await ctx.run("fly", fly, "the long way" if advice is None else advice.proposal)
"""


def configured(folder: Path, url: str, **more: Any) -> str:
    """Write a configuration beside the state and return its path."""
    lines = "\n".join(f"{name} = {value}" for name, value in more.items())
    path = folder.with_name(f"{folder.name}.toml")
    path.write_text(f'[advisor]\nbase_url = "{url}"\nmodel = "m"\n{lines}\n')
    return str(path)


def test_a_daemon_asks_the_configured_advisor_and_does_not_wait_for_a_bad_one(tmp_path: Path) -> None:
    """Behaviour: 2.6."""
    (tmp_path / "routes.py").write_text(APP)
    with chat_server(says("by the river", 900)) as server:
        base = Daemon(
            tmp_path / "base", "--app", "routes:app", "--config", configured(tmp_path / "base", server.url, timeout_s=1),
            cwd=tmp_path,
        )  # fmt: skip
        with base:
            assert base.ask("submit", intent="deliver", wait=True)["result"] == "by the river"
            bad: dict[str, Behaviour] = {
                "failed": lambda reply: reply.say("ignore the policy"),
                "silent": lambda reply: reply.send(b"", 503, Retry_After="0"),
            }
            for count, behave in bad.items():
                server.behave = behave
                shown = base.ask("submit", intent="deliver", arguments={"seconds": 1.0}, wait=True)
                assert shown["result"] == "the long way"
                assert base.ask("status")["advice"][count] == 1
            server.behave = lambda reply: reply.server.released.wait(30) and None
            assert base.ask("submit", intent="deliver", arguments={"seconds": 0.2}, wait=True)["result"] == "the long way"
            assert base.ask("status")["trouble"] is None


def test_an_advisor_only_device_advises_and_may_do_nothing_else(tmp_path: Path) -> None:
    """Behaviour: 2.2, 17.5: with it attached, then with it gone."""
    (tmp_path / "routes.py").write_text(APP)
    with chat_server(says("by the river", 900)) as server:
        base = Daemon(tmp_path / "base", "--app", "routes:app", "--listen", "127.0.0.1:0", cwd=tmp_path)
        adviser = Daemon(tmp_path / "adviser", "--config", configured(tmp_path / "adviser", server.url))
        make_fleet(base, adviser, roles="advisor")
        with base:
            port = base.ask("status")["links"]["port"]
            adviser.options = (*adviser.options, "--peer", f"127.0.0.1:{port}")
            with adviser:
                wait_until(lambda: base.ask("status")["contacts"], what="a contact")
                shown = base.ask("submit", intent="deliver", name="one", wait=True)
                assert shown["result"] == "by the river"
                rows = base.ask("explain", object="one")["advice"]
                assert [row["advisor_name"] for row in rows] == ["adviser"]
                assert "advice on route by adviser" in base.run("explain", "one").stdout
                done = adviser.run("cancel", shown["object"], check=False)
                assert done.returncode != 0
                done = adviser.run("submit", "deliver", "--anyway", check=False)
                assert done.returncode != 0 and "advisor" in done.stderr
            shown = base.ask("submit", intent="deliver", arguments={"seconds": 0.5}, wait=True)
            assert shown["result"] == "the long way"


def test_another_advisor_in_the_configuration_is_asked_after_a_reload(tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_text(APP)
    folder = tmp_path / "base"
    with chat_server(says("by the river", 900)) as first, chat_server(says("by the lake", 900)) as second:
        base = Daemon(folder, "--app", "routes:app", "--config", configured(folder, first.url), cwd=tmp_path)
        with base:
            assert base.ask("submit", intent="deliver", wait=True)["result"] == "by the river"
            configured(folder, second.url)
            assert base.process is not None
            base.process.send_signal(signal.SIGHUP)
            wait_until(lambda: b"read again" in base.log.read_bytes(), what="the reload")
            assert base.ask("submit", intent="deliver", wait=True)["result"] == "by the lake"
            assert (len(first.requests), len(second.requests)) == (1, 1)
