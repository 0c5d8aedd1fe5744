"""Commands on texts, tags, recordings and videos: train, predict and score."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from rekur.cli.options import FitOptions, Outputs
from rekur.cli.outputs import Savable, check, fit_and_save
from rekur.cli.printing import console, grid
from rekur.core import DataError, OptionError, choose
from rekur.data.batching import train_validation_split
from rekur.data.ingest import files
from rekur.data.validation import read_labels
from rekur.inputs import INPUTS, find
from rekur.inputs.datasets import Dataset, DatasetColumns, Sequences, Targets, read
from rekur.inputs.formats import DatasetFormat
from rekur.metrics.sequence import score_table
from rekur.registry import COMMANDS, Task, load, task_of

if TYPE_CHECKING:
    import pandas as pd

    from rekur.inputs.reader import Reader
    from rekur.metrics import Comparison
    from rekur.sequence.base import FitRecord
    from rekur.sequence.targets import SplitKind

HELD_OUT_SHARE = 0.1
SHOWN = 10  # predictions that are printed, and skipped examples that are named


class SequenceModel(Savable, Protocol):
    """The methods of an estimator of sequences that the commands call."""

    split: ClassVar[SplitKind]
    random_state: int
    history_: list[dict[str, float]]
    notes_: list[str]
    fit_record_: FitRecord

    @property
    def reader_(self) -> Reader:
        """Reader of the input, as learned from the training data."""

    def fit(self, *data: Sequences | Targets | None, **options: Any) -> object:
        """Train on sequences and their targets."""

    def compare(self, *data: Sequences | Targets | None) -> Comparison:
        """Compare with baselines on sequences and their targets."""

    def predict(self, x: Sequences) -> list[str | list[str]]:
        """Predict a target for each sequence."""


def fit(
    task: str, source: str, columns: DatasetColumns, test: str | None, options: FitOptions, outputs: Outputs
) -> None:
    """`rekur fit`: read, hold a test part out, train, score on the test part, and write the outputs.

    The test part, a tenth of the examples or the data of `--test`, is read to score the trained model and for nothing
    else: the epoch is chosen on rows that `fit` holds out of the training examples.
    """
    choose("task", task, COMMANDS)
    check(outputs)
    row = COMMANDS[task]
    model = build(row, options)
    train = read_examples(source, row, columns)
    if test is None:
        train, held_out = split(train, model, row)
    else:
        held_out = read_examples(test, row, columns)
    train_and_save(model, row, train, options.epochs, outputs.save)
    print_notes(model.notes_)
    chosen = dataset_format(row).has_targets and any("val_loss" in record for record in model.history_)
    validation = model.fit_record_.validation_rows if chosen else 0
    learned = f"learned from {len(train.x):,} examples" + (
        f", {validation:,} of them to choose the epoch" * bool(validation)
    )
    which = "others, held out before training" if test is None else f"of {test}"
    print(f"{learned}; scores of {len(held_out.x):,} {which}:")
    report_scores(model, row, held_out, outputs)


def build(task: Task, options: FitOptions) -> SequenceModel:
    """The estimator of a task, with the options that are not None."""
    arguments: dict[str, Any] = {
        "cell": options.cell,
        "hidden_size": options.hidden_size,
        "num_layers": options.num_layers,
        "random_state": options.random_state,
    }
    if options.input is not None:
        arguments["input"] = find(choose("input", options.input, INPUTS))()
    if options.copy:
        if task.estimator != "Translator":
            raise OptionError(f"--copy is for translate, not for {task.command}")
        from rekur import SUMMARY

        arguments["generation"] = SUMMARY
    model: SequenceModel = task.estimator_class()(
        **{name: value for name, value in arguments.items() if value is not None}
    )
    return model


def read_examples(source: str, task: Task, columns: DatasetColumns, targets: bool = True) -> Dataset:
    """Read the examples of a task and name those that were skipped, each in one line on standard error."""
    dataset = read(source, dataset_format(task), columns, targets)
    for note in dataset.notes:
        print(f"· {note}", file=sys.stderr)
    for name, reason in dataset.skipped[:SHOWN]:
        print(f"· left out: {reason if reason.startswith(name) else f'{name}: {reason}'}", file=sys.stderr)
    if len(dataset.skipped) > SHOWN:
        print(f"· left out: {len(dataset.skipped) - SHOWN:,} more", file=sys.stderr)
    return dataset


def dataset_format(task: Task) -> DatasetFormat:
    """The layout of the examples of a task; an error where its estimator takes arrays only."""
    if task.dataset is None:
        raise OptionError(f"the model is a {task.estimator} of arrays of numbers: use it from Python")
    return task.dataset


def split(dataset: Dataset, model: SequenceModel, task: Task) -> tuple[Dataset, Dataset]:
    """Split the examples into nine tenths for training and one tenth to score, by the kind of split of the estimator.

    A random tenth, of each label where there are labels; the last tenth of the texts of a language model.
    """
    N = len(dataset.x)
    if N < 10:
        raise DataError(f"{N} examples are too few to hold out a test part: pass ten or more, or test data with --test")
    labels = read_labels(dataset.y) if model.split == "stratified" else None
    ordered = model.split == "last"
    train, held_out = train_validation_split(N, HELD_OUT_SHARE, model.random_state, labels=labels, ordered=ordered)
    return dataset.subset(train.tolist()), dataset.subset(held_out.tolist())


def train_and_save(model: SequenceModel, task: Task, train: Dataset, epochs: int | None, save: str | None) -> None:
    """Fit, with validation rows from the training examples, and save."""
    data = (train.x, train.y) if dataset_format(task).has_targets else (train.x,)
    fit_and_save(model, save, lambda checkpoint: model.fit(*data, epochs=epochs, checkpoint=checkpoint))


def print_notes(notes: Iterable[str]) -> None:
    """Print notes on standard error, each in one line."""
    for note in notes:
        print(f"· {note}", file=sys.stderr)


def predict(
    model: SequenceModel, folder: str, file: str | None, future: str | None, columns: DatasetColumns, outputs: Outputs
) -> None:
    """`rekur predict` with an estimator of sequences."""
    task = task_of(model)
    if file is None:
        raise OptionError(f"{folder} holds a {task.estimator}: name a file to read, or - for lines of text")
    if future is not None or outputs.report is not None:
        raise OptionError(f"--future and --report are for forecasts; {folder} holds a {task.estimator}")
    if not dataset_format(task).has_targets:
        raise OptionError("a language model has no targets to predict: use rekur score, or sample() in Python")
    frame = predictions(model, read_examples(file, task, columns, targets=False))
    for name, prediction in frame.iloc[:SHOWN][["name", "prediction"]].itertuples(index=False):
        print(f"{name}: {prediction}")
    if len(frame) > SHOWN:
        print(f"… {len(frame):,} in all")
    if outputs.out is not None:
        files.write_file(frame, outputs.out)
        print(f"predictions written to {outputs.out}")


def predictions(model: SequenceModel, dataset: Dataset) -> pd.DataFrame:
    """One row for each example: its name and prediction, for labels also the probability."""
    import pandas as pd

    from rekur.sequence.classifier import Classifier

    if isinstance(model, Classifier):
        p = model.predict_proba(dataset.x)
        labels = model.classes_[p.argmax(1)]
        return pd.DataFrame({"name": dataset.names, "prediction": labels, "probability": p.max(1).round(4)})
    texts = [" ".join(target) if isinstance(target, list) else target for target in model.predict(dataset.x)]
    return pd.DataFrame({"name": dataset.names, "prediction": texts})


def score(folder: str, source: str, columns: DatasetColumns, outputs: Outputs) -> None:
    """`rekur score`: the scores of a saved model on examples with targets."""
    check(outputs)
    model = load(folder)
    task = task_of(model)
    if task.estimator == "Forecaster":
        raise OptionError(f"{folder} holds a forecaster: rekur forecast scores one on past windows of a table")
    dataset = read_examples(source, task, columns)
    print(f"{len(dataset.x):,} examples of {source}:")
    report_scores(model, task, dataset, replace(outputs, save=None))


def with_labels_of(model: SequenceModel, dataset: Dataset) -> Dataset:
    """The examples with labels of the type of the model's: numbers beside a text in a column are read as text."""
    from rekur.sequence.classifier import Classifier

    if not isinstance(model, Classifier) or dataset.y is None:
        return dataset
    classes = {str(label): label for label in model.classes_.tolist()}
    return replace(dataset, y=[classes.get(str(label), label) for label in dataset.y])


def report_scores(model: SequenceModel, task: Task, dataset: Dataset, outputs: Outputs) -> None:
    """Print the verdict and the scores of the model and of a simple baseline, and write the report."""
    dataset = with_labels_of(model, dataset)
    targets = (dataset.y,) if dataset_format(task).has_targets else ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        comparison = model.compare(dataset.x, *targets)
    print_notes(str(warning.message) for warning in caught)
    table = grid(("score", "left"), ("model", "right"), (comparison.baseline_name, "right"))
    for row in score_table(comparison.scores):
        table.add_row(*row)
    out = console()
    out.print(comparison.verdict(), style="bold", soft_wrap=True)
    out.print(table)
    if outputs.report is not None:
        from rekur.report import sequences

        sequences.write(outputs.report, model, dataset, comparison)
        print(f"report written to {outputs.report}")
    if outputs.save is not None:
        print(f"model saved in {outputs.save}")
