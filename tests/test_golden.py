"""Models that were saved before load and predict what they predicted then."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rekur
from rekur import serialization
from rekur.registry import TASKS

sys.path.insert(0, str(Path(__file__).parent / "golden"))
from make import FOLDER, GOLDEN

RELATIVE_ERROR = 1000 * float(np.finfo(np.float32).eps)
"""Networks compute in float32; sums over other vector lengths differ in their last bits."""


def assert_same(now: Any, then: Any) -> None:
    """Texts are equal, numbers to float32."""
    if isinstance(then, list):
        assert len(now) == len(then)
        for one, other in zip(now, then, strict=True):
            assert_same(one, other)
    elif isinstance(then, float):
        assert now == pytest.approx(then, rel=RELATIVE_ERROR, abs=RELATIVE_ERROR)
    else:
        assert now == then


@pytest.mark.parametrize("name", GOLDEN)
def test_a_saved_model_predicts_as_it_did(name: str) -> None:
    model = rekur.load(FOLDER / name)
    assert_same(GOLDEN[name].predict(model), json.loads((FOLDER / "predictions.json").read_text())[name])


def test_every_estimator_and_every_format_is_kept() -> None:
    described = [serialization.load(FOLDER / name)[0] for name in GOLDEN]
    assert {description["kind"] for description in described} == set(TASKS)
    versions = {description["format_version"] for description in described}
    assert versions == set(range(1, serialization.FORMAT_VERSION + 1))
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) < 1.5e6
