"""Ensemble, network alone and linear model alone on small sets of texts: does the ensemble keep up with the better one?

    python benchmarks/ensembles.py [--sets sst2_500 ...] [--results FILE] [--write FILE] [--cache FOLDER]

Each set is a part of the training file of a real data set, drawn by the seed; the scores are those of its test file, or
of the last rows of AG News, which has one file. One fit of `rekur.Classifier` gives all three: its network, its linear
model, which is trained on all rows, and the ensemble of both. The records are `results/ensembles.csv`, from which the
section "Texts" of the page is written. The test parts are only read here: all constants were chosen on parts of the
training files (docs/design.md, section 6).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import rekur
from jobs import ROOT, table

HEADING = "## Texts"
TOLERANCE = 0.99
"""Smallest ratio of the accuracy of the ensemble to that of the better part."""

Texts = tuple[list[str], np.ndarray]


@dataclass(frozen=True)
class TextSet:
    """Training and test texts with their labels, rows to train on, seeds, and test rows (None for all)."""

    read: Callable[[], tuple[Texts, Texts]]
    what: str
    rows: int
    seeds: tuple[int, ...] = (0, 1, 2)
    test_rows: int | None = None


def parts(train: str, test: str, text: str = "text", label: str = "label") -> Callable[[], tuple[Texts, Texts]]:
    """Texts and labels of a training and a test file."""

    def read() -> tuple[Texts, Texts]:
        frames = table(train), table(test)
        first, second = ((frame[text].tolist(), frame[label].to_numpy()) for frame in frames)
        return first, second

    return read


def news(text: str) -> Callable[[], tuple[Texts, Texts]]:
    """Topics of AG News from headlines or descriptions; the last 2,000 rows are the test."""

    def read() -> tuple[Texts, Texts]:
        frame = table("ag_news/ag_news_test.csv.gz")
        first, second = ((part[text].tolist(), part.label.to_numpy()) for part in (frame[:-2000], frame[-2000:]))
        return first, second

    return read


SENTENCES = parts("sst2/train.csv.gz", "sst2/test.csv.gz")
GRADES = parts("sst2/sst5_train.csv.gz", "sst2/sst5_test.csv.gz")
REVIEWS = parts("imdb/train.csv.xz", "imdb/test.csv.xz")
QUESTIONS = parts("trec/train.csv.gz", "trec/test.csv.gz")
INTENTS = parts("slots/snips_train.csv.gz", "slots/snips_test.csv.gz", "tokens", "intent")

SETS = {
    "sst2_500": TextSet(SENTENCES, "sentiment of sentences", 500),
    "sst2_2000": TextSet(SENTENCES, "sentiment of sentences", 2000, (0, 1)),
    "sst5_1000": TextSet(GRADES, "five grades of sentiment", 1000, (0, 1)),
    "imdb_500": TextSet(REVIEWS, "sentiment of long reviews", 500, (0,), 2000),
    "imdb_1800": TextSet(REVIEWS, "sentiment of long reviews", 1800, (0,), 2000),
    "trec_500": TextSet(QUESTIONS, "kind of question", 500),
    "trec_2000": TextSet(QUESTIONS, "kind of question", 2000, (0, 1)),
    "snips_700": TextSet(INTENTS, "intent of a command", 700),
    "ag_news_titles_500": TextSet(news("title"), "topic of a headline", 500),
    "ag_news_1000": TextSet(news("description"), "topic of a piece of news", 1000, (0, 1)),
}


def run(name: str, seed: int, cache: Path | None) -> dict[str, object]:
    """Fit one set with one seed and score the three models."""
    spec = SETS[name]
    (x, y), (test_x, test_y) = spec.read()
    generator = np.random.default_rng(seed)
    rows = generator.permutation(len(x))[: spec.rows]
    tested = generator.permutation(len(test_x))[: spec.test_rows]
    texts, labels = [test_x[row] for row in tested], test_y[tested]
    begin = time.process_time()
    model = rekur.Classifier(random_state=seed).fit([x[row] for row in rows], y[rows], progress=False)
    seconds = time.process_time() - begin
    log_p = {
        "network": model._net_log_proba(texts),
        "linear": model.ensemble_.ngrams.log_proba(texts),
        "ensemble": np.log(np.maximum(model.predict_proba(texts), np.finfo(float).tiny)),
    }
    actual = np.searchsorted(model.classes_, labels)
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(cache / f"{name}_{seed}.npz", y=actual, **log_p)
    accuracy = {key: float((value.argmax(1) == actual).mean()) for key, value in log_p.items()}
    loss = {f"{key}_loss": -float(value[np.arange(len(actual)), actual].mean()) for key, value in log_p.items()}
    alpha, beta = model.ensemble_.powers
    powers = {"alpha": alpha, "beta": beta, "seconds": round(seconds, 1), "note": model.notes_[-1]}
    return {"set": name, "seed": seed, "test_rows": len(actual)} | accuracy | loss | powers


def section(records: pd.DataFrame) -> list[str]:
    """Table of all records in Markdown: means over the seeds."""
    rows = [
        "| set | task | rows | seeds | network | linear | ensemble | ratio | α | log loss: net | linear | both | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    ratios = []
    for name in (name for name in SETS if (records["set"] == name).any()):
        part = records[records["set"] == name]
        ratio = float((part.ensemble / part[["network", "linear"]].max(axis=1)).mean())
        ratios.append(ratio)
        mark = "" if ratio >= TOLERANCE else " (missed)"
        cells = [name, SETS[name].what, f"{SETS[name].rows:,}", str(len(part))]
        cells += [f"{part[key].mean():.4f}" for key in ("network", "linear", "ensemble")]
        cells += [f"{ratio:.4f}{mark}", ", ".join(f"{alpha:g}" for alpha in part.alpha)]
        cells += [f"{part[f'{key}_loss'].mean():.3f}" for key in ("network", "linear", "ensemble")]
        rows.append("| " + " | ".join([*cells, f"{part.seconds.mean():.0f}"]) + " |")
    summary = [sum(ratio > 1 for ratio in ratios), sum(ratio == 1 for ratio in ratios), sum(r < 1 for r in ratios)]
    counts = f"Better than the better part on {summary[0]} sets, equal on {summary[1]}, below it on {summary[2]}"
    return [*rows, "", f"{counts}; the smallest ratio is {min(ratios):.4f}."]


def page(existing: str, records: pd.DataFrame) -> str:
    """The page with its section on texts written anew; the other sections remain."""
    intro, *sections = existing.split("\n## ") if existing else ["# Ensembles\n"]
    others = [f"## {text}".rstrip() for text in sections if f"## {text}".split("\n", 1)[0] != HEADING]
    about = (
        "Accuracy on the test part, mean over the seeds; the ratio is that of the ensemble to the better of its parts, "
        "α the power of the network for each seed (0: the linear model alone), s the seconds of CPU of a fit. "
        "Written by `benchmarks/ensembles.py`."
    )
    return "\n\n".join([intro.rstrip(), HEADING, about, "\n".join(section(records)), *others]) + "\n"


def main(names: Sequence[str], results: Path, write: Path, cache: Path | None) -> None:
    """Run sets, record them and write the page."""
    known = pd.read_csv(results) if results.exists() else pd.DataFrame(columns=["set", "seed"])
    for name in names:
        for seed in SETS[name].seeds:
            record = run(name, seed, cache)
            print(record, flush=True)
            known = known[(known["set"] != name) | (known.seed != seed)]
            known = pd.DataFrame([*known.to_dict("records"), record])
            known.to_csv(results, index=False)
    existing = write.read_text(encoding="utf-8") if write.exists() else ""
    write.write_text(page(existing, known), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS), help="none: only write the page")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "ensembles.csv")
    parser.add_argument("--write", type=Path, default=ROOT / "docs" / "ensembles.md")
    parser.add_argument("--cache", type=Path, help="folder for the log-probabilities of the test rows")
    asked = parser.parse_args()
    main(asked.sets, asked.results, asked.write, asked.cache)
