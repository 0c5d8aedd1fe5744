"""Coverage of the intervals, and the average against its members, on rehearsals: no test part is read.

    python benchmarks/coverage.py [--sets m3_yearly wti_14 ...] [--cuts 1 2 4] [--results FILE] [--pages]

The sets are those of accuracy.py without their test parts, and parts of the same files as a stranger would cut them.
Each is cut back by one, two and four spans: the default forecaster is fitted to the rows before and forecasts the
windows after, at most three of each of many series, each from the values before it. A span is one horizon; of fewer
than 40 series it is as many horizons as give 40 windows, at most 7.5 % of the rows, or 3 to 20 horizons of a part.
Intervals are not adapted to the windows before. The records are `results/coverage.csv`, and those of the rule before
the present one `results/coverage_before.csv`, both from the same networks; docs/coverage.md and the section
"Forecasts" of docs/ensembles.md are written from them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import rekur
from rekur.baselines import BASELINES
from rekur.data.panel import Panel, read_panel
from rekur.forecasting.config import LEVELS
from rekur.forecasting.ensemble import Ensemble
from rekur.forecasting.model_averaging import window_losses
from rekur.forecasting.selection.past_windows import PastWindows
from rekur.forecasting.window_features import actual_values
from rekur.metrics import at_level, seasonal_scale
from sets import DATA, ROOT, SETS, m3, m4, nn5, pjm_load, wide

Array = np.ndarray[Any, np.dtype[Any]]
CUTS = (1, 2, 4)
MANY_SERIES, MANY_WINDOWS, MAX_WINDOWS = 40, 40, 3
SHARE = 0.075  # of the rows, a span at most
TESTS = {"yearly": 6, "quarterly": 8, "monthly": 18}  # rows of M3 that are its test part
BOUNDS = 76, 84
HEADING = "## Forecasts"
UNEXAMINED = ("etth1_one_96", "etth1_one_192", "etth1_one_336", "etth1_one_720", "weather_96")


@dataclass(frozen=True)
class Part:
    """Part of a data set: its reader, horizon, horizons of a span, and the season if it is known."""

    read: Callable[[], pd.DataFrame]
    what: str
    horizon: int
    horizons: int = 1
    season: int | None = None


def drawn(df: pd.DataFrame, test_rows: int, count: int, seed: int, least: int = 0) -> pd.DataFrame:
    """Series drawn at random, without their last rows, if at least `least` remain."""
    parts = [g.iloc[: len(g) - test_rows] for _, g in df.groupby("unique_id", sort=False)]
    long = [part for part in parts if len(part) >= least]
    return pd.concat([long[k] for k in sorted(np.random.default_rng(seed).permutation(len(long))[:count])])


def m3_part(kind: str, count: int, seed: int, least: int = 0) -> pd.DataFrame:
    """Some series of M3 of one frequency."""
    return drawn(m3(kind), TESTS[kind], count, seed, least)


def blocks(df: pd.DataFrame, rows: int, least: int) -> pd.DataFrame:
    """Means of every `rows` rows of each series of `least` rows or more, back from its end."""
    parts = []
    for label, g in df.groupby("unique_id", sort=False):
        y = g.y.to_numpy()
        means = y[len(y) % rows :].reshape(-1, rows).mean(axis=1)
        if len(y) >= least:
            parts.append(pd.DataFrame({"unique_id": label, "ds": np.arange(len(means)), "y": means}))
    return pd.concat(parts)


def prices(name: str, rows: int) -> pd.DataFrame:
    """Daily prices without the last 1,000 days, which are test days of accuracy.py."""
    df = pd.read_csv(DATA / f"market_prices/{name}-daily.csv.gz")
    return df.iloc[:-1000, [0, -1]].set_axis(["ds", "y"], axis=1).tail(rows)


def one(df: pd.DataFrame, number: int, rows: int) -> pd.DataFrame:
    """The last rows of one series of a table."""
    return df[df.unique_id == df.unique_id.unique()[number]].drop(columns="unique_id").tail(rows)


def climate(name: str, rows: int = 0) -> pd.DataFrame:
    """A table of two columns, or 150 of its rows."""
    df = pd.read_csv(DATA / "climate" / name).iloc[:, :2].set_axis(["ds", "y"], axis=1)
    return df.iloc[500 : 500 + rows] if rows else df


RATES = partial(wide, "exchange_rate/exchange_rate.csv.gz", 7588 - 1517, None)
CASH = partial(drawn, test_rows=56, count=111, seed=0)
PARTS = {
    "yearly_50": Part(partial(m3_part, "yearly", 50, 3, 20), "50 yearly series of M3", 4, season=1),
    "yearly_200": Part(partial(m3_part, "yearly", 200, 1), "200 yearly series of M3", 4),
    "yearly_450": Part(partial(m3_part, "yearly", 450, 2, 20), "yearly series of M3 of 20 rows or more", 6, season=1),
    "yearly_m4": Part(
        lambda: blocks(drawn(m4("Weekly"), 13, 359, 0), 52, 728), "yearly means of M4 Weekly", 5, season=1
    ),
    "quarterly_300": Part(partial(m3_part, "quarterly", 300, 1), "300 quarterly series of M3", 8, season=4),
    "monthly_300": Part(partial(m3_part, "monthly", 300, 1), "300 monthly series of M3", 12, season=12),
    "monthly_60": Part(
        lambda: m3_part("monthly", 60, 2, 60).groupby("unique_id", sort=False).tail(72),
        "60 short monthly series",
        6,
        season=12,
    ),
    "wti_14": Part(partial(prices, "wti", 2500), "daily price of WTI oil", 14, 20),
    "brent_5": Part(partial(prices, "brent", 600), "daily price of Brent oil", 5, 20),
    "vix_10": Part(partial(prices, "vix", 2000), "daily volatility index", 10, 20),
    "rate_14": Part(lambda: one(RATES(), 0, 2500), "one exchange rate", 14, 20),
    "rate_30": Part(lambda: one(RATES(), 3, 3000), "one exchange rate", 30, 12),
    "cash_150": Part(lambda: one(CASH(nn5()), 4, 150), "150 days of a cash machine", 7, 3),
    "cold_150": Part(partial(climate, "daily-min-temperatures.csv", 150), "150 days of minimum temperatures", 7, 3),
    "sunspots": Part(partial(climate, "monthly-sunspots.csv"), "monthly sunspots", 24, 10),
    "load_168": Part(lambda: pjm_load().sort_values("ds").iloc[50_600:60_000], "9,400 hours of load", 168, 5),
}
SMALL = ("yearly_50", "monthly_60", "wti_14", "brent_5", "vix_10", "rate_14", "rate_30", "cash_150", "cold_150", "co2")


def table_of(name: str) -> tuple[Panel, int, int, dict[str, Any]]:
    """Panel without its test part, horizon, horizons of a span, and options of a set."""
    if name in PARTS:
        part = PARTS[name]
        options = {} if part.season is None else {"season_length": part.season}
        return read_panel(part.read()), part.horizon, part.horizons, options
    task = SETS[name]
    full = read_panel(task.read(), future=task.future)
    full = PastWindows(task.horizon, task.windows, task.step).history(full)
    few = min(-(-MANY_WINDOWS // len(full)), int(SHARE * full.lengths.min() / task.horizon))
    return full, task.horizon, max(1, few) if len(full) < MANY_SERIES else 1, task.options


def rehearse(name: str, cut: int, seed: int) -> dict[str, Any]:
    """Fit before the cut and score the forecasts of the windows after it; the record."""
    full, h, span, options = table_of(name)
    horizons = cut * span
    full = full.select(
        (full.lengths - horizons * h >= 3) & (full.cut(np.maximum(full.lengths - horizons * h, 0)).seen >= 3)
    )
    history = full.cut(full.lengths - horizons * h)
    windows = min(horizons, MAX_WINDOWS) if len(full) >= MANY_SERIES else horizons
    rows = np.flatnonzero(history.lengths >= max(3, h // 2))
    series, stop = np.repeat(rows, windows), (history.lengths[rows][:, None] + h * np.arange(windows)).ravel()
    model = rekur.Forecaster(h, random_state=seed, **options).fit(history)
    y = actual_values(full, series, stop, h)
    scale = np.nan_to_num(seasonal_scale(history.y, model.seasons_[0], history.offsets))[series]
    forecasts = members(model.ensemble_, full, series, stop)
    record = {
        "set": name,
        "cut": cut,
        "series": len(full),
        "windows": len(series),
        **interval_scores(y, forecasts, scale),
    }
    observed = np.isfinite(y) & (scale > 0)[:, None]
    for q in forecasts.values():
        observed &= np.isfinite(q).all(axis=-1)
    used = observed.any(axis=1)
    for each, q in forecasts.items():
        losses = window_losses(q[used], y[used], scale[used], observed[used], LEVELS)
        record[f"loss_{each}"] = float(losses.mean())
    return {**record, "weights": model.ensemble_.average.describe()}


def members(ensemble: Ensemble, panel: Panel, series: Array, stop: Array) -> dict[str, Array]:
    """Quantiles of the forecast, of the network that is better on validation windows, and of the baselines."""
    losses = {name: loss for name, loss in ensemble.blend.validation_losses.items() if name in ensemble.networks}
    names = {"rekur": ensemble, **{name: ensemble.using(name) for name in BASELINES}}
    if losses:
        names["network"] = ensemble.using(min(losses, key=lambda name: losses[name]))
    return {name: each.quantiles(panel, series, stop) for name, each in names.items()}


def interval_scores(y: Array, forecasts: dict[str, Array], scale: Array) -> dict[str, float]:
    """Coverage of 50, 80, 90 and 95 % intervals in percent, of 80 % in each third, and interval scores (MSIS)."""
    q, scores = forecasts["rekur"], {}
    thirds = np.minimum(np.arange(y.shape[1]) * 3 // y.shape[1], 2)
    for level in (50, 80, 90, 95):
        low, high = (at_level(q, LEVELS, 0.5 + side * level / 200) for side in (-1, 1))
        known = np.isfinite(y) & np.isfinite(low)
        inside = (low <= y) & (y <= high)
        scores[f"cover{level}"] = 100 * float(inside[known].mean())
        outside = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
        size = (high - low + outside * 200 / (100 - level)) / np.where(scale > 0, scale, np.nan)[:, None]
        scores[f"msis{level}"] = float(np.nanmean(size))
        if level == 80:
            for k in range(3):
                part = known & (thirds == k)
                scores[f"cover80_{k + 1}"] = 100 * float(inside[part].mean()) if part.any() else np.nan
    return scores


def merged(results: Path) -> pd.DataFrame:
    """Records of the present rule with those of the rule before it, beside them as `…_before`."""
    before = results.with_name(f"{results.stem}_before.csv")
    return pd.read_csv(results).merge(pd.read_csv(before), on=["set", "cut"], suffixes=("", "_before"), how="left")


def shown(row: Any, end: str) -> list[str]:
    """Cells of one record: coverage of the thirds, of the other levels, in the present or in the former rule."""
    thirds = [getattr(row, f"cover80_{k}{end}") for k in (1, 2, 3)]
    others = [getattr(row, f"cover{level}{end}") for level in (50, 90, 95)]
    return [" ".join("–" if np.isnan(x) else f"{x:.0f}" for x in cells) for cells in (thirds, others)]


def coverage_page(records: pd.DataFrame) -> str:
    """The page on coverage."""
    lines = ["| set | cut | windows | 80 %: before | after | 50, 90, 95 %: before | after | MSIS 80, change % | 95 |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for row in records.itertuples():
        (first, others), (first_now, others_now) = shown(row, "_before"), shown(row, "")
        change = [100 * (getattr(row, f"msis{n}") / getattr(row, f"msis{n}_before") - 1) for n in (80, 95)]
        cells = [row.set, row.cut, row.windows, first, first_now, others, others_now, *(f"{x:+.1f}" for x in change)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    inside = []
    for end in ("_before", ""):
        thirds = records[[f"cover80_{k}{end}" for k in (1, 2, 3)]].to_numpy()
        thirds = thirds[np.isfinite(thirds)]
        share, distance = np.mean((thirds >= BOUNDS[0]) & (thirds <= BOUNDS[1])), np.abs(thirds - 80).mean()
        within = f"{100 * share:.0f} % of the thirds lie within {BOUNDS[0]}–{BOUNDS[1]} %"
        inside.append(f"{within} (mean coverage {thirds.mean():.1f} %, mean distance from 80 % {distance:.1f} points)")
    ratio = [records[f"msis{n}"] / records[f"msis{n}_before"] for n in (80, 95)]
    change = [100 * (float(each.median()) - 1) for each in ratio]
    about = (
        f"Before, {inside[0]}; now {inside[1]}. The interval score changed by {change[0]:+.1f} % (80 %) and "
        f"{change[1]:+.1f} % (95 %) in the median. With 40 windows of one series, whose errors are correlated, "
        "a coverage of 80 % is measured to about ±7 points; a crash within the windows moves it by more."
    )
    method = (__doc__ or "").split("\n\n")[2].strip()
    return "\n\n".join(["# Coverage of the intervals", about, "\n".join(lines), "## Method", method]) + "\n"


def ensembles_section(records: pd.DataFrame) -> str:
    """The section on forecasts: the average against the network and the best baseline."""
    lines = ["| set | cut | network | best baseline | | before | rekur | ratio before | ratio |", "|" + "---|" * 9]
    ratios: list[tuple[float, float]] = []
    for row in records.itertuples():
        losses = {name: getattr(row, f"loss_{name}") for name in BASELINES}
        best = min(losses, key=lambda name: losses[name])
        better = np.nanmin([losses[best], row.loss_network])
        ratios.append((row.loss_rekur_before / better, row.loss_rekur / better))
        numbers = [row.loss_network, losses[best]]
        cells = [row.set, str(row.cut), *(f"{x:.3f}" for x in numbers), rekur.baselines.describe(best)]
        cells += [f"{row.loss_rekur_before:.3f}", f"{row.loss_rekur:.3f}", *(f"{x:.3f}" for x in ratios[-1])]
        lines.append("| " + " | ".join(cells) + " |")
    before, now = (np.array(each) for each in zip(*ratios, strict=True))
    about = (
        "Mean pinball loss in units of the seasonal naive error; the best baseline is chosen with hindsight. The ratio "
        "is that of rekur to the better of network and best baseline: above 1.01 in "
        f"{(before > 1.01).sum()} of {len(now)} rows before and {(now > 1.01).sum()} now, below 1 in "
        f"{(before < 1).sum()} and {(now < 1).sum()}; geometric mean {np.exp(np.log(before).mean()):.3f} and "
        f"{np.exp(np.log(now).mean()):.3f}. Written by `benchmarks/coverage.py`."
    )
    return "\n\n".join([HEADING, about, "\n".join(lines)])


def with_section(existing: str, text: str) -> str:
    """A page with one section written anew; the other sections remain."""
    intro, *sections = existing.split("\n## ") if existing else ["# Ensembles\n"]
    others = [f"## {each}".rstrip() for each in sections if f"## {each}".split("\n", 1)[0] != HEADING]
    return "\n\n".join([intro.rstrip(), *others, text]) + "\n"


def main() -> None:
    """Rehearse sets, store the records and write the pages."""
    names = [*PARTS, *(name for name in SETS if name not in UNEXAMINED)]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="*", choices=names, default=names)
    parser.add_argument("--cuts", nargs="*", type=int, default=list(CUTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "coverage.csv")
    parser.add_argument("--pages", action="store_true", help="only write the pages")
    asked = parser.parse_args()
    for name in () if asked.pages else asked.sets:
        for cut in asked.cuts:
            record = rehearse(name, cut, asked.seed)
            print(record, flush=True)
            known = pd.read_csv(asked.results) if asked.results.exists() else pd.DataFrame({"set": [], "cut": []})
            known = known[(known.set != name) | (known.cut != cut)]
            known = pd.DataFrame([*known.to_dict("records"), record])
            known.sort_values(["set", "cut"]).to_csv(asked.results, index=False, float_format="%.5g")
    records = merged(asked.results)
    (ROOT / "docs" / "coverage.md").write_text(coverage_page(records), encoding="utf-8")
    page = ROOT / "docs" / "ensembles.md"
    existing = page.read_text(encoding="utf-8") if page.exists() else ""
    small = records[records.set.isin(SMALL)]
    page.write_text(with_section(existing, ensembles_section(small)), encoding="utf-8")


if __name__ == "__main__":
    main()
