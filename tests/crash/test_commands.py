"""Every command of the contract for scripts, as a person and as a script runs it, on real daemons in one fleet."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit
from tests.support.daemons import ROOT, Daemon, make_fleet, wait_until

PAGE = (ROOT / "docs" / "control.md").read_text()
APP = """
from edge_runtime import App

app = App("desk")

@app.intent("ask")
async def ask(ctx, question: str):
    ctx.publish("question", question)
    return await ctx.promise("answer")

@app.intent("greet")
async def greet(ctx, name: str):
    return f"hello {name}"
"""

STEP = """
@app.intent("step")
async def step(ctx):
    return await ctx.run("greet", lambda: "hello")
"""

OBJECT = {
    "object", "name", "intent", "status", "end", "result", "published", "custodian", "epoch", "reason", "waits",
    "expires_in_ms", "entries", "heads", "as_of_ms", "heard_from", "held_by",
}  # fmt: skip
REACHED = {"ok", "reached", "custodian", "last_contact_ms"}
CAPSULE = {"object", "entries", "verified", "head"}


@dataclass
class Pair:
    """Two devices of one fleet: the base, whose commands are tried, and one that it meets."""

    base: Daemon
    drone: Daemon
    drone_id: str

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Run a command for a script; return its rows."""
        return [json.loads(text) for text in self.base.run(*words, "--json").stdout.splitlines()]

    def one(self, *words: str, keys: set[str]) -> dict[str, Any]:
        """Run a command for a script; it prints one object that has these keys."""
        (row,) = self.rows(*words)
        assert keys <= set(row), f"{words}: {keys - set(row)} is missing"
        return row

    def text(self, *words: str) -> str:
        """Run a command for a person."""
        done = self.base.run(*words)
        assert done.stderr == "" and "None" not in done.stdout, done
        return done.stdout

    def ask_for(self, question: str) -> dict[str, Any]:
        """Submit something that waits for an answer, and wait until it does."""
        made = self.one("submit", "ask", "--arg", f"question={question}", keys=OBJECT)
        wait_until(lambda: self.base.ask("show", object=made["object"])["waits"], what="its wait")
        return made


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    place = tmp_path_factory.mktemp("pair")
    (place / "desk.py").write_text(APP)
    base = Daemon(place / "base", "--interface", "lo", "--app", "desk:app", "--capability", "desk", cwd=place)
    drone = Daemon(place / "drone", "--interface", "lo", "--app", "desk:app", "--capability", "camera", cwd=place)
    make_fleet(base, drone, roles="executor,relay")
    with base, drone:
        wait_until(lambda: [row for row in base.ask("peers") if row["connected"] and row["name"]], what="contact")
        yield Pair(base, drone, drone.ask("status")["device"])


def test_a_device_is_made_without_a_daemon_and_another_one_joins_its_fleet_with_a_file(tmp_path: Path) -> None:
    first, second = Daemon(tmp_path / "first"), Daemon(tmp_path / "second")
    made = json.loads(first.run("init", "--name", "first", "--json").stdout)
    assert made["name"] == "first" and len(made["device"]) == 64
    assert json.loads(first.run("init", "--json").stdout) == made, "asked again it is the same device"
    fleet = json.loads(first.run("fleet", "create", "field", "--json").stdout)
    shown = json.loads(first.run("fleet", "show", "--json").stdout)
    assert fleet["name"] == shown["name"] == "field" and shown["fleet"] == fleet["fleet"]
    device = json.loads(second.run("init", "--json").stdout)["device"]
    file = tmp_path / "second.grant"
    granted = json.loads(
        first.run("grant", device, "--roles", "executor,relay", "-o", str(file), "--json").stdout
    )  # fmt: skip
    assert granted["roles"] == ["executor", "relay"] and granted["fleet"] == fleet["fleet"]
    joined = json.loads(second.run("join", str(file), "--json").stdout)
    assert (joined["grant"], joined["fleet"], joined["name"]) == (granted["grant"], fleet["fleet"], "field")
    assert json.loads(second.run("radio", "off", "--json").stdout)["radio"] == "off"
    third = Daemon(tmp_path / "third")
    third.run("init")
    refused = third.run("join", str(file), check=False)
    assert refused.returncode not in (Exit.OK, Exit.NO_DAEMON) and "Traceback" not in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_with_a_daemon_a_new_fleet_and_a_grant_take_effect_without_restart(pair: Pair, tmp_path: Path) -> None:
    first = pair.one("fleet", "show", keys={"fleet", "name"})
    made = pair.one("fleet", "create", "second", keys={"fleet", "name"})
    assert made["fleet"] != first["fleet"]
    assert {row["name"] for row in pair.one("status", keys={"fleets"})["fleets"]} == {"field", "second"}
    file = tmp_path / "drone.grant"
    assert "join" in pair.text("grant", pair.drone_id, "-o", str(file))
    joined = json.loads(pair.drone.run("join", str(file), "--json").stdout)
    assert joined["fleet"] == made["fleet"]
    assert "second" in pair.text("fleet", "show")


def test_an_object_is_submitted_shown_listed_traced_explained_signalled_and_ends(pair: Pair) -> None:
    made = pair.ask_for("why")
    object_id = made["object"]
    shown = pair.one("show", object_id[:12], keys=OBJECT)
    assert shown["status"] == "dormant" and shown["published"] == {"question": "why"} and shown["end"] is None
    assert shown["object"] in [row["object"] for row in pair.rows("ls", "--status", "dormant")]
    (reason,) = [row for row in pair.rows("ls", "--by", "reason") if row["status"] == "dormant"]
    assert reason["objects"] >= 1
    explained = pair.one(
        "explain", object_id,
        keys={"intent", "facts", "verdict", "history", "action", "next", "waits", "expires_in_ms"},
    )  # fmt: skip
    assert all({"leaf", "value", "age_ms", "last_true_ms", "who_could"} <= set(wait) for wait in explained["waits"])
    for command in ("show", "explain", "trace"):
        assert "ask" in pair.text(command, object_id)
    assert object_id[:12] in pair.text("ls")

    follower = subprocess.Popen(
        pair.base.command("trace", object_id, "--follow", "--json"), stdout=subprocess.PIPE, text=True,
        env=pair.base.env,
    )  # fmt: skip
    assert follower.stdout is not None
    first = json.loads(follower.stdout.readline())
    assert {"entry", "at_ms", "age_ms", "device", "stage", "kind", "body"} <= set(first)
    assert first["kind"] == "created"
    assert pair.one("signal", object_id, "answer", "42", keys=REACHED)["reached"] is True
    rest = follower.stdout.read()  # not `communicate`, which would lose what came together with the first line
    follower.wait(30)
    kinds = [json.loads(text)["kind"] for text in rest.splitlines()]
    assert "signalled" in kinds and kinds[-1] == "terminated"
    assert follower.returncode == Exit.OK
    ended = pair.one("wait", object_id, keys=OBJECT)
    assert (ended["end"], ended["result"]) == ("completed", 42)
    followed = [first, *(json.loads(text) for text in rest.splitlines())]
    assert followed == pair.rows("trace", object_id)


def test_submitting_and_waiting_ends_with_the_result(pair: Pair) -> None:
    shown = pair.one("submit", "greet", "--arg", "name=Ada", "--wait", keys=OBJECT)
    assert (shown["end"], shown["result"]) == ("completed", "hello Ada")
    assert "hello Bob" in pair.text("submit", "greet", "--arg", "name=Bob", "--name", "bob", "--wait")
    assert "completed" in pair.text("wait", "bob")


def test_an_object_is_held_released_resumed_claimed_and_cancelled(pair: Pair) -> None:
    object_id = pair.ask_for("how")["object"]
    for command in ("hold", "release", "resume", "claim"):
        assert pair.one(command, object_id, keys=REACHED)["ok"] is True
    assert pair.one("cancel", object_id, keys=REACHED)["ok"] is True
    done = pair.base.run("wait", object_id, "--json", check=False)
    assert done.returncode == Exit.FAILED and json.loads(done.stdout)["end"] == "cancelled"


def test_the_device_is_held_and_released(pair: Pair) -> None:
    assert pair.one("hold", keys=REACHED)["ok"] is True
    assert "HELD" in pair.text("status")
    assert pair.text("release") == "Done.\n"
    assert pair.one("status", keys={"held"})["held"] is False


def test_an_object_is_handed_to_the_other_device_and_a_signal_finds_it_there(pair: Pair) -> None:
    object_id = pair.ask_for("where")["object"]
    handed = pair.one("hand", object_id, "--to", "drone", keys=REACHED)
    assert handed["offered"] == 1 and handed["to"] == pair.drone_id
    wait_until(lambda: pair.base.ask("show", object=object_id)["custodian"] == pair.drone_id, what="the handover")
    told = pair.one("signal", object_id, "answer", "here", keys=REACHED)
    assert told["reached"] is False and told["custodian"] == pair.drone_id
    ended = wait_until(
        lambda: (shown := pair.base.ask("show", object=object_id))["end"] and shown, what="the end, heard of here"
    )
    assert ended["result"] == "here" and ended["custodian"] == pair.drone_id
    assert "epoch 1" in pair.text("show", object_id)


def test_facts_are_set_and_listed_and_events_raised(pair: Pair) -> None:
    assert pair.one("fact", "set", "door.open=true", keys={"ok"})["ok"] is True
    assert pair.text("fact", "set", "wind=12", "--max-age", "1h") == "Done.\n"
    facts = {row["name"]: row for row in pair.rows("facts")}
    assert facts["door.open"]["value"] is True and facts["wind"]["max_age_ms"] == 3_600_000
    assert {"name", "value", "age_ms", "origin", "max_age_ms"} <= set(facts["wind"])
    assert "door.open" in pair.text("facts")
    assert pair.one("event", "storm", keys={"ok"})["ok"] is True


def test_peers_contacts_status_apps_and_queries_are_answered(pair: Pair) -> None:
    (peer,) = [row for row in pair.rows("peers") if row["name"] == "drone"]
    assert {"device", "name", "connected", "address", "capabilities", "last_ms"} <= set(peer)
    assert peer["device"] == pair.drone_id and peer["connected"] is True and peer["capabilities"] == ["camera"]
    assert "in contact" in pair.text("peers")
    assert pair.rows("contacts", "--most", "1")[0]["device"] == pair.drone_id
    assert "drone" in pair.text("contacts")
    status = pair.one("status", keys={"bytes", "objects", "device", "name"})
    assert {"own", "carried", "blobs", "tombstones"} <= set(status["bytes"])
    assert "base" in pair.text("status")
    apps = pair.rows("apps")
    assert {(row["name"], row["intent"]) for row in apps} >= {("base", "ask"), ("drone", "greet")}
    assert all({"device", "version"} <= set(row) for row in apps)
    assert "greet" in pair.text("apps")
    assert pair.rows("query", "SELECT 1 AS n, 'x' AS name") == [{"n": 1, "name": "x"}]
    assert "objects" in pair.text("query", "SELECT count(*) AS objects FROM objects")


def test_the_radio_is_silent_until_it_is_on_again(pair: Pair) -> None:
    assert pair.one("radio", "off", keys={"ok"})["radio"] == "off"
    wait_until(lambda: not any(row["connected"] for row in pair.base.ask("peers")), what="the end of contact")
    assert "radio off" in pair.text("status")
    assert "speaks" in pair.text("radio", "on")
    wait_until(lambda: any(row["connected"] for row in pair.base.ask("peers")), what="contact again")


def test_an_object_travels_by_file(pair: Pair, tmp_path: Path) -> None:
    object_id = pair.one("submit", "greet", "--arg", "name=Kay", "--wait", keys=OBJECT)["object"]
    file = tmp_path / "kay.capsule"
    exported = pair.one("export", object_id, "-o", str(file), keys=CAPSULE)
    verified = json.loads(Daemon(tmp_path / "nobody").run("verify", str(file), "--json").stdout)
    assert {key: verified[key] for key in CAPSULE} == {key: exported[key] for key in CAPSULE}
    assert verified["verified"] == "full"
    taken = json.loads(pair.drone.run("import", str(file), "--json").stdout)
    assert {key: taken[key] for key in CAPSULE} == {key: exported[key] for key in CAPSULE}
    assert pair.drone.ask("show", object=object_id)["result"] == "hello Kay"
    assert "all signatures hold" in pair.text("verify", str(file))
    assert "0 new" in pair.text("import", str(file))
    folder = tmp_path / "stick" / "capsules"
    rows = pair.rows("export", "--all", "-o", str(folder))
    assert {row["object"] for row in rows} == {row["object"] for row in pair.rows("ls")}
    assert sorted(str(path) for path in folder.iterdir()) == [row["file"] for row in rows]
    assert "all signatures hold" in pair.text("verify", rows[0]["file"])
    assert "import" in pair.text("export", "--all", "-o", str(folder)), "written anew"
    assert pair.base.run("export", "-o", str(file), check=False).returncode == Exit.USAGE


# --- Revocation -----------------------------------------------------------------------------------------------------


def test_a_device_is_revoked_loses_its_contacts_and_what_it_asks_for_is_denied(tmp_path: Path) -> None:
    """Behaviours: 11.4, 12.4: the command on real daemons; the revoked one dials, is told why and sent away."""
    (tmp_path / "desk.py").write_text(APP + STEP)
    options = ("--interface", "lo", "--app", "desk:app")
    base, drone, other = (Daemon(tmp_path / name, *options, cwd=tmp_path) for name in ("base", "drone", "other"))
    make_fleet(base, drone, other)
    with base, drone, other:
        wait_until(lambda: len(connected(base)) == 2 and len(connected(drone)) == 2, what="contact of all three")
        drone_id = drone.ask("status")["device"]
        asked = drone.ask("submit", intent="ask", arguments={"question": "why"})["object"]
        wait_until(lambda: asked in [row["object"] for row in base.ask("ls")], what="its object at the base")
        refused = other.run("revoke", "drone", "--json", check=False)
        assert refused.returncode == Exit.REFUSED and "operator" in refused.stdout + refused.stderr
        said = json.loads(base.run("revoke", "drone", "--json").stdout)
        assert said["device"] == drone_id and said["what"] == "withdrawn" and said["objects_held"] == 1
        for daemon in (base, drone, other):
            wait_until(lambda daemon=daemon: daemon.ask("status")["revoked"] == 1, what=f"word of it at {daemon.folder}")
        wait_until(lambda: connected(drone) == [] and connected(base) == ["other"], what="the end of its contacts")
        made = drone.ask("submit", intent="step")["object"]
        wait_until(lambda: "grant withdrawn" in (drone.ask("show", object=made)["reason"] or ""), what="its denial")
        assert "denied" in [row["kind"] for row in drone.ask("trace", object=made)]
        assert base.ask("claim", object=asked)["ok"] is True
        assert base.ask("show", object=asked)["custodian_name"] == "base"
        sequence = min(row["sequence"] for row in base.ask("trace", object=asked) if row["device"] == drone_id)
        told = base.run("revoke", drone_id, "--from", str(sequence)).stdout
        assert f"sequence {sequence} on is void" in told
        for daemon in (base, other):
            wait_until(
                lambda daemon=daemon: daemon.ask("trace", object=asked)[0]["void"] == "author compromised",
                what="its void entries",
            )
    with drone:
        assert drone.ask("status")["revoked"] == 1, "it is kept"


def connected(daemon: Daemon) -> list[str]:
    """Return the names of the devices in contact."""
    return sorted(row["name"] or "" for row in daemon.ask("peers") if row["connected"])


# --- docs/control.md ------------------------------------------------------------------------------------------------


def test_the_pages_programs_run(pair: Pair) -> None:
    programs = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    said = []
    for program in programs:
        env = {**pair.base.env, "EDGE_RUNTIME_STATE": str(pair.base.folder)}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0].startswith("hello Ada\n") and "greet completed" in said[0]
    assert said[1] == "['hello Ada', 'hello Grace', 'hello Edsger']\n"


def test_answers_hold_the_fields_that_the_page_names(pair: Pair) -> None:
    """Those of requests that change nothing; the commands above check the others."""
    object_id = pair.ask_for("which")["object"]
    pair.base.ask("fact", name="door.open", value=True)
    for command, fields in {
        "show": {"object": object_id}, "ls": {}, "trace": {"object": object_id}, "explain": {"object": object_id},
        "facts": {}, "peers": {}, "contacts": {}, "status": {}, "apps": {}, "fleet-show": {},
        "export": {"object": object_id}, "signal": {"object": object_id, "name": "answer"},
    }.items():  # fmt: skip
        answer = pair.base.ask(command, **fields)
        row = re.findall(rf"^\| `{command}` \|.*\| (.*) \|$", PAGE, re.MULTILINE)[0].split(";")[0]
        named = {word for word in re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", row))}
        for item in answer if isinstance(answer, list) else [answer]:
            assert named <= set(item), f"{command}: {named - set(item)}"
        assert len(named) >= 3 or command == "export"
