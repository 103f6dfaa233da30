"""A few real images to survey where none are given: small PNG files, made with the standard library."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

SIZES = ((96, 64), (120, 80), (64, 64), (160, 90), (80, 120), (128, 96))


def make_images(folder: Path) -> list[Path]:
    """Write one PNG per size, each a gradient of its own; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, (width, height) in enumerate(SIZES):
        file = folder / f"cell{number + 1}.png"
        file.write_bytes(make_png(width, height, number))
        found.append(file)
    return found


def make_png(width: int, height: int, seed: int) -> bytes:
    """Return an RGB image. Source: PNG specification, third edition, sections 5 and 11.2."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # filter type: none
        for x in range(width):
            rows += bytes((x * 255 // width, y * 255 // height, (seed * 40 + x + y) % 256))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(bytes(rows))), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def find_images(folder: Path) -> list[Path]:
    """Return the image files of a folder, by name."""
    endings = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp"}
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in endings and file.is_file())
