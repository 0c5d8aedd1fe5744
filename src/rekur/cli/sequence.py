"""Commands on texts, tags, recordings and videos: train, predict and score."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import numpy as np

from rekur.cli import results
from rekur.cli.options import COMMAND, FitOptions, Outputs
from rekur.cli.outputs import (
    CONLL_SUFFIX,
    Savable,
    check_inputs,
    fit_and_save,
    working,
    write_conll,
    write_table,
)
from rekur.cli.printing import Screen, grid
from rekur.core import DataError, OptionError, choose
from rekur.data.batching import train_validation_split
from rekur.data.ingest.delimited import ReadOptions
from rekur.data.validation import MAX_HASHES, equal_rows, read_labels, row_hashes
from rekur.inputs import INPUTS, find
from rekur.inputs.datasets import Dataset, DatasetColumns, Sequences, Targets, read
from rekur.inputs.formats import DatasetFormat
from rekur.inputs.labels import label_notes
from rekur.inputs.readings import ReadingColumns
from rekur.metrics.sequence import score_table
from rekur.registry import COMMANDS, Task, task_of
from rekur.training.progress import phase

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from rekur.inputs.reader import Input, Reader
    from rekur.metrics import Comparison
    from rekur.sequence.base import FitRecord
    from rekur.sequence.defaults import NetworkSize
    from rekur.sequence.targets import SplitKind

HELD_OUT_SHARE = 0.1
MIN_EXAMPLES = 10  # from which a test part can be held out
SHOWN = 10  # predictions that are printed, and skipped examples that are named


class SequenceModel(Savable, Protocol):
    """The methods of an estimator of sequences that the commands call."""

    split: ClassVar[SplitKind]
    cell: str
    input: Input | None
    random_state: int
    net_: nn.Module
    size_: NetworkSize
    history_: list[dict[str, float]]
    notes_: list[str]
    seen_: list[str]
    columns_: ReadingColumns | None
    fit_record_: FitRecord

    @property
    def reader_(self) -> Reader:
        """Reader of the input, as learned from the training data."""

    def check_libraries(self) -> None:
        """Raise unless the libraries of the scores are installed."""

    def fit(self, *data: Sequences | Targets | None, **options: Any) -> object:
        """Train on sequences and their targets."""

    def compare(self, *data: Sequences | Targets | None) -> Comparison:
        """Compare with baselines on sequences and their targets."""

    def predict(self, x: Sequences) -> list[str | list[str]]:
        """Predict a target for each sequence."""


def fit(
    task: str,
    source: str,
    columns: DatasetColumns,
    test: str | None,
    options: FitOptions,
    outputs: Outputs,
    reading: ReadOptions,
) -> None:
    """`rekur fit`: read, hold a test part out, train, score on the test part, and write the outputs.

    The test part, a tenth of the examples or the data of `--test`, is read to score the trained model and for nothing
    else: the epoch is chosen on rows that `fit` holds out of the training examples.
    """
    choose("task", task, COMMANDS)
    check_inputs(outputs, (source, test))
    if test is not None and test != "-" and Path(test).resolve() == Path(source).resolve():
        raise OptionError(
            f"--test {test} is the data to learn from: name others, or leave --test out to hold a tenth out"
        )
    row = COMMANDS[task]
    model = build(row, options)
    train, held_out = train_and_test(model, row, (source, test), columns, outputs, reading)
    with working(outputs):
        with phase("training", 0.9):
            train_and_save(model, row, train, options.epochs, outputs.save)
        with phase("scores"):
            comparison, of_scores = compared(model, row, held_out)
            notes, skipped = [*held_out.notes, *of_scores], held_out.skipped
            write_report(model, replace(held_out, notes=notes), comparison, outputs, test or source)
    chosen = dataset_format(row).has_targets and any("val_loss" in record for record in model.history_)
    validation = model.fit_record_.validation_rows if chosen else 0
    if outputs.json:
        values = {"data": source, "test": test, "task": task, "estimator": row.estimator}
        counts = {"training_rows": len(train.x), "validation_rows": validation, "epochs": len(model.history_)}
        lists = {"notes": [*model.notes_, *notes], "skipped": results.skipped(skipped)}
        results.write(results.result("fit", outputs, **values, **counts, **lists, **results.of_comparison(comparison)))
        return
    screen, errors = Screen(outputs), Screen(outputs, error=True)
    errors.notes(model.notes_)
    learned = f"learned from {len(train.x):,} examples" + (
        f", {validation:,} of them to choose the epoch" * bool(validation)
    )
    which = "others, held out before training" if test is None else f"of {test}"
    screen.line(f"{learned}; scores of {len(held_out.x):,} {which}:")
    errors.notes(of_scores)
    print_scores(screen, comparison)
    screen.written(outputs, "scores")


def train_and_test(
    model: SequenceModel,
    task: Task,
    sources: tuple[str, str | None],
    columns: DatasetColumns,
    outputs: Outputs,
    reading: ReadOptions,
) -> tuple[Dataset, Dataset]:
    """The examples to learn from and those to score, the latter with the notes and skipped examples of both.

    `sources` are the data to learn from and those of `--test`.
    """
    (source, test), screen = sources, Screen(outputs, error=True)
    train = read_examples(source, task, columns, outputs, reading)
    kind = "" if model.input is None else model.input.kind
    if kind in ("text", "words") and isinstance(train.x[0], Path):
        raise OptionError(f"--input {kind} is for texts, and {source} holds recordings or videos: leave it out")
    notes = check_labels(train, task, source)
    if test is None:
        rest, held_out = split(train, model, task)
        screen.notes([*notes, *held_out.notes])
    else:
        screen.notes(notes)
        rest, held_out = train, read_examples(test, task, replace(columns, readings=train.readings), outputs, reading)
    notes, skipped = [*train.notes, *notes, *held_out.notes], [*train.skipped, *held_out.skipped]
    return rest, replace(held_out, notes=notes, skipped=skipped)


def build(task: Task, options: FitOptions) -> SequenceModel:
    """The estimator of a task, with the options that are not None; an error if a library of its scores is missing."""
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
    set_options = {name: value for name, value in arguments.items() if value is not None}
    model = cast("SequenceModel", task.estimator_class()(**set_options))
    model.check_libraries()
    return model


def read_examples(
    source: str, task: Task, columns: DatasetColumns, outputs: Outputs, reading: ReadOptions, targets: bool = True
) -> Dataset:
    """Read the examples of a task and name those that were skipped, each in one line on standard error."""
    dataset, screen = read(source, dataset_format(task), columns, targets, reading), Screen(outputs, error=True)
    screen.notes(dataset.notes)
    for name, reason in dataset.skipped[:SHOWN]:
        screen.line(f"· left out: {reason if reason.startswith(name) else f'{name}: {reason}'}")
    if len(dataset.skipped) > SHOWN:
        screen.line(f"· left out: {len(dataset.skipped) - SHOWN:,} more")
    return dataset


def dataset_format(task: Task) -> DatasetFormat:
    """The layout of the examples of a task; an error where its estimator takes arrays only."""
    if task.dataset is None:
        raise OptionError(f"the model is a {task.estimator} of arrays of numbers: use it from Python")
    return task.dataset


def check_labels(dataset: Dataset, task: Task, source: str) -> list[str]:
    """Notes on the labels that a classifier is to learn; a DataError where they cannot be learned.

    They cannot if all examples have the same label, each has another one, or they are numbers with fractions.
    """
    if dataset.y is None or dataset_format(task).target_kind != "label":
        return []
    column, other = "", ""
    if dataset.target is not None:
        column, other = f", column {dataset.target!r}", "name another column with --y"
    distinct = len(set(dataset.y))
    fraction = next((k for k, y in enumerate(dataset.y) if isinstance(y, float) and y % 1), None)
    if distinct == 1:
        problem = f"all examples have the label {dataset.y[0]!r}, and two or more are needed"
        cures = ["add examples of another one", other]
    elif fraction is not None:
        problem = f"{dataset.y[fraction]!r} in {dataset.names[fraction]} is a number with a fraction, not a label"
        cures = ["round the numbers to labels", other]
    elif distinct == len(dataset.y) >= MIN_EXAMPLES:
        problem = "each example has a label of its own, so that there is nothing to learn from the others"
        cures = [other or "give several examples the same label"]
    else:
        return label_notes(dataset.y)
    raise DataError(f"{source}{column}: {problem}: {', or '.join(cure for cure in cures if cure)}")


def split(dataset: Dataset, model: SequenceModel, task: Task) -> tuple[Dataset, Dataset]:
    """Split the examples into nine tenths for training and one tenth to score, by the kind of split of the estimator.

    A random tenth, of each label where there are labels, equal examples together; the last tenth of the texts of a
    language model.
    """
    N = len(dataset.x)
    if N < MIN_EXAMPLES:
        raise DataError(f"{N} examples are too few to hold out a test part: pass ten or more, or test data with --test")
    labels = read_labels(dataset.y) if model.split == "stratified" else None
    groups, ordered = equal_rows(dataset.x), model.split == "last"
    train, held_out = train_validation_split(
        N, HELD_OUT_SHARE, model.random_state, labels=labels, groups=groups, ordered=ordered
    )
    equal = int(np.isin(groups[held_out], groups[train]).sum())
    test = dataset.subset(held_out.tolist())
    if equal and not ordered:
        test.notes.append(
            f"{equal:,} of the {len(held_out):,} examples held out equal others that are learned from, as only "
            f"{len(np.unique(groups)):,} of the {N:,} examples are different: scores of new ones are lower"
        )
    return dataset.subset(train.tolist()), test


def train_and_save(model: SequenceModel, task: Task, train: Dataset, epochs: int | None, save: str | None) -> None:
    """Fit, with validation rows from the training examples, and save."""
    data = (train.x, train.y) if dataset_format(task).has_targets else (train.x,)

    def fitted(checkpoint: str | None) -> None:
        model.fit(*data, epochs=epochs, checkpoint=checkpoint)
        model.columns_ = train.readings

    fit_and_save(model, save, fitted)


def predict(
    model: SequenceModel,
    folder: str,
    file: str | None,
    columns: DatasetColumns,
    outputs: Outputs,
    reading: ReadOptions,
) -> None:
    """`rekur predict` with an estimator of sequences."""
    task = task_of(model)
    layout = dataset_format(task)
    if file is None:
        raise OptionError(f"{folder} holds a {task.estimator}: name a file to read, or - for lines of text")
    if not layout.has_targets:
        raise OptionError("a language model has no targets to predict: use rekur score, or sample() in Python")
    check_inputs(outputs, (file,))
    dataset = read_examples(file, task, with_columns_of(model, columns), outputs, reading, targets=False)
    check_kind(model, dataset, folder, file)
    with working(outputs), phase("predictions"):
        frame, shown = predictions(model, dataset, file)
    if outputs.out is not None and outputs.out.lower().endswith(CONLL_SUFFIX):
        write_conll(outputs.out, dataset.x, [tags.split() for tags in frame["prediction"]])
    else:
        write_table(frame, outputs.out)
    if outputs.json:
        rows = results.records(frame)
        if layout.target_kind == "tags":
            rows = [
                {**row, "words": x, "prediction": str(row["prediction"]).split()}
                for row, x in zip(rows, dataset.x, strict=True)
            ]
        left_out = results.skipped(dataset.skipped)
        values = {"data": file, "model": folder, "estimator": task.estimator, "skipped": left_out, "predictions": rows}
        results.write(results.result("predict", outputs, **values))
        return
    screen = Screen(outputs)
    for name, text in zip(dataset.names[:SHOWN], shown, strict=False):
        screen.line(f"{name}: {text}")
    if len(frame) > SHOWN:
        screen.line(f"… {len(frame):,} in all")
    screen.written(outputs, "predictions")


def predictions(model: SequenceModel, dataset: Dataset, source: str) -> tuple[pd.DataFrame, list[str]]:
    """The columns of the source with the prediction of each row, for labels also the probability; and texts to print.

    Tags are printed beside their words.
    """
    from rekur.sequence.classifier import Classifier

    for name in ("prediction", "probability"):
        if name in dataset.table.columns:
            raise DataError(f"{source} has a column {name!r}, the name of a column of the result; rename it")
    table = dataset.table.reset_index(drop=True)
    if isinstance(model, Classifier):
        p = model.predict_proba(dataset.x)
        labels = model.classes_[p.argmax(1)]
        return table.assign(prediction=labels, probability=p.max(1).round(4)), [str(label) for label in labels]
    predicted = model.predict(dataset.x)
    texts = [" ".join(target) if isinstance(target, list) else target for target in predicted]
    shown = [
        " ".join(f"{word}/{tag}" for word, tag in zip(x, target, strict=True)) if isinstance(target, list) else target
        for x, target in zip(dataset.x, predicted, strict=True)
    ]
    return table.assign(prediction=texts), shown


def score(
    model: SequenceModel, folder: str, source: str, columns: DatasetColumns, outputs: Outputs, reading: ReadOptions
) -> None:
    """`rekur score` with an estimator of sequences, on examples with targets."""
    task = task_of(model)
    check_inputs(outputs, (source,))
    dataset = read_examples(source, task, with_columns_of(model, columns), outputs, reading)
    check_kind(model, dataset, folder, source)
    with working(outputs), phase("scores"):
        comparison, notes = compared(model, task, dataset)
        notes += seen_notes(model, dataset)
        shown = replace(dataset, notes=[*dataset.notes, *notes])
        write_report(model, shown, comparison, outputs, source)
    if outputs.json:
        values = {"data": source, "model": folder, "estimator": task.estimator}
        lists = {"notes": [*dataset.notes, *notes], "skipped": results.skipped(dataset.skipped)}
        results.write(results.result("score", outputs, **values, **lists, **results.of_comparison(comparison)))
        return
    screen = Screen(outputs)
    screen.line(f"{len(dataset.x):,} examples of {source}:")
    Screen(outputs, error=True).notes(notes)
    print_scores(screen, comparison)
    screen.written(outputs, "scores")


def check_kind(model: SequenceModel, dataset: Dataset, folder: str, source: str) -> None:
    """Raise a DataError for recordings or videos where the model has learned from texts, and the other way round."""
    kind, files = model.reader_.options.kind, isinstance(dataset.x[0], Path)
    if files and kind in ("text", "words"):
        raise DataError(f"{folder} holds a {type(model).__name__} of texts, and {source} holds recordings or videos")
    if not files and kind in ("audio", "video"):
        cure = "name the column of their paths with --x path"
        raise DataError(f"{folder} holds a {type(model).__name__} of {kind}, and {source} holds no such files: {cure}")


def with_columns_of(model: SequenceModel, columns: DatasetColumns) -> DatasetColumns:
    """The columns that the user names, and for the others those of the table of readings that the model has learned."""
    learned = model.columns_
    if learned is None or columns.x is not None:
        return columns
    return replace(columns, id=columns.id or learned.id, readings=learned)


def seen_notes(model: SequenceModel, dataset: Dataset) -> list[str]:
    """Note on examples that the model was trained on, if they are many."""
    learned = set(model.seen_)
    count = sum(each in learned for each in row_hashes(dataset.x))
    if not learned or SHOWN * count < min(len(learned), len(dataset.x)):
        return []
    least = "at least " if len(learned) == MAX_HASHES else ""
    return [
        f"{least}{count:,} of the {len(dataset.x):,} examples were trained on, and their scores are usually higher "
        "than those of new ones: name others"
    ]


def with_labels_of(model: SequenceModel, dataset: Dataset) -> Dataset:
    """The examples with labels of the type of the model's: numbers beside a text in a column are read as text."""
    from rekur.sequence.classifier import Classifier

    if not isinstance(model, Classifier) or dataset.y is None:
        return dataset
    classes = {str(label): label for label in model.classes_.tolist()}
    return replace(dataset, y=[classes.get(str(label), label) for label in dataset.y])


def compared(model: SequenceModel, task: Task, dataset: Dataset) -> tuple[Comparison, list[str]]:
    """The model compared with simple baselines, and notes."""
    dataset = with_labels_of(model, dataset)
    targets = (dataset.y,) if dataset_format(task).has_targets else ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        comparison = model.compare(dataset.x, *targets)
    return comparison, [str(warning.message) for warning in caught]


def write_report(model: SequenceModel, dataset: Dataset, comparison: Comparison, outputs: Outputs, source: str) -> None:
    """Write the report, if it is asked for."""
    if outputs.report is not None:
        from rekur.report import sequences

        labelled = with_labels_of(model, dataset)
        sequences.write(outputs.report, model, labelled, comparison, source=source, command=COMMAND.get())


def print_scores(screen: Screen, comparison: Comparison) -> None:
    """Print the verdict and the scores of the model and of a simple baseline."""
    table = grid(("score", "left"), ("model", "right"), (comparison.baseline_name, "right"))
    for row in score_table(comparison.scores):
        table.add_row(*row)
    screen.line(comparison.verdict(), style="bold")
    screen.table(table)
