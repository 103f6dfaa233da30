"""`replay` as CI runs it: capsules of a real daemon, and a running device, against another version of its app."""

from __future__ import annotations

import json
from pathlib import Path

from edge_runtime.base.errors import Exit
from tests.support.daemons import Daemon

OLD = """
from edge_runtime import App

app = App("desk")

@app.intent("greet")
async def greet(ctx, name: str):
    text = await ctx.run("say", lambda: f"hello {name}")
    return text
"""
NEW = OLD.replace('"say"', '"speak"')


def test_replay_names_what_a_new_version_breaks_and_touches_nothing(tmp_path: Path) -> None:
    """Behaviour: 1.14"""
    (tmp_path / "desk.py").write_text(OLD)
    (tmp_path / "desk2.py").write_text(NEW)
    device = Daemon(tmp_path / "one", "--interface", "lo", "--app", "desk:app", cwd=tmp_path)
    file = tmp_path / "ada.capsule"
    with device:
        for name in ("Ada", "Bob"):
            device.run("submit", "greet", "--arg", f"name={name}", "--name", name, "--wait")
        device.run("export", "Ada", "-o", str(file))
        good = json.loads(device.run("replay", "--app", "desk:app", "--json").stdout)
        assert good["ok"] and (good["objects"], good["same"]) == (2, 2)
        done = device.run("replay", "--app", "desk2:app", "--ended", "--json", check=False)
        assert done.returncode == Exit.FAILED and done.stderr == ""
        bad = json.loads(done.stdout)
        assert bad["differ"] == 2 and {row["name"] for row in bad["found"]} == {"Ada", "Bob"}
        assert "speak" in bad["found"][0]["difference"]
        before = device.ask("show", object="Ada")["entries"]
    done = device.run("replay", "--app", "desk2:app", str(file), check=False)
    assert done.returncode == Exit.FAILED and "DIFFERS" in done.stdout and "0 of 1 object replay" in done.stdout
    assert "1 of 1 object" in device.run("replay", "--app", "desk:app", str(file)).stdout
    file.write_bytes(file.read_bytes()[:-3])
    done = device.run("replay", "--app", "desk:app", str(file), check=False)
    assert done.returncode == Exit.FAILED and "does not verify" in done.stderr
    assert device.run("replay", check=False).returncode == Exit.USAGE
    with device:
        assert device.ask("show", object="Ada")["entries"] == before
