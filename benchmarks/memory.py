"""Memory against the size of the corpus: a classifier trained on n recordings or videos, and on four times as many.

What is read of the smaller corpus fills more than what is kept of it (256 MiB), so that a process whose memory grew
with the corpus would show it. Each training runs in a process of its own, for one epoch; the figure is the most
memory that process ever held.

    python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np

import clips
import rekur
from rekur import inputs

SECONDS, RATE, MELS = 20, 8000, 80  # a recording: 0.6 MiB of spectra
FRAMES, SIZE = 64, 96  # a video: 1.7 MiB of frames
COUNTS = {"recordings": 500, "videos": 200}


def recordings(folder: Path, count: int, rng: np.random.Generator) -> list[str]:
    """Write noise, loud or not; its labels."""
    labels = rng.choice(["loud", "quiet"], count)
    for k, label in enumerate(labels):
        samples = rng.integers(-9000, 9000, SECONDS * RATE) if label == "loud" else np.zeros(SECONDS * RATE)
        with wave.open(str(folder / f"{k:05d}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(samples.astype(np.int16).tobytes())
    return [str(label) for label in labels]


def videos(folder: Path, count: int, rng: np.random.Generator) -> list[str]:
    """Write pictures that are bright or dark; their labels."""
    labels = rng.choice(["bright", "dark"], count)
    for k, label in enumerate(labels):
        level = 220 if label == "bright" else 30
        clips.write(np.full((FRAMES, SIZE, SIZE, 3), level, dtype=np.uint8), folder / f"{k:05d}.avi")
    return [str(label) for label in labels]


def train(kind: str, count: int) -> None:
    """Train on so many files and print the most memory held, in MiB."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        labels = (recordings if kind == "recordings" else videos)(folder, count, rng)
        chosen = (
            inputs.find("audio")(mels=MELS) if kind == "recordings" else inputs.find("video")(frames=FRAMES, size=SIZE)
        )
        model = rekur.Classifier(hidden=8, input=chosen)
        model.fit(sorted(folder.iterdir()), labels, validation=0.1, epochs=1)
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", nargs=2, metavar=("KIND", "COUNT"), help="one training, its memory in MiB")
    asked = parser.parse_args()
    if asked.train:
        train(asked.train[0], int(asked.train[1]))
        sys.exit()
    for kind, count in COUNTS.items():
        found = []
        for n in (count, 4 * count):
            command = [sys.executable, __file__, "--train", kind, str(n)]
            found.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(
            f"{count} {kind}: {found[0]} MiB; {4 * count}: {found[1]} MiB, {found[1] / found[0]:.2f} times", flush=True
        )
