"""Random videos from a seed: handwritten digits with eight kinds of motion, each with a label and a sentence.

A digit of scikit-learn's set (8 × 8 pixels, enlarged) moves over a dark image for twenty frames, with periodic
boundaries. Each clip is encoded as a real video file (MPEG-4 in AVI). The position of the digit is uniform in every
frame, so that a single frame carries no information on the motion.

    python benchmarks/clips.py FOLDER [--clips 1600] [--seed 0]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

SIZE, FRAMES, DIGIT = 48, 20, 16
WAYS = {  # what the digit does, as a sentence goes on
    "left": "moves left",
    "right": "moves right",
    "up": "moves up",
    "down": "moves down",
    "circle": "turns in a circle",
    "back": "moves right and comes back",
    "left_bounce": "moves left and bounces",
    "shake": "stands and shakes",
}


def path(way: str, rng: np.random.Generator) -> np.ndarray:
    """Places (FRAMES, 2) of the upper left corner, y and x, as shares of the picture."""
    t = np.linspace(0, 1, FRAMES)
    line, turn = rng.uniform(0.5, 1.2) * t, rng.uniform(0.3, 0.7)
    fold = rng.uniform(0.6, 1.0) * np.where(t < turn, t, 2 * turn - t)  # there and back
    still, angle = np.zeros(FRAMES), rng.choice([-1, 1]) * 2 * np.pi * t + rng.uniform(0, 2 * np.pi)
    y, x = {
        "left": (still, -line),
        "right": (still, line),
        "up": (-line, still),
        "down": (line, still),
        "circle": (0.25 * np.sin(angle), 0.25 * np.cos(angle)),
        "back": (still, fold),
        "left_bounce": (still, -fold),
        "shake": tuple(rng.uniform(-0.06, 0.06, (2, FRAMES))),
    }[way]
    return rng.uniform(0, 1, 2) + np.stack([y, x], 1)


def clip(digit: np.ndarray, way: str, rng: np.random.Generator) -> np.ndarray:
    """Frames (FRAMES, SIZE, SIZE, 3) of bytes."""
    drawn = np.zeros((SIZE, SIZE, 3))
    drawn[:DIGIT, :DIGIT] = np.kron(digit / 16, np.ones((DIGIT // 8, DIGIT // 8)))[..., None] * rng.uniform(0.6, 1.0, 3)
    places = (path(way, rng) * SIZE).round().astype(int)
    moved = np.stack([np.roll(drawn, tuple(place), axis=(0, 1)) for place in places])
    return (255 * (moved + rng.uniform(0, 0.12, moved.shape)).clip(0, 1)).astype(np.uint8)


def write(frames: np.ndarray, file: Path) -> None:
    """Encode frames as a video file."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 400_000
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def make(folder: Path, clips: int, seed: int) -> pd.DataFrame:
    """Write the clips and `clips.csv` (path, label, text, digit, split); the last quarter is for the test.

    Digits of the test are other handwritings than those of the training.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    order = rng.permutation(len(digits.images))
    parts = {"train": order[: len(order) * 3 // 4], "test": order[len(order) * 3 // 4 :]}
    rows = []
    for k in range(clips):
        split = "train" if k < clips * 3 // 4 else "test"
        which = rng.choice(parts[split])
        way = list(WAYS)[rng.integers(len(WAYS))]
        name = f"clip{k:05d}.avi"
        write(clip(digits.images[which], way, rng), folder / name)
        number = int(digits.target[which])
        article = "an" if number == 8 else "a"
        rows.append((name, way, f"{article} {number} {WAYS[way]}", number, split))
    table = pd.DataFrame(rows, columns=["path", "label", "text", "digit", "split"])
    table.to_csv(folder / "clips.csv", index=False)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=1600)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(make(asked.folder, asked.clips, asked.seed).groupby(["split", "label"]).size())
