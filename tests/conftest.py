"""What every test relies on: fixed seeds, one thread, and the folder with the real data."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

if importlib.util.find_spec("rekur") is None:  # not installed: test the sources
    sys.path.insert(0, str(ROOT / "src"))

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads leave the cores to the tests beside
settings.register_profile("rekur", deadline=None, derandomize=True, database=None, max_examples=12)
settings.load_profile("rekur")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Give torch one thread; who does not use torch does not import it. A test of threads asks for two by itself."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(autouse=True)
def _fixed() -> None:
    """Seed every generator and set the threads back to one."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.manual_seed(0)
        torch.set_num_threads(1)


@pytest.fixture(scope="module")
def short_epochs() -> Iterator[None]:
    """Epochs of a forecaster of twenty steps, for tests of what a forecaster does rather than of what it learns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rekur.forecasting.training.STEPS_PER_EPOCH", 20)
        patch.setattr("rekur.forecasting.forecaster.STEPS_PER_EPOCH", 20)
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real data sets: $REKUR_DATA, by default ../shared/data beside the repository."""
    folder = Path(os.environ.get("REKUR_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder; set REKUR_DATA to run this test")
    return folder
