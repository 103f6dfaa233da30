"""What is taken from the inbox, what is refused and what is left alone; the daemon's node as a small function."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.base.errors import Exit, UsageError
from edge_runtime.base.limits import DROP_NAME_BYTES_MAX, DROP_TASK_BYTES_MAX
from edge_runtime.host.drop.inbox import ANSWER, DONE, REFUSED, Inbox, read_task
from edge_runtime.node.commands import Submit
from edge_runtime.objects.capsule import Capsule
from edge_runtime.testing import World
from tests.support.world_app import Doings, make_app


class Box:
    """An inbox and what was asked of the node for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "inbox"
        for name in (".", DONE, REFUSED):
            (self.folder / name).mkdir(parents=True)
        self.submitted: list[Submit] = []
        self.capsules: list[Capsule] = []
        self.before: Callable[[], None] = lambda: None
        self.inbox = Inbox(self.folder, self._submit, self._take)

    async def _submit(self, command: Submit) -> dict[str, Any]:
        self.before()
        if command.intent == "nonsense":
            raise UsageError("No app here offers it.", Exit.REFUSED)
        self.submitted.append(command)
        return {"object": "ab" * 32, "name": command.name, "intent": command.intent}

    async def _take(self, capsule: Capsule) -> dict[str, Any]:
        self.capsules.append(capsule)
        return {"object": capsule.header.object.hex(), "new": len(capsule.entries)}

    def put(self, name: str, data: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def answer(self, folder: str, name: str) -> dict[str, Any]:
        assert not os.path.lexists(self.folder / name) and os.path.lexists(self.folder / folder / name)
        found: dict[str, Any] = json.loads((self.folder / folder / (name + ANSWER)).read_text())
        return found

    def left(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if name not in (DONE, REFUSED))


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


async def test_submissions_in_toml_and_json_are_taken_with_all_terms(box: Box) -> None:
    box.put("a.toml", 'intent = "greet"\nname = "first"\nlifetime = "2h"\nlabels = ["outbox"]\n[arguments]\nname = "Ada"\n')
    box.put("b.json", '{"intent": "greet", "arguments": {"name": "Bob"}, "needs": ["camera"], "priority": 1}')
    taken, is_more = await box.inbox.look()
    assert [item.folder for item in taken] == [DONE, DONE] and not is_more
    one, two = box.submitted
    assert (one.name, one.lifetime_ms, one.labels, one.arguments) == ("first", 7_200_000, ["outbox"], {"name": "Ada"})
    assert (two.needs, two.priority) == (["camera"], 1) and two.name.startswith("drop-b.json-")
    assert box.answer(DONE, "a.toml") == {"ok": True, "object": "ab" * 32, "name": "first", "intent": "greet"}
    assert box.left() == []


async def test_the_same_file_again_is_the_same_object_and_another_content_is_another(box: Box) -> None:
    for text in ('{"intent": "greet"}', '{"intent": "greet"}', '{"intent": "greet", "priority": 3}'):
        box.put("a.json", text)
        await box.inbox.look()
    first, second, third = (command.name for command in box.submitted)
    assert first == second != third


async def test_a_capsule_is_taken_whatever_its_name_and_a_damaged_one_is_refused(box: Box) -> None:
    world = World("base", apps=[make_app(Doings())])
    base = world.device("base")
    base.submit("greet", name="one")
    from edge_runtime.node.commands import Export

    data = bytes.fromhex(base.ask(Export("one"))["capsule"])
    box.put("one.capsule", data)
    box.put("two", data[:-5])
    await box.inbox.look()
    assert box.answer(DONE, "one.capsule")["new"] == len(box.capsules[0].entries)
    refused = box.answer(REFUSED, "two")
    assert refused["exit"] == Exit.REFUSED and "does not verify" in refused["error"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", "hello", "ends in .toml or .json"),
        ("empty", "", "ends in .toml or .json"),
        ("a.json", "{", "no submission"),
        ("a.json", '{"arguments": 1}', "intent"),
        ("a.json", '{"intent": "a", "colour": 1}', "colour"),
        ("a.json", b'{"intent": "\xff"}', "no submission"),
        ("a.json", "[" * 50_000, "no submission"),
        ("a.toml", "intent = ", "no submission"),
        ("a.toml", 'intent = "a"\nlifetime = "9000d"', "lifetime"),
        ("a.json", '{"intent": "nonsense"}', "No app here"),
        ("a.json", '{"intent": "' + "x" * DROP_TASK_BYTES_MAX + '"}', "at most"),
        ("a" * (DROP_NAME_BYTES_MAX + 1) + ".json", '{"intent": "greet"}', "name is longer"),
    ],
)  # fmt: skip
async def test_what_is_not_right_is_moved_aside_with_the_reason_beside_it(
    box: Box, name: str, data: str | bytes, says: str
) -> None:  # fmt: skip
    box.put(name, data)
    (taken,), _ = await box.inbox.look()
    assert taken.folder == REFUSED and says in taken.answer["error"]
    assert box.left() == [] and box.submitted == []
    beside = [name for name in os.listdir(box.folder / REFUSED) if name.endswith(ANSWER)]
    assert len(beside) == 1


async def test_links_pipes_and_sockets_are_refused_and_nothing_is_read_through_them(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"intent": "greet"}')
    (box.folder / "link.json").symlink_to(secret)
    (box.folder / "dangling.json").symlink_to("nowhere")
    os.mkfifo(box.folder / "pipe.json")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(box.folder / "socket.json"))
    await box.inbox.look()
    assert box.left() == [] and box.submitted == []
    for name in ("link.json", "dangling.json", "pipe.json", "socket.json"):
        assert box.answer(REFUSED, name)["ok"] is False
    assert secret.exists() and (box.folder / REFUSED / "link.json").is_symlink()


async def test_hidden_temporary_and_half_written_files_and_folders_are_left_alone(box: Box) -> None:
    for name in (".a.json", "a.json.tmp", "b.part", "c.json~", "d.new"):
        box.put(name, '{"intent": "greet"}')
    (box.folder / "folder").mkdir()
    with open(box.folder / "half.json", "w") as file:
        file.write('{"intent": "gr')
        file.flush()
        taken, _ = await box.inbox.look()
        assert taken == []
        file.write('eet"}')
    (item,), _ = await box.inbox.look()
    assert item.name == "half.json" and item.folder == DONE
    assert box.left() == [".a.json", "a.json.tmp", "b.part", "c.json~", "d.new", "folder"]


async def test_a_crash_before_the_move_takes_the_file_again_under_the_same_name(box: Box) -> None:
    box.put("a.json", '{"intent": "greet"}')

    def dies() -> None:
        raise OSError("the process ends here")

    box.before = dies
    with pytest.raises(OSError):
        await box.inbox.look()
    assert box.left() == ["a.json"]
    box.before = lambda: None
    await box.inbox.look()
    assert len(box.submitted) == 1 and box.left() == []


async def test_while_the_device_takes_in_nothing_more_a_file_stays_where_it_is(box: Box) -> None:
    """Behaviour: 18.2"""
    box.put("a.json", '{"intent": "greet"}')

    def is_full() -> None:
        raise UsageError("This device takes in nothing more: the disk is full.", Exit.REFUSED, storage="the disk is full")

    box.before = is_full
    with pytest.raises(OSError, match="the disk is full"):
        await box.inbox.look()
    assert box.left() == ["a.json"] and os.listdir(box.folder / REFUSED) == []


async def test_while_the_daemon_stops_a_file_stays_where_it_is(box: Box) -> None:
    box.put("a.json", '{"intent": "greet"}')

    def stops() -> None:
        raise UsageError("The daemon is stopping.", Exit.NO_DAEMON)

    box.before = stops
    assert await box.inbox.look() == ([], False) and box.left() == ["a.json"]


async def test_what_was_put_away_is_bounded(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_runtime.host.drop.inbox.DROP_KEPT_MAX", 3)
    for number in range(5):
        box.put(f"{number}.json", '{"intent": "greet"}')
        await box.inbox.look()
    assert sorted(name for name in os.listdir(box.folder / DONE) if not name.endswith(ANSWER)) == [
        "2.json", "3.json", "4.json",
    ]  # fmt: skip


def test_a_submissions_own_name_wins() -> None:
    assert read_task("x.json", b'{"intent": "a", "name": "mine"}').name == "mine"
    assert len(read_task("x" * 150 + ".json", b'{"intent": "a"}').name) < 128
