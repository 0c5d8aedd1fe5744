"""Data sets of accuracy.py: reader, split, measure, target score and published results of each.

Splits and measures follow the README of each set in the data folder ($REKUR_DATA, default ../shared/data next to the
repository). A set is a long table (unique_id, ds, y); its test part is the last windows of every series.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("REKUR_DATA") or ROOT.parent / "shared" / "data")


@dataclass(frozen=True)
class Set:
    """Data set and evaluation protocol, one row of the table.

    Parameters
    ----------
    read : callable
        Reader of the table.
    what : str
        Description.
    horizon, windows, step : int
        Test windows: the last `windows` of each series, `step` rows apart.
    measure : str
        "MSE" (in units of the standard deviation of the first `train` rows), "MASE", "MAE", "sMAPE" or "OWA".
    must, stretch : float
        Target and stretch target of the score.
    known : str
        Published scores and their sources.
    m : int
        Season length of the scale of MASE.
    options : dict
        Parameters of the forecaster.
    future : sequence of str
        Columns known in the future.
    learned : int
        Horizon of training if it differs from `horizon`; sets with the same value share one fitted model.
    """

    read: Callable[[], pd.DataFrame]
    what: str
    horizon: int
    measure: str
    must: float
    stretch: float
    known: str
    windows: int = 1
    step: int = 1
    m: int = 1
    train: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    future: tuple[str, ...] = ()
    learned: int = 0


def wide(name: str, rows: int, freq: str | None) -> pd.DataFrame:
    """The first rows of a table with one column a series; real times, or whole numbers if `freq` is None."""
    df = pd.read_csv(DATA / name, nrows=rows)
    times = np.arange(len(df)) if freq is None else pd.date_range(df.iloc[0, 0], periods=len(df), freq=freq)
    parts = [pd.DataFrame({"unique_id": c, "ds": times, "y": df[c].astype(float)}) for c in df.columns[1:]]
    return pd.concat(parts, ignore_index=True)


def m4(name: str) -> pd.DataFrame:
    """The official training and test part of one frequency, times as whole numbers."""
    files = [DATA / f"m4/{name}-{part}.csv.gz" for part in ("train", "test")]
    parts = [pd.read_csv(file, index_col=0, low_memory=False) for file in files]
    rows = []
    for label in parts[0].index:
        y = np.concatenate([part.loc[label].dropna().to_numpy(float) for part in parts])
        rows.append(pd.DataFrame({"unique_id": label, "ds": np.arange(1, len(y) + 1), "y": y}))
    return pd.concat(rows, ignore_index=True)


def m3(kind: str) -> pd.DataFrame:
    """The series of one frequency, training and test part, times as whole numbers."""
    df = pd.read_csv(DATA / "m3/m3.csv.gz")
    rows = []
    for each in df[df.freq == kind].itertuples():
        y = np.array(f"{each.train} {each.test}".split(), dtype=float)
        rows.append(pd.DataFrame({"unique_id": each.id, "ds": np.arange(1, len(y) + 1), "y": y}))
    return pd.concat(rows, ignore_index=True)


def nn5() -> pd.DataFrame:
    """Daily withdrawals at 111 cash machines, with missing cells."""
    df = pd.read_csv(DATA / "nn5/nn5.csv.gz")
    times = pd.to_datetime(df.iloc[:, 0])
    parts = [pd.DataFrame({"unique_id": c, "ds": times, "y": df[c]}) for c in df.columns[1:]]
    return pd.concat(parts, ignore_index=True)


def vic_elec() -> pd.DataFrame:
    """Half-hourly demand of Victoria with temperature and holidays; the times in UTC."""
    df = pd.read_csv(DATA / "vic_elec/vic_elec.csv.gz")
    known = {"temperature": df.temperature_c, "holiday": df.holiday.astype(float)}
    return pd.DataFrame({"ds": pd.to_datetime(df.time_utc), "y": df.demand_mw, **known})


def pjm_load() -> pd.DataFrame:
    """Hourly load of Duquesne in local time, with its clock changes."""
    return pd.read_csv(DATA / "pjm_load/DUQ_hourly.csv.gz").set_axis(["ds", "y"], axis=1)


def bike_sharing() -> pd.DataFrame:
    """Hourly rentals in Washington; 165 hours are absent."""
    df = pd.read_csv(DATA / "bike_sharing/hour.csv.gz")
    times = pd.to_datetime(df.dteday, format="%m/%d/%y") + pd.to_timedelta(df.hr, unit="h")
    return pd.DataFrame({"ds": times, "y": df.cnt})


def co2() -> pd.DataFrame:
    """Monthly CO2 at Mauna Loa; the file's rows have one value more than its header, at the end."""
    lines = (DATA / "climate/co2-mm-mlo.csv").read_text().splitlines()[1:]
    cells = [line.split(",")[:3] for line in lines]
    df = pd.DataFrame({"ds": [c[0] for c in cells], "y": [float(c[2]) for c in cells]})
    return df.assign(y=df.y.where(df.y > 0))


def market_prices() -> pd.DataFrame:
    """Daily prices of WTI and Brent oil, in a panel."""
    parts = [
        pd.read_csv(DATA / f"market_prices/{name}-daily.csv.gz").set_axis(["ds", "y"], axis=1).assign(unique_id=name)
        for name in ("wti", "brent")
    ]
    return pd.concat(parts, ignore_index=True)


def etth1(horizon: int, must: float, stretch: float, known: str, learned: int = 0) -> Set:
    """ETTh1 at one horizon: 8,640 hours of training, 2,880 of validation, 2,880 of test."""
    read = partial(wide, "ett/ETTh1.csv.gz", 14_400, "h")
    what = "hourly, 7 columns" + (", one model for all four, ensemble_size=3" if learned else "")
    count, options = 2_880 - horizon + 1, {"ensemble_size": 3} if learned else {}
    return Set(read, what, horizon, "MSE", must, stretch, known, count, train=8_640, options=options, learned=learned)


SEGRNN = "SegRNN {}, PatchTST {} (SegRNN paper, table II), DLinear {} (LTSF-Linear)"
SETS = {
    "etth1_96": etth1(96, 0.370, 0.351, SEGRNN.format(0.351, 0.375, 0.375)),
    "etth1_one_96": etth1(96, 0.412, 0.400, SEGRNN.format(0.351, 0.375, 0.375), 720),
    "etth1_one_192": etth1(192, 0.412, 0.400, SEGRNN.format(0.392, 0.418, 0.405), 720),
    "etth1_one_336": etth1(336, 0.412, 0.400, SEGRNN.format(0.423, 0.462, 0.439), 720),
    "etth1_one_720": etth1(720, 0.412, 0.400, SEGRNN.format(0.466, 0.495, 0.472), 720),
    "ettm1_96": Set(
        partial(wide, "ett/ETTm1.csv.gz", 57_600, "15min"), "every 15 minutes, 7 columns", 96, "MSE", 0.305, 0.290,
        SEGRNN.format(0.293, 0.300, 0.299), 11_520 - 96 + 1, train=34_560,
    ),
    "weather_96": Set(
        partial(wide, "weather_jena/weather.csv.gz", 52_696, "10min"), "every 10 minutes, 21 columns", 96, "MSE", 0.152,
        0.143, SEGRNN.format(0.143, 0.149, 0.176), 10_539 - 96 + 1, train=36_887,
    ),
    "exchange_96": Set(
        partial(wide, "exchange_rate/exchange_rate.csv.gz", 7_588, None), "daily, 8 columns", 96, "MSE", 0.083, 0.080,
        "last value 0.081, NLinear 0.081, DLinear 0.089 (LTSF-Linear)", 1_517 - 96 + 1, train=5_311,
    ),
    "m4_hourly": Set(
        partial(m4, "Hourly"), "414 series", 48, "OWA", 0.45, 0.40, "best of the competition 0.410, ES-RNN 0.440", m=24
    ),
    "m4_weekly": Set(
        partial(m4, "Weekly"), "359 series", 13, "OWA", 0.80, 0.73, "best of the competition 0.739, ES-RNN 0.851",
        options={"season_length": 52},
    ),
    "m3_yearly": Set(
        partial(m3, "yearly"), "645 series", 6, "MASE", 2.68, 2.58, "AutoTheta 2.610, TiRex 2.710 (fev)",
        options={"season_length": 1},
    ),
    "m3_quarterly": Set(
        partial(m3, "quarterly"), "756 series", 8, "MASE", 1.13, 1.08, "AutoTheta 1.119, TiRex 1.154 (fev)", m=4,
        options={"season_length": 4},
    ),
    "m3_monthly": Set(
        partial(m3, "monthly"), "1,428 series", 18, "MASE", 0.85, 0.82, "AutoTheta 0.855, TiRex 0.831 (fev)", m=12,
        options={"season_length": 12},
    ),
    "m3_other": Set(
        partial(m3, "other"), "174 series", 8, "MASE", 1.90, 1.86, "Theta 1.904 (Mcomp)", options={"season_length": 1}
    ),
    "nn5": Set(nn5, "daily, 111 series", 56, "MASE", 0.57, 0.545, "TiRex 0.548, Chronos-Bolt 0.576 (fev)"),
    "vic_elec": Set(
        vic_elec, "half-hourly demand with temperature and holidays", 48, "MAE", 157.5, 121.2, "weekly naive 242.3",
        219, 48, future=("temperature", "holiday"),
    ),
    "pjm_load": Set(
        pjm_load, "hourly load, from 2015 on", 24, "MASE", 0.683, 0.602, "smoothing 0.683", 1_310, 24, m=24
    ),
    "bike_sharing": Set(
        bike_sharing, "hourly rentals, last two months", 24, "MASE", 0.805, 0.776, "smoothing 0.805", 61, 24, m=24
    ),
    "co2": Set(co2, "monthly CO2, last 20 %", 12, "MASE", 0.542, 0.336, "smoothing 0.542", 13, 12, m=12),
    "market_prices": Set(
        market_prices, "daily oil prices, last four years", 20, "MASE", 2.30, 2.256, "naive 2.256", 50, 20, m=5
    ),
}  # fmt: skip
