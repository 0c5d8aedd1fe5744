"""Pictures as PNG data in the page itself, made with what Python has."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import Any

import numpy as np

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
DARK = np.array([[13, 27, 62], [31, 99, 240], [120, 220, 232], [255, 255, 255]], dtype=float)  # low … high


def png(pixels: Bytes) -> bytes:
    """An RGB picture (height, width, 3) as a PNG file.

    Source: W3C, "Portable Network Graphics", sections 5 and 11.
    """
    height, width = pixels.shape[:2]
    raw = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 3)], axis=1).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def image(pixels: Bytes, words: str, style: str = "") -> str:
    """An <img> of a picture; `words` say what it shows to those who cannot see it."""
    data = base64.b64encode(png(np.ascontiguousarray(pixels))).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escape(words)}" style="image-rendering:pixelated;{style}">'


def heat(values: np.ndarray) -> Bytes:
    """Values (height, width) as colours, dark blue for the least and white for the most."""
    low, high = float(values.min()), float(values.max())
    at = (values - low) / (high - low if high > low else 1.0) * (len(DARK) - 1)
    k = np.minimum(at.astype(int), len(DARK) - 2)
    mixed = DARK[k] + (DARK[k + 1] - DARK[k]) * (at - k)[..., None]
    made: Bytes = mixed.round().astype(np.uint8)
    return made
