"""Fifteen NAS-Bench-201 cells on 5,000 images of CIFAR-10, by BANANAS and by random search.

Runs two searches with the command line, each on all cores, and writes the table and the figure of
docs/cifar10.md. A search that was interrupted goes on. On two idle cores each takes less than ten
minutes.

    python benchmarks/cifar10_search.py CIFAR10

CIFAR10 is a folder with train.parquet and test.parquet (columns `img` and `label`), or the id of
the data set on the Hugging Face hub.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import optuna

from optuna_nas.visualization import learning_curve_svg

ROOT = Path(__file__).parents[1]
STORAGE = "sqlite:///cifar10.db"
TRIALS = 15
OPTIONS = (
    f"--storage {STORAGE} --train-size 5000 --validation-size 1000 --test-size 5000 "
    f"--trials {TRIALS} --workers 2 --pruner median --epochs 12 --channels 8 --cells 1"
).split()


def run(sampler: str, data: str) -> optuna.Study:
    """Run or finish the search with a sampler."""
    command = [sys.executable, "-m", "optuna_nas", "search", "--study", f"cifar10-{sampler}"]
    subprocess.run([*command, "--sampler", sampler, "--data", data, *OPTIONS], check=True)
    return optuna.load_study(study_name=f"cifar10-{sampler}", storage=STORAGE)


def best_so_far(study: optuna.Study) -> list[float]:
    """The best validation accuracy among the first 1, 2, ... finished trials."""
    finished = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
    finished.sort(key=lambda t: t.datetime_complete or datetime.max)
    best, curve = 0.0, []
    for trial in finished:
        if trial.value is not None and trial.state == optuna.trial.TrialState.COMPLETE:
            best = max(best, trial.value)
        curve.append(best)
    return curve


def table(study: optuna.Study) -> list[dict[str, object]]:
    """One row for each trial."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        last = trial.last_step
        accuracy = "" if last is None else round(trial.intermediate_values[last], 4)
        rows.append(
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "epochs": 0 if last is None else last + 1,
                "validation accuracy": accuracy,
                "test accuracy": round(trial.user_attrs["test_accuracy"], 4)
                if "test_accuracy" in trial.user_attrs
                else "",
                "parameters": trial.user_attrs.get("parameters", ""),
                "seconds": round(trial.user_attrs.get("seconds", 0.0), 1),
                "cell": trial.user_attrs.get("architecture", ""),
            }
        )
    return rows


def main() -> None:
    """Run both searches and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="the images of CIFAR-10")
    data = parser.parse_args().data
    studies = {sampler: run(sampler, data) for sampler in ("bananas", "random")}

    curves = {sampler: best_so_far(study) for sampler, study in studies.items()}
    optimum = max(max(curve) for curve in curves.values())
    regret = {
        sampler: {number: 100 * (optimum - value) for number, value in enumerate(curve, start=1)}
        for sampler, curve in curves.items()
    }
    title = "Regret in points of validation accuracy"
    picture = ROOT / "docs" / "images" / "cifar10_regret.svg"
    picture.write_text(learning_curve_svg(regret, title=title, axis="finished trials"))
    for sampler, study in studies.items():
        rows = table(study)
        path = ROOT / "benchmarks" / "results" / f"cifar10_{sampler}.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        print("|", " | ".join(rows[0]), "|")
        print("|" + "---|" * len(rows[0]))
        for row in rows:
            print("|", " | ".join(str(value) for value in row.values()), "|")
        print()


if __name__ == "__main__":
    main()
