"""Scores of the sequence models on real data sets, with baselines, time and memory, for each job of `jobs.py`.

    python benchmarks/sequences.py [--jobs sst2 trec ...] [--seed 0] [--results FILE] [--write FILE]

The records of all runs are stored in `results/sequences.csv`, from which the page is written. The data are read from
$REKUR_DATA (default ../shared/data next to the repository); jobs whose data or library is missing are skipped and
reported.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from pathlib import Path

import pandas as pd
import torch

from jobs import JOBS, ROOT, Job
from rekur.core import RekurError


def run(name: str, job: Job, seed: int, show: bool) -> dict[str, object]:
    """Train and test one job."""
    begin = time.process_time()
    scores = {display_name(name): value * scale(name) for name, value in job.run(seed, show).items()}
    seconds = time.process_time() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "job": name,
        "score": scores[job.score],
        "seconds": round(seconds),
        "gib": round(memory, 2),
        "seed": seed,
        "threads": torch.get_num_threads(),
        "all": json.dumps({key: round(value, 5) for key, value in scores.items()}),
    }


def display_name(score: str) -> str:
    """Name of a score on the page."""
    return score.replace("_", " ")


def scale(score: str) -> int:
    """BLEU and ROUGE are recorded in percent, as papers report them."""
    return 100 if "bleu" in score or "rouge" in score else 1


def reached(job: Job, value: float, aim: float) -> bool:
    """Whether a score reaches its target."""
    return value <= aim if job.less else value >= aim


def page(records: pd.DataFrame) -> str:
    """Page of all records in Markdown."""
    rows = [
        "| job | task | measure | rekur | target | stretch | reference | minutes | GiB | other scores |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, job in JOBS.items():
        if name not in records.index:
            continue
        record = records.loc[name]
        value, all_scores = float(record.score), json.loads(record["all"])
        must = all_scores[f"baseline {job.score}"] if job.must == 0 else job.must
        mark = "**" if reached(job, value, must) else ""
        rest = ", ".join(f"{key} {figure:.4g}" for key, figure in all_scores.items() if key != job.score)
        stretch = "–" if job.stretch is None else f"{job.stretch:g}"
        cells = [name, job.what, job.score, f"{mark}{value:.4g}{mark}", f"{must:.4g}", stretch, job.reference or "–"]
        cells += [f"{record.seconds / 60:.1f}", f"{record.gib:.2f}", rest]
        rows.append("| " + " | ".join(cells) + " |")
    text = (__doc__ or "").split("\n\n")
    about = f"{text[0]} Written by `make sequences`. Bold scores reach the target. Jobs without a record are omitted."
    about += " BLEU and ROUGE are in percent, as papers report them; rekur prints them from 0 to 1."
    about += " Minutes are processor time, in older records those of the wall clock of a shared machine."
    return "\n".join(["# Sequence models", "", about.replace("\n", " "), "", *rows, ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", nargs="*", choices=JOBS, default=list(JOBS), help="none: only write the page")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "sequences.csv")
    parser.add_argument("--write", type=Path, default=ROOT / "docs" / "sequences.md")
    asked = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}")
    known = pd.read_csv(asked.results, index_col="job") if asked.results.exists() else pd.DataFrame()
    for name in asked.jobs:
        try:
            scores = run(name, JOBS[name], asked.seed, asked.progress)
        except (FileNotFoundError, ModuleNotFoundError) as error:
            print(f"{name}: left out, {error}")
            continue
        except RekurError as error:
            print(f"{name}: {error}")
            continue
        print({key: scores[key] for key in ("job", "score", "seconds", "gib")}, scores["all"], flush=True)
        known = pd.concat([known.drop(index=name, errors="ignore"), pd.DataFrame([scores]).set_index("job")])
        known.to_csv(asked.results)
    asked.write.write_text(page(known), encoding="utf-8")
