"""The images that the demo makes are images, and those it finds are the ones of the folder."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from edge_runtime.host.demo.images import SIZES, find_images, make_images, make_png


@pytest.mark.parametrize(("width", "height"), [(1, 1), *SIZES])
def test_a_made_png_decodes_to_its_pixels(width: int, height: int) -> None:
    data = make_png(width, height, 3)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body, sum_ = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        assert zlib.crc32(kind + body).to_bytes(4, "big") == sum_
        chunks[kind] = body
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (width, height, 8, 2, 0, 0, 0)
    assert len(zlib.decompress(chunks[b"IDAT"])) == (width * 3 + 1) * height


def test_made_images_are_all_different(tmp_path: Path) -> None:
    files = make_images(tmp_path / "new")
    assert len({file.read_bytes() for file in files}) == len(files) == len(SIZES)


def test_images_are_found_by_name_and_nothing_else_is(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "notes.txt", "c.webp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [file.name for file in find_images(tmp_path)] == ["a.jpeg", "b.PNG", "c.webp"]
