"""Forecasting of panels of several frequencies: one fitted forecaster a frequency."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

import numpy as np

from rekur.core import DataError
from rekur.data.ingest.schema import Frame
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.forecast import Forecast
from rekur.forecasting.panel_forecaster import PanelForecaster

SECONDS_AFTER_INTERRUPT = 0.001
"""Training time of the frequencies that follow an interrupt: one epoch."""


class MultiFrequencyForecaster:
    """Forecasters of one frequency each; panels are assigned by frequency.

    Parameters
    ----------
    parts : sequence of PanelForecaster
        One forecaster a frequency.
    """

    def __init__(self, parts: Sequence[PanelForecaster]) -> None:
        self.parts = tuple(parts)

    @property
    def is_fitted(self) -> bool:
        """Whether every part can forecast."""
        return all(hasattr(part, "ensemble_") for part in self.parts)

    @property
    def notes(self) -> list[str]:
        """Notes of all parts, preceded by their frequency."""
        return [f"{part.panel_.freq.name}: {note}" for part in self.parts for note in part.notes_]

    @property
    def history(self) -> list[dict[str, float]]:
        """Records of training of all parts."""
        return [record for part in self.parts for record in part.history_]

    def fit(
        self,
        group: PanelGroup,
        time_limit: float | None,
        progress: bool | None,
        checkpoint: str | os.PathLike[str] | None,
    ) -> None:
        """Fit each part to its panel, in an equal share of the time.

        After an interrupt the parts that were not yet trained are trained for one epoch, so that all can be used.

        Raises
        ------
        KeyboardInterrupt
            Training was interrupted; `is_fitted` is True if the forecasters can be used.
        """
        seconds = None if time_limit is None else time_limit / len(group.parts)
        interrupted: KeyboardInterrupt | None = None
        for k, (forecaster, panel) in enumerate(zip(self.parts, group.parts, strict=True)):
            folder = None if checkpoint is None else f"{os.fspath(checkpoint)}-{k}"
            try:
                forecaster.fit(panel, time_limit=seconds, progress=progress, checkpoint=folder)
            except KeyboardInterrupt as interrupt:
                if interrupted is not None or not hasattr(forecaster, "ensemble_"):
                    raise
                interrupted, seconds = interrupt, SECONDS_AFTER_INTERRUPT
        if interrupted is not None:
            raise interrupted

    def forecast(self, group: PanelGroup, futr_df: Frame, h: int) -> Forecast:
        """Forecast each panel by the forecaster of its frequency."""
        results = [self.part_for(panel).forecast_panel(panel, futr_df, h) for panel in group.parts]
        templates = tuple(template for result in results for template in result.rank_templates)
        panels = PanelGroup(tuple(panel for result in results for panel in result.panel.parts))
        notes = tuple(note for result in results for note in result.notes)
        return Forecast(panels, results[0].levels, np.concatenate([r.values for r in results]), None, templates, notes)

    def fine_tuned(
        self, group: PanelGroup, time_limit: float | None, progress: bool | None
    ) -> MultiFrequencyForecaster:
        """Same forecasters, with those of the frequencies of a group fine-tuned on it.

        Raises
        ------
        DataError
            Two panels belong to one forecaster, or a frequency is not known.
        """
        seconds, parts = None if time_limit is None else time_limit / len(group.parts), list(self.parts)
        for panel in group.parts:
            k = self.parts.index(self.part_for(panel))
            if parts[k] is not self.parts[k]:
                name = panel.freq.name
                raise DataError(f"series at {name} and others are learned by one model: tune them one by one")
            parts[k] = copy.copy(parts[k]).fine_tune(panel, time_limit=seconds, progress=progress)
        return MultiFrequencyForecaster(parts)

    def part_for(self, panel: Panel) -> PanelForecaster:
        """The forecaster of the frequency of a panel; of two with steps of its length the one with its anchor.

        Raises
        ------
        DataError
            There is none.
        """
        matches = [part for part in self.parts if same_step(part.panel_, panel)]
        if matches:
            return next((part for part in matches if part.panel_.freq.end == panel.freq.end), matches[0])
        known = " and ".join(part.panel_.freq.name for part in self.parts)
        raise DataError(f"the table has series of the frequency {panel.freq.name}, but the model was fitted to {known}")


def same_step(one: Panel, other: Panel) -> bool:
    """Whether the steps of two panels have the same length, whatever their anchor in the week or month."""
    return (one.freq.kind, one.freq.step, one.local) == (other.freq.kind, other.freq.step, other.local)
