"""What the command line does with texts, tags, recordings and videos: learn, predict, score."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from rekur.cli.outputs import check, saved
from rekur.cli.printing import console
from rekur.core import DataError, OptionError, choose
from rekur.data.ingest import files
from rekur.inputs import INPUTS, find
from rekur.inputs.datasets import Dataset, DatasetColumns, read
from rekur.metrics.sequence import beside
from rekur.registry import load

TASKS = {
    "classify": "Classifier",
    "tag": "Tagger",
    "translate": "Translator",
    "transcribe": "Transcriber",
    "caption": "Captioner",
    "language": "LanguageModel",
}
"""The estimator of each task."""

HELD = 0.1
SHOWN = 10  # predictions that are printed, and things left out that are named


def fit(
    task: str,
    source: str,
    columns: DatasetColumns,
    test: str | None,
    options: Mapping[str, Any],
    epochs: int | None,
    outputs: Mapping[str, str | None],
) -> None:
    """`rekur fit`: read, hold a part out, train, score on that part, and write what was asked for."""
    choose("task", task, TASKS)
    check({"out": None, **outputs}, [], None)
    model = made(task, options)
    whole = read(source, task, columns)
    told(whole)
    if test is None:
        train, held = split(whole, model.random_state)
    else:
        train, held = whole, read(test, task, columns)
        told(held)
    learn(model, task, train, held, epochs, outputs["save"])
    which = "held out" if test is None else f"of {test}"
    print(f"learned from {len(train.x):,} examples; scores of {len(held.x):,} {which}:")
    finish(model, task, held, outputs)


def made(task: str, options: Mapping[str, Any]) -> Any:
    """The estimator of a task with the options that were given."""
    import rekur

    given = {name: value for name, value in options.items() if value is not None}
    kind = given.pop("input", None)
    if kind is not None:
        given["input"] = find(choose("--input", kind, INPUTS))()
    if given.pop("copy", False):
        if task != "translate":
            raise OptionError(f"--copy is for translate, not for {task}")
        from rekur.sequence.generation import SUMMARY

        given["generation"] = SUMMARY
    return getattr(rekur, TASKS[task])(**given)


def split(whole: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Nine tenths to train on, a tenth to choose the best epoch and to tell the score."""
    N = len(whole.x)
    if N < 10:
        raise DataError(f"{N} examples are too few: ten or more are needed, or a part for the test (--test)")
    order = np.random.default_rng(seed).permutation(N)
    n = max(1, round(N * HELD))
    return whole.part(sorted(order[n:])), whole.part(sorted(order[:n]))


def learn(model: Any, task: str, train: Dataset, held: Dataset, epochs: int | None, save: str | None) -> None:
    """Fit and save; rows held out whose label is not to be learned are left out."""
    if task == "classify":
        known = set(train.y or [])
        kept = [k for k, label in enumerate(held.y or []) if label in known]
        held = held.part(kept)
    arguments = (train.x,) if task == "language" else (train.x, train.y)
    validation = held.x if task == "language" else (held.x, held.y)
    saved(
        model,
        "net_",
        save,
        lambda beside: model.fit(*arguments, validation=validation, epochs=epochs, checkpoint=beside),
    )


def predict(model: Any, source: str, columns: DatasetColumns, out: str | None) -> None:
    """`rekur predict` with a model of sequences."""
    task = task_of(model)
    if task == "language":
        raise OptionError("a language model has nothing to predict: use rekur score, or sample() in Python")
    found = read(source, task, columns, targets=False)
    told(found)
    frame = predictions(model, found)
    for name, prediction in frame.iloc[:SHOWN][["name", "prediction"]].itertuples(index=False):
        print(f"{name}: {prediction}")
    if len(frame) > SHOWN:
        print(f"… {len(frame):,} in all")
    if out is not None:
        files.write(frame, out)
        print(f"predictions written to {out}")


def predictions(model: Any, found: Dataset) -> Any:
    """A table with a row for each example: its name and what is told of it, with the probability of a label."""
    import pandas as pd

    if hasattr(model, "predict_proba"):
        p = model.predict_proba(found.x)
        labels = model.classes_[p.argmax(1)]
        return pd.DataFrame({"name": found.names, "prediction": labels, "probability": p.max(1).round(4)})
    told_ = [" ".join(row) if isinstance(row, list) else row for row in model.predict(found.x)]
    return pd.DataFrame({"name": found.names, "prediction": told_})


def score(folder: str, source: str, columns: DatasetColumns, report: str | None) -> None:
    """`rekur score`: the scores of a saved model on examples with targets."""
    check({"out": None, "report": report, "save": None}, [], None)
    model = load(folder)
    task = task_of(model)
    found = read(source, task, columns)
    told(found)
    print(f"{len(found.x):,} examples of {source}:")
    finish(model, task, found, {"report": report, "save": None})


def task_of(model: Any) -> str:
    """The task that a model is for."""
    kinds = {kind: task for task, kind in TASKS.items()}
    if type(model).__name__ not in kinds:
        raise OptionError(f"the model is a {type(model).__name__}: it takes tables of numbers, from Python")
    return kinds[type(model).__name__]


def told(found: Dataset) -> None:
    """Name what was left out, each in one line."""
    for name, why in found.skipped[:SHOWN]:
        print(f"· left out: {why if why.startswith(name) else f'{name}: {why}'}", file=sys.stderr)
    if len(found.skipped) > SHOWN:
        print(f"· left out: {len(found.skipped) - SHOWN:,} more", file=sys.stderr)


def finish(model: Any, task: str, held: Dataset, outputs: Mapping[str, str | None]) -> None:
    """Print the scores beside those of a simple baseline, and write what was asked for."""
    from rich.table import Table as Grid

    found = model.evaluate(held.x) if task == "language" else model.evaluate(held.x, held.y)
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for heading in ("score", "model", "baseline"):
        grid.add_column(heading, justify="left" if heading == "score" else "right")
    for row in beside(found):
        grid.add_row(*row)
    console().print(grid)
    if outputs["report"] is not None:
        from rekur.report import sequences

        sequences.write(outputs["report"], model, held, found)
        print(f"report written to {outputs['report']}")
    if outputs["save"] is not None:
        print(f"model saved in {outputs['save']}")
