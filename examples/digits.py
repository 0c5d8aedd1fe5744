"""Spoken digit classification from recordings."""

import tempfile
import zipfile
from pathlib import Path

import rekur
from common import asked

a = asked(__doc__)
with tempfile.TemporaryDirectory() as folder:
    for packed in sorted((a.data / "fsdd").glob("*.zip")):
        zipfile.ZipFile(packed).extractall(folder)
    paths = sorted(Path(folder).rglob("*.wav"), key=lambda path: path.name)
    train = [path for path in paths if int(path.stem.split("_")[2]) >= 5][:: 1 if a.rows is None else 2250 // a.rows]
    test = [path for path in paths if int(path.stem.split("_")[2]) < 5]
    model = rekur.Classifier().fit(train, [path.name[0] for path in train], epochs=a.epochs)
    print(model.evaluate(test, [path.name[0] for path in test]))
