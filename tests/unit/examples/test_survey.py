"""The survey, as shipped: what it measures, and its whole course over two devices on virtual time."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edge_runtime import TerminalError
from edge_runtime.host.demo.images import make_png
from edge_runtime.host.demo.server import Receiver
from edge_runtime.testing import DevicePlan, World

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def survey() -> Iterator[ModuleType]:
    """The example, imported as a daemon would import it."""
    spec = importlib.util.spec_from_file_location("survey", ROOT / "examples" / "survey.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["survey"] = module  # its dataclasses look their annotations up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["survey"]


def jpeg(width: int, height: int, marker: int) -> bytes:
    """Return the head of a JPEG: an APP0 segment, then a frame. Source: ITU-T T.81, B.1.1.3 and B.2.2."""
    frame = struct.pack(">BHH", 8, height, width) + b"\x01\x01\x11\x00"
    return b"\xff\xd8\xff\xe0\x00\x04ab" + bytes((0xFF, marker)) + (len(frame) + 2).to_bytes(2, "big") + frame


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (make_png(120, 80, 1), (120, 80)),
        (jpeg(640, 480, 0xC0), (640, 480)),
        (jpeg(640, 480, 0xC2), (640, 480)),
        (jpeg(640, 480, 0xC4), (0, 0)),
        (b"GIF89a", (0, 0)),
        (b"", (0, 0)),
        (b"\x89PNG\r\n\x1a\n", (0, 0)),
        (b"\xff\xd8\xff\xe0\x00\x00" * 9, (0, 0)),
    ],
    ids=["png", "jpeg", "progressive jpeg", "jpeg without a frame", "gif", "empty", "cut png", "jpeg of length 0"],
)
def test_an_image_is_measured_by_its_head(survey: ModuleType, data: bytes, size: tuple[int, int]) -> None:
    assert survey.measure(data) == size


def test_a_photograph_of_nothing_is_final(survey: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="gone.png"):
        survey.shoot(str(tmp_path), "gone.png", 0.0)


def test_each_start_is_written_down_with_its_attempt(
    survey: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_SURVEY_LOG", str(tmp_path / "starts.log"))
    shown = tell(survey, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "starts.log").read_text().splitlines()]
    assert [line["what"] for line in lines] == ["shoot 0.png", "shoot 1.png", "deliver", "deliver"]
    assert len({line["attempt"] for line in lines}) == 3, "a second try has the key of the first"
    assert shown["end"] == "completed"


def test_the_survey_is_photographed_on_one_device_and_delivered_on_another(survey: ModuleType, tmp_path: Path) -> None:
    """Behaviour: 6.2: busy is waited for as asked; and the body goes on elsewhere."""
    shown = tell(survey, tmp_path)
    assert shown["custodian_name"] == "base"
    assert shown["result"]["shots"] == 2 and shown["result"]["pixels"] == 2 * 4 * 3


def tell(survey: ModuleType, folder: Path) -> dict[str, object]:
    """Let a drone and a base do a survey of two images; return what the drone shows at the end."""
    files = ["0.png", "1.png"]
    for number, file in enumerate(files):
        (folder / file).write_bytes(make_png(4, 3, number))
    receiver = Receiver()
    try:
        world = World(DevicePlan("drone", has=("camera",)), DevicePlan("base", has=("uplink",)), apps=[survey.app])
        drone = world.device("drone")
        area = {"folder": str(folder), "files": files, "seconds_each": 0.0, "url": receiver.url}
        made = drone.submit("survey.area", {"area": area})["object"]
        world.run(seconds=2)
        assert "survey.go" in drone.show(made)["reason"]
        drone.fact("survey.go", True)
        world.run(seconds=1)
        assert receiver.requests == 0
        world.link("drone", "base", up=True)
        world.run(seconds=10)
        told = [shot["hash"] for shot in json.loads(receiver.deliveries.popitem()[1])]
    finally:
        receiver.close()
    assert receiver.requests == 2 and not receiver.deliveries
    assert told == [hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files]
    return drone.show(made)
