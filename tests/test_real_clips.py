"""Real video clips with human captions, from their files to a sentence, where the data is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur.inputs.datasets import DatasetColumns, read
from rekur.inputs.video import Video
from rekur.registry import TASKS
from rekur.training.config import Training


@pytest.fixture(scope="module")
def clips(data_dir: Path) -> pd.DataFrame:
    """One caption for each of the four smallest clips, with the path of its file."""
    folder = data_dir / "msvd_sample"
    frame = pd.read_csv(folder / "captions.csv").groupby("clip", as_index=False).first()
    frame["path"] = [str(folder / (name if name.endswith(".avi") else f"{name}.avi")) for name in frame["clip"]]
    sizes = frame["path"].map(lambda path: Path(path).stat().st_size)
    return frame.loc[sizes.nsmallest(4).index]


def test_real_clips_are_decoded_and_captioned(clips: pd.DataFrame, tmp_path: Path) -> None:
    """Four clips are too few to learn from, but enough to be told apart: the captions learned come back."""
    clips.to_csv(tmp_path / "clips.csv", index=False)
    found = read(str(tmp_path / "clips.csv"), TASKS["Captioner"].dataset, DatasetColumns(x="path", y="caption"))
    assert len(found.x) == len(clips) == 4
    assert found.skipped == []
    training = Training(batch_size=2, learning_rate=2e-3)
    model = rekur.Captioner(hidden_size=64, dropout=0.0, training=training, input=Video(num_frames=8, size=32))
    model.fit(found.x, found.y, epochs=60)
    model.save(tmp_path / "m")
    told = rekur.load(tmp_path / "m").predict(found.x)
    assert np.mean([a == b for a, b in zip(told, found.y or [], strict=True)]) == 1.0
