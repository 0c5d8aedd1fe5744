"""Verdict on the windows of a backtest: the forecast against the best baseline, with the spread of the windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rekur.baselines import METHODS, describe
from rekur.forecasting.selection.scores import NAME, WindowScores

SEASONAL = "seasonal_naive"

CLOSE = 0.2
"""Share of a score up to which another one is called close to it."""

LOW_COVERAGE = 0.6
"""Coverage of the 80 % intervals below which the verdict names it."""

KINDS = {1: "beats", 0: "close", -1: "behind"}
"""Kinds of outcomes."""


@dataclass(frozen=True)
class Verdict:
    """Outcome of a backtest.

    Parameters
    ----------
    text : str
        One sentence without a full stop.
    outcome : {"beats", "close", "behind", "none"}
        The forecast against the best baseline; "none" without a score.
    """

    text: str
    outcome: str


def verdict(
    scores: WindowScores,
    n_windows: int,
    itself: str | None = None,
    used: str | None = None,
    coverage: float = np.nan,
) -> Verdict:
    """Compare the forecast "rekur" with seasonal naive and the best baseline.

    Parameters
    ----------
    scores : WindowScores
        Scores of "rekur" and of every baseline.
    n_windows : int
        Windows of each series.
    itself : str, optional
        The baseline that "rekur" is on all windows.
    used : str, optional
        The model that forecasts the future, where it is known: a baseline, or "blend" for any other.
    coverage : float, default NaN
        Share of the values inside the 80 % intervals of "rekur", which is named where it is below 60 %.

    Returns
    -------
    Verdict
    """
    mase = {name: scores.mean("MASE", name) for name in scores.values["MASE"]}
    where = f"over {n_windows} window{'s' if n_windows > 1 else ''}"
    if not np.isfinite(mase[NAME].mean):
        return Verdict(f"no verdict: the actual values of the test are constant or missing {where}", "none")
    rivals = [name for name in mase if name not in (NAME, itself)]
    evidence = scores.select(rivals)
    best = min(rivals, key=lambda name: mase[name].mean) if evidence is None else evidence.name
    called = scores.verdict("MASE", NAME, best)
    outcome = called if evidence is None else -1
    subject = NAME if itself is None else f"{NAME}, here by {describe(itself)} alone,"
    compared = _comparison(scores, best, outcome, called, "best" if itself is None else "next")
    text = f"{subject} {compared} {where}{_intervals(scores, best, outcome)}"
    if coverage < LOW_COVERAGE:
        text += f"; its 80 % intervals held {100 * coverage:.0f} % of the values"
    if used in METHODS and used != itself:
        follows = used == best and outcome < 0
        text += f"; the forecast is {'therefore ' if follows else ''}{describe(used)}"
        text += " (select='blend': the average)" if follows else ""
        return Verdict(text, KINDS[outcome])
    if used == "blend" and itself is not None:
        text += "; the forecast itself, chosen on all rows, is by the average of models"
    if outcome < 0:
        text += f"; use {describe(best)} (select={best!r})"
    return Verdict(text, KINDS[outcome])


def _comparison(scores: WindowScores, best: str, outcome: int, called: int, rank: str) -> str:
    """The MASE of "rekur" against that of the best baseline, or the next one, and of seasonal naive.

    `called` is the outcome by the MASE alone.
    """
    mean = {name: scores.mean("MASE", name) for name in (NAME, best, SEASONAL)}
    spread = "" if np.isinf(mean[NAME].error) else f" ± {mean[NAME].error:.2f}"
    score = f"MASE {mean[NAME].mean:.2f}{spread} vs"
    over_seasonal = f"{describe(SEASONAL)} by {gain(mean[NAME].mean, mean[SEASONAL].mean)}"
    beats_seasonal = best != SEASONAL and scores.verdict("MASE", NAME, SEASONAL) > 0
    if outcome > 0:
        text = f"the {rank} baseline, {describe(best)}, by {gain(mean[NAME].mean, mean[best].mean)}"
        if beats_seasonal:
            return f"beats {over_seasonal} ({score} {mean[SEASONAL].mean:.2f}) and {text} ({mean[best].mean:.2f})"
        return f"beats {text} ({score} {mean[best].mean:.2f})"
    if outcome < 0:
        share = loss(mean[NAME].mean, mean[best].mean)
        text = f"is {'' if called < 0 else 'probably '}behind {describe(best)}"
        text += "" if share == "0 %" else f" by {share}"
    elif abs(mean[NAME].mean - mean[best].mean) <= CLOSE * mean[best].mean:
        text = f"and {describe(best)} are too close to call"
    else:
        text = f"and {describe(best)} cannot be told apart"
    text += f" ({score} {mean[best].mean:.2f})"
    if beats_seasonal:
        text += f", {'but' if outcome < 0 else 'and'} {NAME} beats {over_seasonal} ({mean[SEASONAL].mean:.2f})"
    return text


def _intervals(scores: WindowScores, best: str, outcome: int) -> str:
    """The interval score against that of the best baseline, where the difference is significant."""
    better = scores.verdict("MSIS80", NAME, best)
    if better == 0:
        return ""
    score, rival = (scores.mean("MSIS80", name).mean for name in (NAME, best))
    share = f"{gain(score, rival)} better" if better > 0 else f"{loss(score, rival)} worse"
    word = "and" if (better > 0) == (outcome > 0) and outcome != 0 else "but"
    return f", {word} the intervals of {NAME} score {share} (MSIS {score:.2f} vs {rival:.2f})"


def gain(score: float, other: float) -> str:
    """Share by which a score is smaller than another, in percent."""
    return f"{100 * (1 - score / other):.0f} %" if other > 0 else "0 %"


def loss(score: float, other: float) -> str:
    """Share by which a score is larger than another, in percent."""
    return f"{100 * (score / other - 1):.0f} %" if other > 0 else "100 %"
