"""Speech recognition: strings of spoken digits to text, without alignments (CTC)."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import soundfile

import rekur
from common import asked

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
a = asked(__doc__)
rng = np.random.default_rng(0)
x, y = [], []
with tempfile.TemporaryDirectory() as folder:
    for packed in sorted((a.data / "fsdd").glob("*.zip")):
        zipfile.ZipFile(packed).extractall(folder)
    paths = sorted(Path(folder).rglob("*.wav"))
    for _ in range(a.rows or 2000):
        said = [paths[k] for k in rng.integers(len(paths), size=rng.integers(1, 5))]
        x.append((np.concatenate([soundfile.read(path)[0] for path in said]), 8000))
        y.append(" ".join(WORDS[int(path.name[0])] for path in said))
n = len(x) * 9 // 10
model = rekur.Transcriber().fit(x[:n], y[:n], epochs=a.epochs)
print(model.evaluate(x[n:], y[n:]))
print(*zip(y[n : n + 3], model.predict(x[n : n + 3], num_beams=8), strict=True), sep="\n")
