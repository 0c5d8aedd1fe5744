"""Protocol of a forecaster of panels, as cross-validation, permutation importance and serialization see it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from rekur.data.ingest.schema import Frame
    from rekur.data.panel import Panel
    from rekur.data.panel_group import ColumnOptions
    from rekur.estimator import Parameters
    from rekur.forecasting.config import ForecastConfig
    from rekur.forecasting.ensemble import Ensemble
    from rekur.forecasting.forecast import Forecast
    from rekur.training.deadline import Deadline


class PanelForecaster(Protocol):
    """A forecaster that trains on a panel of one frequency; `rekur.Forecaster` is one.

    Attributes
    ----------
    horizon : int
        Steps to forecast.
    season_length : int or None
        Season length in steps; None to infer it.
    cell, hidden_size, num_layers, random_state
        As in `rekur.Forecaster`.
    panel_, ensemble_, config_, seasons_, columns_, notes_, history_
        Learned by `fit`, see `rekur.Forecaster`.
    """

    horizon: int
    season_length: int | None
    cell: str
    hidden_size: int
    num_layers: int
    random_state: int
    panel_: Panel
    ensemble_: Ensemble
    config_: ForecastConfig | None
    seasons_: tuple[int, ...]
    columns_: ColumnOptions
    notes_: list[str]
    history_: list[dict[str, float]]

    def get_params(self, deep: bool = True) -> Parameters:
        """Constructor arguments by name."""

    def unfitted(self) -> Self:
        """Unfitted forecaster with the same parameters."""

    def fit(
        self,
        df: Frame,
        *,
        time_limit: float | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Learn from a panel."""

    def fit_panel(
        self,
        panel: Panel,
        seasons: tuple[int, ...],
        deadline: Deadline | None = None,
        progress: bool | None = None,
    ) -> None:
        """Train on a panel of one frequency with known seasons."""

    def fine_tune(self, df: Frame, *, time_limit: float | None = None, progress: bool | None = None) -> Self:
        """Go on learning from another panel."""

    def forecast_panel(
        self, panel: Panel, futr_df: Frame | None, h: int, select: str = "auto", models: bool = False
    ) -> Forecast:
        """Forecast a panel of the frequency that was learned."""

    def restore_panel(
        self,
        columns: ColumnOptions,
        panel: Panel,
        ensemble: Ensemble,
        config: ForecastConfig | None,
        notes: Sequence[str],
        history: Sequence[dict[str, float]],
    ) -> None:
        """Set the fitted state of one panel, as read from a file."""
