"""Forecasting of panels of several frequencies: one fitted forecaster a frequency."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from rekur.baselines import METHODS
from rekur.core import Array, DataError
from rekur.data.frequency.frequency import format_time
from rekur.data.ingest.schema import Frame, quoted
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.ensemble import Ensemble
from rekur.forecasting.forecast import NAME, Forecast, plural
from rekur.forecasting.panel_forecaster import PanelForecaster
from rekur.training.deadline import Deadline
from rekur.training.progress import displayed, phase


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
        """Fit each part to its panel, in an equal share of the time that remains."""
        deadline, count = Deadline.after(time_limit), len(group.parts)
        for k, (forecaster, panel) in enumerate(zip(self.parts, group.parts, strict=True)):
            folder = None if checkpoint is None else f"{os.fspath(checkpoint)}-{k}"
            seconds = deadline.portion(1 / (count - k)).seconds()
            with displayed(progress), phase(f"series at {panel.freq.name}", 1 / (count - k)):
                forecaster.fit(panel, time_limit=seconds, progress=progress, checkpoint=folder)

    def forecast(self, group: PanelGroup, futr_df: Frame, h: int, select: str, models: bool) -> Forecast:
        """Forecast each panel by the forecaster of its frequency; members that one of them lacks are NaN there."""
        parts = [self.part_for(panel) for panel in group.parts]
        results = [
            part.forecast_panel(panel, futr_df, h, select, models)
            for part, panel in zip(parts, group.parts, strict=True)
        ]
        templates = tuple(template for result in results for template in result.rank_templates)
        panels = PanelGroup(tuple(panel for result in results for panel in result.panel.parts))
        names = dict.fromkeys(name for result in results for name in result.members)
        members = {
            name: np.concatenate([r.members.get(name, np.full_like(r.values, np.nan)) for r in results])
            for name in names
        }
        values = np.concatenate([r.values for r in results])
        notes = tuple(
            note
            for part, panel, result in zip(parts, group.parts, results, strict=True)
            for note in (
                *history_notes(part.panel_, panel, part.ensemble_.history_rows),
                *effect_notes(panel, part.ensemble_.using(select)),
                *result.notes,
            )
        )
        counts = tuple(count for result in results for count in result.counts)
        return Forecast(panels, results[0].levels, values, None, templates, counts, notes, members)

    def follow(self, backtest: Backtest) -> None:
        """Let each forecaster use the baseline that is better in the backtest of its frequency, if one is."""
        for k, panel in enumerate(backtest.panel.parts):
            part, test = self.part_for(panel), backtest.of_part(k)
            evidence = None if test is None else test.scores.select()
            if evidence is not None:
                evidence = replace(evidence, windows="the windows of the backtest", rival="rekur fitted before them")
                before = part.ensemble_.selection_notes()
                part.ensemble_ = replace(part.ensemble_.using(evidence.name), evidence=evidence)
                part.notes_ = [note for note in part.notes_ if note not in before]
                part.notes_.append(evidence.note())
                part.notes_ += [note for note in effect_notes(panel, part.ensemble_) if note not in part.notes_]

    def summary(self) -> list[tuple[str, str]]:
        """Lines on the data, the model in use and its loss, for a notebook."""
        panels = [part.panel_ for part in self.parts]
        series, rows = sum(len(panel) for panel in panels), sum(len(panel.y) for panel in panels)
        frequencies = " and ".join(panel.freq.name for panel in panels)
        lines = [("data", f"{series} series, {rows} rows, frequency {frequencies}")]
        for part in self.parts:
            prefix = "" if len(self.parts) == 1 else f"{part.panel_.freq.name}: "
            lines.append(("model", prefix + part.ensemble_.average.describe()))
            losses = part.ensemble_.blend.validation_losses
            if losses:
                words = {"rekur": NAME, "seasonal_naive": "seasonal naive", "smoothing": "smoothing"}
                scores = ", ".join(f"{label} {losses[name]:.3f}" for name, label in words.items() if name in losses)
                lines.append(("pinball loss on held-out windows", prefix + scores))
        return lines

    def fine_tuned(
        self, group: PanelGroup, time_limit: float | None, progress: bool | None
    ) -> MultiFrequencyForecaster:
        """Same forecasters, with those of the frequencies of a group fine-tuned on it.

        Raises
        ------
        DataError
            Two panels belong to one forecaster, or a frequency is not known.
        """
        deadline, parts, count = Deadline.after(time_limit), list(self.parts), len(group.parts)
        for n, panel in enumerate(group.parts):
            seconds = deadline.portion(1 / (count - n)).seconds()
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


def used_model(parts: Sequence[PanelForecaster], select: str) -> str:
    """The baseline that fitted forecasters forecast by, if it is one alone and the same for all, else "blend"."""
    used = {name for part in parts for name in part.ensemble_.using(select).average.weights}
    return next((name for name in used if len(used) == 1 and name in METHODS), "blend")


def effect_notes(panel: Panel, ensemble: Ensemble) -> list[str]:
    """Notes on what has no effect in the model in use: covariates, or a season longer than all series."""
    season, longest, notes = ensemble.seasons[0], int(panel.lengths.max()), list[str]()
    if set(ensemble.average.weights) == {"seasonal_naive"} and longest <= season:
        notes.append(
            f"no series is longer than {longest} steps, a season is {season}: seasonal naive is the last value"
        )
    names = ensemble.unread_covariates(panel)
    if not names:
        return notes
    every = len(names) == len((*panel.future_names, *panel.past_names, *panel.static_names))
    reason = "baselines, which read none" if every else "a regression on those known for the future"
    return [*notes, f"covariates without effect: {quoted(names, limit=6)}; the forecast is one of {reason}"]


def history_notes(learned: Panel, panel: Panel, rows: int) -> list[str]:
    """Notes on series that end before the end of training, or go on with less history than was learned.

    Parameters
    ----------
    learned : Panel
        The series of `fit`.
    panel : Panel
        The series to forecast.
    rows : int
        Rows of a series that a forecast reads, at most.
    """
    place = pd.Index(learned.ids).get_indexer(pd.Index(panel.ids))
    known = np.flatnonzero(place >= 0)
    place, lengths = place[known], panel.lengths[known]
    after = panel.freq.count(learned.next_times(1)[place, 0], panel.start[known])[0]  # steps since the last one learned
    held = np.minimum(learned.lengths[place], rows)  # a loaded model holds little more
    before, gaps = np.clip(held + after, 0, held), np.maximum(after, 0)
    short = np.flatnonzero((before > 0) & (lengths < np.where(gaps > 0, rows, held)))
    notes = _older_notes(learned, panel, known, place)
    if not len(short):
        return notes
    k = int(short[0])
    s, gap = int(known[k]), int(gaps[k])
    several = len(panel) > 1
    of = f" of {panel.ids[s]!r}" if several else ""
    which = f"of {len(short):,} series " if several else ""
    since = format_time(panel.clocks(np.array([s]), np.array([0]))[0])
    between = f", and {plural(gap, 'step')} between are missing" if gap else ""
    return [
        *notes,
        f"the forecast {which}reads the rows of the table alone, {lengths[k]}{of} since {since}: the {before[k]} rows "
        f"before them that the model was fitted to are not in it{between}; pass the whole history to forecast from it",
    ]


def _older_notes(learned: Panel, panel: Panel, known: Array, place: Array) -> list[str]:
    """Note on series `known` that end before the learned ones at the places `place`, such as an old file."""
    behind = panel.freq.count(panel.next_times(1)[known, 0], learned.next_times(1)[place, 0])[0]
    older = np.flatnonzero(behind > 0)
    if not len(older):
        return []
    s, steps = int(known[older[0]]), plural(int(behind[older[0]]), "step")
    several = len(panel) > 1
    which = f"of {len(older):,} series " if several else ""
    end = format_time(panel.clocks(np.array([s]), np.array([panel.length(s) - 1]))[0])
    of = f", in {panel.ids[s]!r}," if several else ""
    return [f"the rows {which}end{of} at {end}, {steps} before the end of training: the forecast begins there"]


def same_step(one: Panel, other: Panel) -> bool:
    """Whether the steps of two panels have the same length, whatever their anchor in the week or month."""
    return (one.freq.kind, one.freq.step, one.local) == (other.freq.kind, other.freq.step, other.local)
