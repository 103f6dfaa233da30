"""A real daemon with a small [store] max_bytes: full, refused, something ends, taken in again, and the file shrinks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import STORE_BYTES_MIN
from tests.support.daemons import Daemon, wait_until

APP = '''
from edge_runtime import App
app = App("hold")

@app.intent("hold")
async def hold(ctx, text: str):
    await ctx.promise("go", 864_000, default=None)
    return len(text)
'''
CONFIG = f"[store]\nmax_bytes = {STORE_BYTES_MIN}\nended_percent = 0\n"
TEXT = "x" * 14_000


def test_a_small_spool_is_filled_refuses_takes_in_again_and_shrinks(tmp_path: Path) -> None:
    """Behaviour: 14.7, 18.5."""
    (tmp_path / "hold.py").write_text(APP)
    (tmp_path / "config.toml").write_text(CONFIG)
    options = ("--config", str(tmp_path / "config.toml"), "--app", "hold:app", "--interface", "lo")
    with Daemon(tmp_path / "pi", *options, env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).resolve().parents[2]}"}) as pi:
        with pi.client() as client:
            taken: list[str] = []
            with pytest.raises(UsageError, match=r"\[store\] max_bytes") as refused:
                for number in range(200):
                    name = f"o{number}"
                    client.ask("submit", intent="hold", arguments={"text": TEXT}, name=name)
                    taken.append(name)
            assert refused.value.exit is Exit.REFUSED and len(taken) > 20
            full = client.ask("status")["bytes"]
            assert full["limit"] == STORE_BYTES_MIN and full["used"] > full["limit"] - full["reserve"]
            words = pi.run("submit", "hold", "--arg", "text=more", check=False)
            assert words.returncode == 5 and "max_bytes" in words.stderr
            shown = pi.run("status").stdout
            assert "TAKES IN NOTHING MORE" in shown and "spool: " in shown and "held back for what runs" in shown
            assert json.loads(pi.run("status", "--json").stdout)["storage"]["takes_in"] is False
            for name in taken[:3]:  # the last one taken in may have gone beyond the bound by more than one takes
                client.ask("signal", object=name, name="go")
            wait_until(lambda: client.ask("status")["storage"]["takes_in"], what="room again")
            assert pi.run("show", taken[0], check=False).returncode == 4
            client.ask("submit", intent="hold", arguments={"text": TEXT}, name="again")
            for name in (*taken[3:], "again"):
                client.ask("cancel", object=name)
            wait_until(lambda: client.ask("status")["bytes"]["ended"] == 0, what="all that ended goes")
        size = (pi.folder / "spool.db").stat().st_size
        assert size > STORE_BYTES_MIN // 2
        wait_until(lambda: (pi.folder / "spool.db").stat().st_size < STORE_BYTES_MIN * 6 // 10, 60, "the file shrinks")
