"""Forecasters of other libraries with their defaults, on the panels of accuracy.py, scored by the same code.

neuralforecast's GRU and LSTM, Darts's BlockRNNModel, GluonTS's DeepAR, statsforecast's AutoTheta and AutoETS forecast
the last window of each series (M3, M4 Hourly and Weekly, NN5) from the same history as rekur. The horizon is set, and
the season or frequency where the library has such an argument; Darts, which has no default for it, gets an input of two
horizons; neuralforecast is allowed to pad series shorter than its input, which it rejects otherwise. All other options
(steps, sizes, scaling) are the defaults of the library. Gaps (NN5) are filled linearly, as these libraries do not
support missing values. Seconds are wall time of fit and forecast. The records are written to results/forecasters.csv,
from which accuracy.py builds a table.

    make rivals
    python benchmarks/forecasters.py [--sets nn5 ...] [--rivals AutoTheta ...]

GluonTS requires an older pandas and therefore a separate environment, see `make rivals`.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from accuracy import ROOT, score
from rekur import metrics
from rekur.data.panel import Panel, read_panel
from rekur.forecasting.config import season_lengths
from rekur.forecasting.selection.past_windows import PastWindows
from rekur.forecasting.window_features import actual_values
from sets import SETS

PANELS = ("m4_hourly", "m4_weekly", "m3_yearly", "m3_quarterly", "m3_monthly", "m3_other", "nn5")
QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "logger": False}
QUIET |= {"enable_checkpointing": False}
PERIODS = {24: "h", 52: "W", 12: "M", 7: "D", 4: "Q", 1: "Y"}  # of GluonTS, by the season
Array = np.ndarray[Any, np.dtype[Any]]
Rival = Callable[[pd.DataFrame, int, int], Array]  # long table, horizon, season → point forecasts (S, h)


def neural(name: str) -> Rival:
    """A model of neuralforecast."""

    def run(df: pd.DataFrame, h: int, season: int) -> Array:
        from neuralforecast import NeuralForecast, models

        model = getattr(models, name)(h=h, start_padding_enabled=True, **QUIET)
        library = NeuralForecast(models=[model], freq=1)
        library.fit(df)
        return np.asarray(library.predict()[name].to_numpy().reshape(-1, h))

    return run


def darts(df: pd.DataFrame, h: int, season: int) -> Array:
    """Darts's BlockRNNModel, scaled as its guide says."""
    from darts import TimeSeries
    from darts.dataprocessing.transformers import Scaler
    from darts.models import BlockRNNModel

    groups = [g.y.to_numpy(np.float32) for _, g in df.groupby("unique_id", sort=False)]
    scaler = Scaler()
    series = scaler.fit_transform([TimeSeries.from_values(y) for y in groups])
    model = BlockRNNModel(2 * h, h, pl_trainer_kwargs=QUIET)
    model.fit(series)
    predictions = scaler.inverse_transform(model.predict(h, series))
    return np.stack([each.values()[:, 0] for each in predictions])


def statistical(name: str) -> Rival:
    """A model of statsforecast."""

    def run(df: pd.DataFrame, h: int, season: int) -> Array:
        from statsforecast import StatsForecast, models

        library = StatsForecast(models=[getattr(models, name)(season_length=season)], freq=1, n_jobs=2)
        return np.asarray(library.forecast(df=df, h=h)[name].to_numpy().reshape(-1, h))

    return run


def gluon(df: pd.DataFrame, h: int, season: int) -> Array:
    """GluonTS's DeepAR with the frequency of the season; median of its sample paths."""
    from gluonts.dataset.common import ListDataset
    from gluonts.torch import DeepAREstimator

    freq = PERIODS[season]
    entries = [
        {"start": pd.Period("2000-01-01", freq), "target": g.y.to_numpy(np.float32)}
        for _, g in df.groupby("unique_id", sort=False)
    ]
    data = ListDataset(entries, freq)
    with tempfile.TemporaryDirectory() as folder:
        options = {**QUIET, "enable_checkpointing": True, "default_root_dir": folder}
        model = DeepAREstimator(freq=freq, prediction_length=h, trainer_kwargs=options).train(data)
    return np.stack([each.quantile(0.5) for each in model.predict(data)])


RIVALS: dict[str, tuple[str, Rival]] = {
    "AutoTheta": ("statsforecast", statistical("AutoTheta")),
    "AutoETS": ("statsforecast", statistical("AutoETS")),
    "GRU": ("neuralforecast", neural("GRU")),
    "LSTM": ("neuralforecast", neural("LSTM")),
    "BlockRNNModel": ("darts", darts),
    "DeepAR": ("gluonts", gluon),
}


def plain(panel: Panel) -> pd.DataFrame:
    """The table as these libraries take it: ids in their order, steps as whole numbers, gaps filled linearly."""
    parts = []
    for s in range(len(panel)):
        y = pd.Series(panel.values(s)).interpolate(limit_direction="both").to_numpy()
        parts.append(pd.DataFrame({"unique_id": f"{s:05d}", "ds": np.arange(len(y)), "y": y}))
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Run the selected libraries and sets; store the records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=PANELS, default=list(PANELS))
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--results", default=str(ROOT / "benchmarks" / "results" / "forecasters.csv"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["NIXTLA_ID_AS_COL"] = "1"
    for name in ("pytorch_lightning", "lightning.pytorch", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)
    results = Path(options.results)
    for name in options.sets:
        task = SETS[name]
        full = read_panel(task.read())
        history = PastWindows(task.horizon, 1, 1).history(full)
        series = np.arange(len(full))
        y = actual_values(full, series, history.lengths, task.horizon)
        season = season_lengths(history, task.options.get("season_length"))[0]
        df = plain(history)
        for rival in options.rivals:
            library, run = RIVALS[rival]
            start = time.perf_counter()
            try:
                point = run(df, task.horizon, season)
            except ValueError as error:
                print(f"{name}: {rival} refuses: {str(error).splitlines()[0]}", flush=True)
                continue
            seconds = time.perf_counter() - start
            record = {"set": name, "library": library, "model": rival, "version": version(library)}
            record |= {"score": score(task, full, history, y, point, series), "smape": metrics.smape(y, point)}
            record["seconds"] = seconds
            print(record, flush=True)
            old = pd.read_csv(results) if results.exists() else pd.DataFrame({"set": [], "model": []})
            rest = old[(old.set != name) | (old.model != rival)]
            pd.concat([rest, pd.DataFrame([record])]).to_csv(results, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
