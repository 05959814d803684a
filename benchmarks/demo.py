"""What `make demo` finds: better cells than random ones, on images that nothing was searched on?

For each seed, which draws the split, the trainings and the proposals, runs the command of the
Makefile's demo once as it is and once with random cells and no pruner, in databases of its own.
A second call goes on from what is finished.

    python -m benchmarks.demo --seeds 0,1,2,3,4
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from statistics import mean, median

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks.tables import Row, parser, save, several

ROOT = Path(__file__).parents[1]


def demo_command() -> list[str]:
    """The search that `make demo` runs, as arguments."""
    made = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = made.stdout.replace("\\\n", " ").splitlines()
    return shlex.split(next(line for line in lines if "optuna-nas search" in line))


def searched(folder: Path, seed: int, *others: str) -> optuna.Study:
    """Run or finish the demo's search in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = demo_command()
    command[0] = str(ROOT / command[0])
    subprocess.run([*command, "--seed", str(seed), "--more", "0", *others], cwd=folder, check=True)
    return optuna.load_study(study_name="demo", storage=f"sqlite:///{folder / 'demo.db'}")


def row(folder: Path, seed: int) -> Row:
    """Search once, and draw random cells once."""
    study = searched(folder / f"search-{seed}", seed)
    drawn = ("--sampler", "random", "--pruner", "none")
    random = searched(folder / f"random-{seed}", seed, *drawn)
    trials = study.get_trials(deepcopy=False)
    found = study.best_trial.user_attrs["test_accuracy"]
    others = [trial.user_attrs["test_accuracy"] for trial in complete(random.trials)]
    return {
        "seed": seed,
        "best of the first 10": max(trial.value or 0.0 for trial in complete(trials[:10])),
        "best of all": study.best_value,
        "found in trial": study.best_trial.number,
        "its test accuracy": found,
        "median random cell": median(others),
        "best random cell": max(others),
        "random cells it beats": mean(found > other for other in others),
    }


def complete(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The complete ones."""
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


def main() -> None:
    """Search with every seed, and write the table."""
    arguments = parser(__doc__, resumable=True)
    arguments.add_argument("--seeds", type=several(int), default=list(range(5)))
    given = arguments.parse_args()
    rows = [row((given.runs / "demo").absolute(), seed) for seed in given.seeds]
    note = f"`{shlex.join(demo_command()[1:])}`. Accuracies are shares of images."
    save(given.results, "demo", "The demo's search", note, rows)


if __name__ == "__main__":
    main()
