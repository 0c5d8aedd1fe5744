"""Memory as a function of corpus size: a classifier trained on n recordings or videos, and on 4·n.

The decoded data of the smaller corpus exceed the cache (256 MiB), so that memory that grows with the corpus is
detected. Each model is trained for one epoch in a separate process; the figure is the peak memory of that process.

    python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import clips
import rekur
from rekur import inputs

SECONDS, RATE, MELS = 20, 8000, 80  # a recording: 0.6 MiB of spectra
FRAMES, SIZE = 64, 96  # a video: 1.7 MiB of frames


def recording(file: Path, bright: bool, rng: np.random.Generator) -> None:
    """Write noise, or silence."""
    soundfile.write(file, rng.uniform(-0.3, 0.3, SECONDS * RATE) * bright, RATE)


def video(file: Path, bright: bool, rng: np.random.Generator) -> None:
    """Write pictures that are bright, or dark."""
    clips.write(np.full((FRAMES, SIZE, SIZE, 3), 220 if bright else 30, dtype=np.uint8), file)


KINDS = {  # how many, how they end, what writes one and what reads it
    "recordings": (500, "wav", recording, inputs.find("audio")(n_mels=MELS)),
    "videos": (200, "avi", video, inputs.find("video")(num_frames=FRAMES, size=SIZE)),
}


def train(kind: str, count: int) -> None:
    """Train on so many files and print the most memory held, in MiB."""
    _, ending, write, chosen = KINDS[kind]
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=count)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{k:05d}.{ending}" for k in range(count)]
        for file, label in zip(files, labels, strict=True):
            write(file, bool(label), rng)
        rekur.Classifier(hidden_size=8, input=chosen).fit(files, labels, validation=0.1, epochs=1)
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", nargs=2, metavar=("KIND", "COUNT"), help="one training, its memory in MiB")
    asked = parser.parse_args()
    if asked.train:
        train(asked.train[0], int(asked.train[1]))
        sys.exit()
    for kind, (count, *_) in KINDS.items():
        rows = []
        for n in (count, 4 * count):
            command = [sys.executable, __file__, "--train", kind, str(n)]
            rows.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(f"{count} {kind}: {rows[0]} MiB; {4 * count}: {rows[1]} MiB, {rows[1] / rows[0]:.2f} times", flush=True)
