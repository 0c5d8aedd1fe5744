"""What each covariate is worth: how much worse the forecasts of past windows become when it is shuffled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.forecasting.backtest import actual
from rekur.forecasting.config import LEVELS
from rekur.forecasting.ensemble import Ensemble
from rekur.forecasting.model_averaging import loss


def importances(ensemble: Ensemble, table: Panel, windows: tuple[Array, Array], scale: Array, seed: int) -> Array:
    """The growth of the pinball loss by shuffling each covariate, (C,), as a share of the loss as it is.

    The covariates are those of the future, of the past and of whole series, in this order. Windows (series, stop)
    begin at row `stop` of their series; scale (n,) is the unit of errors. A covariate is shuffled over all rows (a
    static one over all series), which keeps its values and takes their meaning.

    Source: L. Breiman, 2001, "Random forests", Machine Learning 45, section 10.
    """
    y = actual(table, *windows, ensemble.horizon)
    seen = np.isfinite(y) & (scale > 0)[:, None]
    unit = np.broadcast_to(scale[:, None], y.shape)[seen]

    def judged(other: Panel) -> float:
        return loss(ensemble.quantiles(other, *windows)[seen], y[seen], unit, LEVELS)

    base, random, grown = judged(table), np.random.default_rng(seed), []
    for role in ("future", "past", "static"):
        values = getattr(table, role)
        for j in range(len(getattr(table, f"{role}_names"))):
            shuffled = values.copy()
            shuffled[:, j] = random.permutation(values[:, j])
            grown.append(judged(replace(table, **{role: shuffled})) / base - 1.0)
    return np.array(grown)
