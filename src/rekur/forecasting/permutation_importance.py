"""Permutation importance of covariates: growth of the loss on past windows when a covariate is shuffled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.config import LEVELS, season_lengths
from rekur.forecasting.ensemble import Ensemble
from rekur.forecasting.model_averaging import mean_pinball
from rekur.forecasting.panel_forecaster import PanelForecaster
from rekur.forecasting.selection.past_windows import PastWindows, TooShortError
from rekur.forecasting.window_features import actual_values
from rekur.metrics import seasonal_scale


def permutation_importance(
    forecaster: PanelForecaster, panels: Panel | PanelGroup, n_windows: int = 3
) -> tuple[Array, Array]:
    """Importance of each covariate on the windows of a backtest, the most important one first.

    Parameters
    ----------
    forecaster : PanelForecaster
        Its parameters are used; it is not changed and need not be fitted.
    panels : Panel or PanelGroup
        The complete history with covariates.
    n_windows : int, default 3
        Windows of each series; the last one ends with the series.

    Returns
    -------
    names : np.ndarray
        Covariates, shape (C,).
    importance : np.ndarray
        Share by which the pinball loss grows when the values of a covariate are shuffled, shape (C,).

    References
    ----------
    L. Breiman, 2001, "Random forests", Machine Learning 45, section 10.
    """
    group = PanelGroup.of(panels)
    windows = PastWindows(forecaster.horizon, n_windows, forecaster.horizon)
    results: list[tuple[Array, int]] = []
    for k, panel in enumerate(group.parts):
        try:
            results.append(_panel_importances(forecaster, panel, windows))
        except TooShortError:
            if k == len(group.parts) - 1 and not results:
                raise
    importance = np.average([each for each, _ in results], axis=0, weights=[count for _, count in results])
    first = group.parts[0]
    names = np.array([*first.future_names, *first.past_names, *first.static_names], dtype=object)
    order = np.argsort(-importance, kind="stable")
    return names[order], importance[order]


def _panel_importances(forecaster: PanelForecaster, panel: Panel, windows: PastWindows) -> tuple[Array, int]:
    """Importances of the covariates of a panel of one frequency, and the number of windows."""
    history = windows.history(panel)
    fitted = forecaster.unfitted()
    seasons = season_lengths(history, forecaster.season_length)
    series, stop = windows.of_series(panel, history, seasons[0])
    fitted.fit_panel(history, seasons, None, False)
    scale = np.nan_to_num(seasonal_scale(history.y, seasons[0], history.offsets))[series]
    return importances(fitted.ensemble_, panel, (series, stop), scale, forecaster.random_state), len(series)


def importances(ensemble: Ensemble, panel: Panel, windows: tuple[Array, Array], scale: Array, seed: int) -> Array:
    """Growth of the pinball loss by shuffling each covariate, (C,): future, past and static ones in this order.

    A covariate is shuffled over all rows (a static one over all series), which keeps its values and removes their
    information.

    Parameters
    ----------
    ensemble : Ensemble
        A trained ensemble.
    panel : Panel
        The complete history with covariates.
    windows : tuple of np.ndarray
        Series and first row of each window, shapes (n,).
    scale : np.ndarray
        Unit of the errors of each window, shape (n,).
    seed : int
        Seed of the permutations.
    """
    y = actual_values(panel, *windows, ensemble.horizon)
    observed = np.isfinite(y) & (scale > 0)[:, None]
    unit = np.broadcast_to(scale[:, None], y.shape)[observed]
    known = ensemble.baselines(panel, ensemble.horizon)

    def loss(other: Panel) -> float:
        q = ensemble.quantiles(other, *windows, known_baselines=known.with_covariates(other))
        return mean_pinball(q[observed], y[observed], unit, LEVELS)

    base, random, growth = loss(panel), np.random.default_rng(seed), []
    for role in ("future", "past", "static"):
        values = getattr(panel, role)
        for j in range(len(getattr(panel, f"{role}_names"))):
            shuffled = values.copy()
            shuffled[:, j] = random.permutation(values[:, j])
            growth.append(_growth(loss(replace(panel, **{role: shuffled})), base))
    return np.array(growth)


def _growth(loss: float, base: float) -> float:
    """Share by which a loss exceeds another; infinite if the other is 0."""
    if base == 0.0:
        return 0.0 if loss == 0.0 else np.inf
    return loss / base - 1.0
