"""Ways to networks for CIFAR-10: single ones and ensembles, with and without a search.

    python -m benchmarks.edge_nes CIFAR10

`CIFAR10` is what `load_images` takes: a folder, a file or a dataset of the hub. Every method finds
its networks in `EdgeNESSpace` and trains them in the same way; the table shows the test accuracy,
the negative log-likelihood and the seconds of the search, by mean and standard deviation over the
seeds. A second table has the edges that EdgeNES's architectures share with the optimum, at whole λ
of each seed. What is finished is kept, method by method and seed by seed, and not done again.

The options are for a CPU: a few thousand images and small networks. `--full` is the published
size, for a GPU.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.artifacts import get_all_artifact_meta

from benchmarks import tables
from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.data import ImageData, load_images
from optuna_nas.objectives import EnsembleSearch
from optuna_nas.objectives.edge_nes import (
    DartsMembers,
    DeviatingMembers,
    HypernetworkMembers,
    HypernetworkSettings,
    MemberSource,
    RandomMembers,
    RepeatedMembers,
    SupernetSettings,
    TrainingSettings,
)
from optuna_nas.spaces import EdgeNESSpace

MEASURES = ("accuracy", "nll", "calibration_error", "disagreement")


def methods(
    size: int, candidates: int, search: SupernetSettings, hypernetwork: HypernetworkSettings
) -> dict[str, tuple[MemberSource, int]]:
    """The source of each method, and how many members its ensemble has."""
    return {
        "darts": (DartsMembers(1, search), 1),
        "random": (RandomMembers(1), 1),
        "deep ensemble": (RepeatedMembers(size, search), size),
        "darts ensemble": (DartsMembers(size, search), size),
        "random ensemble": (RandomMembers(size), size),
        "random deviation": (DeviatingMembers(candidates, search), size),
        "edge nes": (HypernetworkMembers(candidates, search, hypernetwork), size),
    }


def measured(
    objective: EnsembleSearch, artifacts: ArtifactFolder, name: str, seed: int
) -> dict[str, Any]:
    """Run one trial, and return the row of it."""
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=1)
    [trial] = study.trials
    if trial.value is None:
        raise RuntimeError(f"{name}, seed {seed}: {trial.user_attrs.get('diverged')}")
    found = trial.user_attrs
    kept = ("members", "optimum", "shared_edges", "lambdas", "test_report", "parameters")
    row = {"method": name, "seed": seed} | {key: found.get(key) for key in kept}
    for meta in get_all_artifact_meta(trial, storage=study._storage):
        if meta.filename == "shared_edges.csv":
            with (artifacts.files / meta.artifact_id).open(encoding="utf-8") as file:
                points = list(csv.DictReader(file))
            row["curve"] = [[float(p["lambda"]), int(p["shared edges"])] for p in points]
    return row


def table(rows: Sequence[Mapping[str, Any]]) -> list[tables.Row]:
    """A row for each method, over its seeds."""
    found: list[tables.Row] = []
    for name in dict.fromkeys(row["method"] for row in rows):
        reports = [row["test_report"] for row in rows if row["method"] == name]
        shown: dict[str, object] = {"method": name, "seeds": len(reports)}
        shown["members"] = reports[0]["size"]
        for measure in MEASURES:
            shown[measure] = _spread([report[measure] for report in reports])
        for part in ("search_seconds", "training_seconds"):
            shown[part] = float(np.mean([report[part] for report in reports]))
        found.append(shown)
    return found


def curves(rows: Sequence[Mapping[str, Any]]) -> list[tables.Row]:
    """A row for each seed of EdgeNES: shared edges at whole λ, and how far off the curve is."""
    found: list[tables.Row] = []
    for row in rows:
        if "curve" not in row:
            continue
        positions, counts = np.array(row["curve"]).T
        shown: dict[str, object] = {"seed": row["seed"], "optimum": row["optimum"]}
        for position in range(int(positions[-1]) + 1):
            nearest = int(np.abs(positions - position).argmin())
            shown[f"at {position}"] = int(counts[nearest])
        shown["mean error"] = float(np.abs(counts - positions).mean())
        shown["monotone"] = "yes" if (np.diff(counts) >= 0).all() else "no"
        found.append(shown)
    return found


def _spread(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.4f}"


def finished(path: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows that were measured with these settings before."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["settings"] == settings]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the table."""
    parser = tables.parser(__doc__, resumable=True)
    parser.add_argument("data", help="what load_images takes")
    parser.add_argument("--methods", type=tables.several(str), default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=3, help="members of an ensemble")
    parser.add_argument("--candidates", type=int, default=6, help="of EdgeNES and deviation")
    parser.add_argument("--train", type=int, default=5000, help="training images")
    parser.add_argument("--validation", type=int, default=1000, help="validation images")
    parser.add_argument("--test", type=int, default=2000, help="test images")
    parser.add_argument("--search-epochs", type=int, default=10)
    parser.add_argument("--hypernetwork-epochs", type=int, default=15)
    parser.add_argument("--training-epochs", type=int, default=15)
    parser.add_argument("--search-channels", type=int, default=4)
    parser.add_argument("--training-channels", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--full", action="store_true", help="published sizes, all images")
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    search, hypernetwork, training = SupernetSettings(), HypernetworkSettings(), TrainingSettings()
    sizes: dict[str, Any] = {}
    if not chosen.full:
        shared: dict[str, Any] = {
            "batch_size": chosen.batch_size,
            "channels": chosen.search_channels,
        }
        search = SupernetSettings(
            epochs=chosen.search_epochs, architecture_learning_rate=3e-3, **shared
        )
        hypernetwork = HypernetworkSettings(
            epochs=chosen.hypernetwork_epochs,
            learning_rate=0.025,
            architecture_learning_rate=0.1,
            **shared,
        )
        training = TrainingSettings(
            epochs=chosen.training_epochs,
            batch_size=chosen.batch_size,
            channels=chosen.training_channels,
        )
        sizes = {
            "train_size": chosen.train,
            "validation_size": chosen.validation,
            "test_size": chosen.test,
        }
    data: ImageData = load_images(chosen.data, **sizes)
    every = methods(chosen.size, chosen.candidates, search, hypernetwork)
    names = list(every) if chosen.methods is None else chosen.methods
    if unknown := sorted(set(names) - set(every)):
        parser.error(f"--methods has {unknown}; allowed are {list(every)}")

    path = chosen.runs / "edge_nes.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    artifacts = ArtifactFolder(chosen.runs / "edge_nes")
    rows = []
    for seed in range(chosen.seeds):
        for name in names:
            source, size = every[name]
            objective = EnsembleSearch(
                EdgeNESSpace(),
                data,
                source,
                size=size,
                training=training,
                seed=seed,
                artifacts=artifacts.path,
            )
            settings = json.loads(json.dumps(objective.settings()))
            found = [row for row in finished(path, settings) if row["method"] == name]
            if not found:
                found = [measured(objective, artifacts, name, seed) | {"settings": settings}]
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found[0]) + "\n")
                print(name, seed, found[0]["test_report"], flush=True)
            rows.append(found[0])
    first = rows[0]["settings"]["data"]
    tables.save(
        chosen.results,
        "edge_nes",
        "Ensembles",
        f"{first['train']} training, {first['validation']} validation and {first['test']} test "
        f"images; candidates trained for {training.epochs} epochs. On the test images: mean and "
        "standard deviation over the seeds; seconds are means.",
        table(rows),
    )
    if shared_edges := curves(rows):
        tables.save(
            chosen.results,
            "edge_nes_curves",
            "Edges shared with the optimum",
            "Of EdgeNES's architectures at λ = 0, 1, ...; the mean absolute error, and whether "
            "the number never falls, over the 41 architectures at equal distances.",
            shared_edges,
        )


if __name__ == "__main__":
    main()
