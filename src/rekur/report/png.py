"""PNG images inside the page, written with the standard library."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rekur.core import Array

Pixels: TypeAlias = NDArray[np.uint8]
"""An RGB image, (height, width, 3)."""

HEAT_COLORS = np.array([[13, 27, 62], [31, 99, 240], [120, 220, 232], [255, 255, 255]], dtype=float)  # low … high


def png(pixels: Pixels) -> bytes:
    """Encode an RGB image (height, width, 3) as a PNG file.

    Source: W3C, "Portable Network Graphics", sections 5 and 11.
    """
    height, width = pixels.shape[:2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 3)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file: length, name, data and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def image(pixels: Pixels, description: str, style: str = "") -> str:
    """An <img> with the image as data; `description` is read to those who cannot see it."""
    data = base64.b64encode(png(np.ascontiguousarray(pixels))).decode()
    source = f'src="data:image/png;base64,{data}"'
    return f'<img {source} alt="{escape(description)}" style="image-rendering:pixelated;{style}">'


def heat_map(values: Array) -> Pixels:
    """Colours of values (height, width), dark blue for the lowest and white for the highest."""
    low, high = float(values.min()), float(values.max())
    position = (values - low) / (high - low if high > low else 1.0) * (len(HEAT_COLORS) - 1)
    k = np.minimum(position.astype(int), len(HEAT_COLORS) - 2)
    colors = HEAT_COLORS[k] + (HEAT_COLORS[k + 1] - HEAT_COLORS[k]) * (position - k)[..., None]
    pixels: Pixels = colors.round().astype(np.uint8)
    return pixels
