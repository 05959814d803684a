"""DARTS on CIFAR-10: are the cells that it derives better than random ones?

    python -m benchmarks.darts_cifar10 CIFAR10

`CIFAR10` is what `load_images` takes: a folder, a file or a dataset of the hub. Each seed is one
search; its cell, and random cells of the same space, are trained from scratch in the same way. The
table shows every cell, the note below it the means and their difference. What is finished is kept
and not done again. The pictures of the searches (weights of the operations by epoch) are copied to
the folder of the results.

The options are for two CPU cores and about an hour. `--full` is the published size, for a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.artifacts import get_all_artifact_meta
from optuna.storages import RDBStorage

from benchmarks import tables
from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.data import ImageData, load_images
from optuna_nas.ensembles import welch_test
from optuna_nas.objectives import CellCNN, Darts, derived_params
from optuna_nas.spaces import DARTSSpace, NASBench201Space, SearchSpace
from optuna_nas.trials import recover_interrupted

SPACES: dict[str, Callable[[], SearchSpace]] = {
    "darts": DARTSSpace,
    "nas-bench-201": NASBench201Space,
}


def searched(search: Darts) -> dict[str, Any]:
    """Run or finish one search, and return its outcome."""
    folder = ArtifactFolder(Path(str(search.artifacts)))
    storage = RDBStorage(f"sqlite:///{folder.path}.db")
    study = optuna.create_study(
        storage=storage,
        study_name="search",
        direction="maximize",
        load_if_exists=True,
    )
    recover_interrupted(study)
    study.optimize(search, n_trials=1)
    trial = study.best_trial
    [picture] = (
        folder.files / artifact.artifact_id
        for artifact in get_all_artifact_meta(trial, storage=storage)
        if artifact.filename == "trajectory.svg"
    )
    return {
        "params": derived_params(trial),
        "seconds": trial.user_attrs["seconds"],
        "supernet_accuracy": trial.value,
        "picture": picture.read_text(encoding="utf-8"),
    }


def trained(training: CellCNN, params: Mapping[str, Any]) -> dict[str, Any]:
    """Train one cell from scratch, and return what it reached."""
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(dict(params))
    study.optimize(training, n_trials=1)
    [trial] = study.trials
    found = {key: trial.user_attrs[key] for key in ("test_accuracy", "parameters", "seconds")}
    return {"accuracy": trial.value, **found}


class Kept:
    """What is finished, as lines of JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.found = {row["key"]: row["value"] for row in map(json.loads, lines)}

    def get(self, key: Mapping[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The value of a key; made, if it is not there yet."""
        text = json.dumps(key, sort_keys=True)
        if text not in self.found:
            self.found[text] = make()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": text, "value": self.found[text]}) + "\n")
        value: dict[str, Any] = self.found[text]
        return value


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """The means of both kinds and their difference, in words."""
    ours, random = (
        [100 * row["test_accuracy"] for row in rows if row["cell"] == kind]
        for kind in ("derived", "random")
    )
    means = f"Mean test accuracy: derived {np.mean(ours):.2f} %, random {np.mean(random):.2f} %"
    if min(len(ours), len(random)) < 2:
        return means + "."
    test = welch_test(ours, random)
    return f"{means}; difference {test.difference:+.2f} points, Welch's p = {test.p_value:.3g}."


def main(arguments: Sequence[str] | None = None) -> None:
    """Search and train what is missing, and write the table."""
    parser = tables.parser(__doc__, resumable=True)
    parser.add_argument("data", help="what load_images takes")
    parser.add_argument("--space", choices=list(SPACES), default="darts")
    parser.add_argument("--seeds", type=int, default=3, help="searches")
    parser.add_argument("--random", type=int, default=8, help="random cells")
    parser.add_argument(
        "--without-none", action="store_true", help="random cells without `none`, as derived ones"
    )
    parser.add_argument("--train", type=int, default=4000, help="training images")
    parser.add_argument("--validation", type=int, default=1000, help="validation images")
    parser.add_argument("--test", type=int, default=5000, help="test images")
    parser.add_argument("--search-epochs", type=int, default=10)
    parser.add_argument("--search-channels", type=int, default=4)
    parser.add_argument("--order", type=int, choices=(1, 2), default=1)
    parser.add_argument("--training-epochs", type=int, default=10)
    parser.add_argument("--training-channels", type=int, default=8)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--full", action="store_true", help="published sizes, all images")
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    sizes, search, training = {}, {"order": chosen.order}, {}
    if not chosen.full:
        shared = {"cells": chosen.cells, "batch_size": chosen.batch_size}
        search |= shared | {"epochs": chosen.search_epochs, "channels": chosen.search_channels}
        search["architecture_learning_rate"] = 3e-3  # ten times the published: a short search
        training = shared | {
            "epochs": chosen.training_epochs,
            "channels": chosen.training_channels,
        }
        sizes = {
            "train_size": chosen.train,
            "validation_size": chosen.validation,
            "test_size": chosen.test,
        }
    data: ImageData = load_images(chosen.data, **sizes)
    space = SPACES[chosen.space]()
    name = "darts_" + chosen.space.replace("-", "_")
    kept = Kept(chosen.runs / f"{name}.jsonl")
    chosen.results.mkdir(parents=True, exist_ok=True)

    cells: list[tuple[str, int, Mapping[str, Any]]] = []
    for seed in range(chosen.seeds):
        folder = chosen.runs / f"{name}_{seed}"
        objective = Darts(space, data, seed=seed, artifacts=folder, **search)
        key = {"search": objective.settings() | search, "seed": seed}
        found = kept.get(key, lambda: searched(objective))  # noqa: B023 -- called at once
        print("search", seed, space.architecture(found["params"]), found["seconds"], flush=True)
        picture = chosen.results / f"{name}_{seed}.svg"
        picture.write_text(found["picture"], encoding="utf-8")
        cells.append(("derived", seed, found["params"]))
    for seed in range(chosen.random):
        rng = np.random.default_rng([1, seed])
        random = space.random(rng)
        while chosen.without_none and "none" in random.params.values():
            random = space.random(rng)
        cells.append(("random", seed, random.params))

    objective_of_cells = CellCNN(space, data, artifacts=None, **training)
    rows = []
    for kind, seed, params in cells:
        key = {"training": objective_of_cells.settings(), "params": dict(params)}
        found = kept.get(key, lambda: trained(objective_of_cells, params))  # noqa: B023
        rows.append({"cell": kind, "seed": seed, **found, "architecture": _written(space, params)})
        print(rows[-1], flush=True)
    images = data.describe()
    tables.save(
        chosen.results,
        name,
        f"DARTS in {type(space).__name__}",
        f"{images['train']} training, {images['validation']} validation and {images['test']} test "
        f"images; a search of {chosen.search_epochs} epochs, a training of "
        f"{objective_of_cells.epochs}. {summary(rows)}",
        rows,
    )


def _written(space: SearchSpace, params: Mapping[str, Any]) -> str:
    return str(space.architecture(params))


if __name__ == "__main__":
    main()
