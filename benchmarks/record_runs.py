"""What small seeded runs give, to the last bit: to be compared before and after a change.

Every run is one line: its name, a digest, and a value to read. The digest of a training covers the
parameters after each step of an optimiser, every value that was reported, and what was derived;
that of a sampler its proposals. So a change that is to leave results as they are leaves the lines
as they are, on the same machine: bits differ between processors, and from torch to torch.

    python benchmarks/record_runs.py > before.txt
    python benchmarks/record_runs.py --compare before.txt [--only darts]

Of another checkout: PYTHONPATH=CHECKOUT python benchmarks/record_runs.py. It takes a minute or two
on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

import numpy as np
import optuna
import torch

import optuna_nas as nas
from optuna_nas.data import ImageData, load_images
from optuna_nas.objectives import CellCNN, Darts, EdgeNES, EnsembleSearch, LayerDropBert
from optuna_nas.objectives.edge_nes import (
    DartsMembers,
    DeviatingMembers,
    HypernetworkSettings,
    MemberSource,
    RandomMembers,
    RepeatedMembers,
    SupernetSettings,
    TrainingSettings,
)
from optuna_nas.samplers import BananasSampler, LocalSearchSampler, RegularizedEvolutionSampler
from optuna_nas.spaces import (
    CellSpace,
    DARTSSpace,
    EdgeNESSpace,
    FlatSpace,
    LayerDropSpace,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)

Run: TypeAlias = Callable[[], tuple[str, str]]
"""Gives a digest, and what of it can be read."""

TINY_BERT = Path(__file__).parents[1] / "tests" / "objectives" / "tiny_bert.py"
OPTIMIZERS = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
PROPOSALS = 20
DERIVED = ("architecture", "members", "optimum", "lambdas", "shared_edges", "test_accuracy")
SPACES: dict[str, SearchSpace] = {
    "nasbench201": NASBench201Space(),
    "nasbench101": NASBench101Space(),
    "darts": DARTSSpace(),
    "edge-nes": EdgeNESSpace(),
    "cell": CellSpace(3, ["none", "skip_connect", "nor_conv_1x1"]),
    "layer-drop": LayerDropSpace(8, 2, 6),
    "flat": FlatSpace(
        {
            "x": optuna.distributions.FloatDistribution(1e-3, 1.0, log=True),
            "n": optuna.distributions.IntDistribution(1, 9),
            "c": optuna.distributions.CategoricalDistribution(["a", "b", "c"]),
        }
    ),
}
SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "bananas": lambda: BananasSampler(seed=0, n_startup_trials=8),
    "evolution": lambda: RegularizedEvolutionSampler(seed=0, population_size=8),
    "local-search": lambda: LocalSearchSampler(seed=0),
}


class Digest:
    """A running hash of tensors, numbers and texts."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, value: object) -> None:
        """Add a value; numbers to the last bit."""
        text = value.hex() if isinstance(value, float) else repr(value)
        self._hash.update(text.encode() + b"\n")

    def add_tensor(self, tensor: torch.Tensor) -> None:
        """Add all numbers of a tensor."""
        self._hash.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())

    def __str__(self) -> str:
        return self._hash.hexdigest()[:16]


@contextmanager
def recording(digest: Digest) -> Iterator[None]:
    """Add all parameters of every optimiser after each of its steps.

    They are sorted: a weight may be one tensor or several, with or without axes of one.
    """

    def recorded(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(self: torch.optim.Optimizer, *arguments: Any, **options: Any) -> Any:
            done = step(self, *arguments, **options)
            for group in self.param_groups:
                flat = torch.cat([p.detach().flatten() for p in group["params"]])
                digest.add_tensor(flat.sort().values)
            return done

        return wrapped

    patches = [mock.patch.object(kind, "step", recorded(kind.step)) for kind in OPTIMIZERS]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def trained(make: Callable[[], Any], trials: int = 1) -> tuple[str, str]:
    """Run trials of an objective: the digest, and the last value and architecture."""
    objective = make()
    digest = Digest()
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(directions=list(objective.directions), sampler=sampler)
    with recording(digest):
        study.optimize(objective, n_trials=trials)
    for trial in study.trials:
        digest.add(trial.state.name)
        for value in [*(trial.values or ()), *trial.intermediate_values.values()]:
            digest.add(value)
        for name in DERIVED:
            digest.add(trial.user_attrs.get(name))
    last = study.trials[-1]
    found = " ".join(f"{value:.6f}" for value in last.values or ())
    return str(digest), f"{found} {last.user_attrs.get('architecture', '')}"


def proposed(
    space: SearchSpace, make: Callable[[], optuna.samplers.BaseSampler]
) -> tuple[str, str]:
    """Let a sampler propose architectures of known values: the digest, and the last of them."""
    digest = Digest()
    study = optuna.create_study(sampler=make())
    for _ in range(PROPOSALS):
        trial = study.ask()
        architecture = space.suggest(trial)
        for name, value in sorted(architecture.params.items()):
            digest.add(name)
            digest.add(value)
        text = hashlib.sha256(str(space.key(architecture)).encode()).digest()
        study.tell(trial, int.from_bytes(text[:4], "big") / 2**32)
    return str(digest), str(architecture)[:60]


def runs(folder: Path) -> dict[str, Run]:
    """All runs by name."""
    images = load_images("digits", train_size=130, validation_size=60, test_size=40)
    found = {
        **{f"darts {name}": run for name, run in _searches(images).items()},
        **{f"ensemble {name}": run for name, run in _ensembles(images).items()},
    }
    for name in ("nasbench201", "nasbench101", "darts", "edge-nes"):
        sizes: dict[str, Any] = {"channels": 8, "cells": 3 if name == "darts" else 1}
        cell_cnn = partial(CellCNN, SPACES[name], images, epochs=2, artifacts=None, **sizes)
        found[f"cell-cnn {name}"] = partial(trained, cell_cnn, 2)
    found["layer-drop"] = partial(trained, partial(_layer_drop, folder), 2)
    for name, space in SPACES.items():
        for label, make in SAMPLERS.items():
            found[f"sampler {label} {name}"] = partial(proposed, space, make)
    return found


def _searches(images: ImageData) -> dict[str, Run]:
    small: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 32,
        "channels": 4,
        "architecture_learning_rate": 0.05,
        "artifacts": None,
    }
    searches: dict[str, tuple[SearchSpace, dict[str, Any]]] = {
        "nasbench201": (NASBench201Space(), {"cells": 1}),
        "nasbench201 clipped": (NASBench201Space(), {"cells": 1, "gradient_clip": 0.5}),
        "nasbench201 second order": (NASBench201Space(), {"cells": 1, "order": 2}),
        "nasbench201 gumbel": (NASBench201Space(), {"cells": 1, "relaxation": _gumbel()}),
        "darts": (DARTSSpace(), {"cells": 3, "edge_weights": True}),
        "darts second order": (DARTSSpace(), {"cells": 3, "order": 2, "epochs": 1}),
        "edge-nes": (EdgeNESSpace(), {"cells": 1, "edge_weights": True}),
    }
    return {
        name: partial(trained, partial(Darts, space, images, **{**small, **options}))
        for name, (space, options) in searches.items()
    }


def _gumbel() -> Any:
    older = importlib.util.find_spec("optuna_nas.methods") is None
    module = importlib.import_module(f"optuna_nas.{'relaxations' if older else 'methods'}")
    return module.GumbelSoftmax(1.0, 0.3)


def _ensembles(images: ImageData) -> dict[str, Run]:
    sizes: dict[str, Any] = {"epochs": 2, "batch_size": 32, "channels": 4}
    search = SupernetSettings(architecture_learning_rate=0.05, **sizes)
    around = HypernetworkSettings(learning_rate=0.025, **sizes)
    common: dict[str, Any] = {"size": 2, "training": TrainingSettings(**sizes), "artifacts": None}
    members: dict[str, MemberSource] = {
        "darts": DartsMembers(2, search),
        "random": RandomMembers(3),
        "deviation": DeviatingMembers(3, search),
        "repeated": RepeatedMembers(2, search),
    }
    edge_nes = partial(EdgeNES, images, candidates=3, search=search, hypernetwork=around, **common)
    return {
        "edge-nes": partial(trained, edge_nes),
        **{
            name: partial(
                trained, partial(EnsembleSearch, SPACES["edge-nes"], images, m, **common)
            )
            for name, m in members.items()
        },
    }


def _layer_drop(folder: Path) -> LayerDropBert:
    spec = importlib.util.spec_from_file_location("tiny_bert", TINY_BERT)
    assert spec is not None and spec.loader is not None
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    model = tiny.save_model(folder / "bert")
    options: dict[str, Any] = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3}
    reviews = tiny.reviews()
    return LayerDropBert(model, reviews, max_length=32, artifacts=None, **options)


def main() -> None:
    """Print a line for each run, and what differs from an earlier output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compare", type=Path, help="an earlier output")
    parser.add_argument("--only", default="", help="runs whose name begins so")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    np.seterr(all="ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(f"# {Path(nas.__file__).parent}, torch {torch.__version__}", file=sys.stderr)
    before: dict[str, str] = {}
    if arguments.compare:
        lines = arguments.compare.read_text().splitlines()
        before = dict(line.split(": ", 1) for line in lines)
    changed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, run in runs(Path(folder)).items():
            if not name.startswith(arguments.only):
                continue
            found = "{} {}".format(*run())
            print(f"{name}: {found}", flush=True)
            if before and before.get(name) != found:
                changed += 1
                print(f"  before: {before.get(name, 'nothing')}", flush=True)
    if before:
        print(f"{changed} runs differ.")
        sys.exit(bool(changed))


if __name__ == "__main__":
    main()
