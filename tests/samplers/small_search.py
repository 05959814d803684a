"""Small searches, run by the tests in this process and in processes of their own.

python small_search.py SAMPLER SPACE STORAGE STUDY TRIALS

prints "ready", waits for a line, adds trials to a study (its storage written as sqlite:PATH or
journal:PATH) and prints the proposals of all its trials as JSON. With "all" as the sampler it runs
one study of each in memory instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from zlib import crc32

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from optuna_nas.samplers import (
    PPO,
    ArchitectureSampler,
    BananasSampler,
    FactorizedPolicy,
    LocalSearchSampler,
    LSTMPolicy,
    QLearningSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
)
from optuna_nas.spaces import Architecture, CellSpace, NASBench201Space, SearchSpace
from optuna_nas.surrogates import (
    FadingRandomCandidates,
    JoinedCandidates,
    MLPEnsemble,
    NeighborCandidates,
    ScatteredCandidates,
)


def bananas(space: SearchSpace | None = None, **options: Any) -> ArchitectureSampler:
    arguments: dict[str, Any] = {
        "n_startup_trials": 4,
        "batch_size": 3,
        "predictor": MLPEnsemble(num_members=3, hidden=(8, 8), epochs=15),
        "candidates": JoinedCandidates(
            NeighborCandidates(30), ScatteredCandidates(10), FadingRandomCandidates(20)
        ),
        "seed": 0,
    }
    return BananasSampler(space, **(arguments | options))


def evolution(space: SearchSpace | None = None, **options: Any) -> ArchitectureSampler:
    arguments = {"population_size": 4, "tournament_size": 2, "seed": 0}
    return RegularizedEvolutionSampler(space, **(arguments | options))


def elitist(space: SearchSpace | None = None, **options: Any) -> ArchitectureSampler:
    return evolution(space, removal="worst", **options)


def local_search(space: SearchSpace | None = None, **options: Any) -> ArchitectureSampler:
    return LocalSearchSampler(space, **({"n_startup_trials": 3, "seed": 0} | options))


def reinforce(space: SearchSpace | None = None, **options: Any) -> ArchitectureSampler:
    arguments: dict[str, Any] = {
        "policy": partial(LSTMPolicy, hidden=8),
        "batch_size": 3,
        "seed": 0,
    }
    return ReinforceSampler(space, **(arguments | options))


def ppo(space: SearchSpace | None = None, **options: Any) -> ArchitectureSampler:
    return reinforce(space, policy=FactorizedPolicy, update=PPO(epochs=3), **options)


def q_learning(space: SearchSpace | None = None, **options: Any) -> ArchitectureSampler:
    arguments: dict[str, Any] = {"n_exploration_trials": 6, "seed": 0}
    return QLearningSampler(space, **(arguments | options))


SAMPLERS: dict[str, Callable[..., ArchitectureSampler]] = {
    "bananas": bananas,
    "evolution-oldest": evolution,
    "evolution-worst": elitist,
    "local-search": local_search,
    "q-learning": q_learning,
    "reinforce": reinforce,
    "reinforce-ppo": ppo,
}
SPACES: dict[str, Callable[[], SearchSpace]] = {
    "201": NASBench201Space,
    "few": lambda: CellSpace(3, ("skip_connect", "a", "b", "c")),
}
STORAGES: dict[str, Callable[[str], optuna.storages.BaseStorage]] = {
    "sqlite": lambda path: optuna.storages.RDBStorage(f"sqlite:///{path}"),
    "journal": lambda path: JournalStorage(JournalFileBackend(path)),
}


def error(architecture: Architecture) -> float:
    """An additive error: every setting of every parameter adds its own fixed amount."""
    return sum(
        crc32(f"{name}={value}".encode()) / 2**32 for name, value in architecture.params.items()
    )


def objective(space: SearchSpace, trial: optuna.Trial) -> float:
    """The error; some trials are pruned at their second report, and some fail."""
    architecture = space.suggest(trial)
    value = error(architecture)
    for step in range(3):
        trial.report(value + 2 - step, step)
        if step == 1 and trial.number % 5 == 3:
            raise optuna.TrialPruned
    return float("nan") if trial.number % 7 == 6 else value


def search(
    sampler: optuna.samplers.BaseSampler,
    space: SearchSpace,
    n_trials: int,
    *,
    storage: str | optuna.storages.BaseStorage | None = None,
    study_name: str | None = None,
) -> optuna.Study:
    """Go on with a study until it has `n_trials` trials."""
    study = optuna.create_study(
        sampler=sampler, storage=storage, study_name=study_name, load_if_exists=True
    )
    study.optimize(lambda t: objective(space, t), n_trials=n_trials - len(study.trials))
    return study


def proposals(study: optuna.Study, space: SearchSpace) -> list[str]:
    """The architectures of all finished trials in order."""
    return [
        str(space.architecture(trial.params))
        for trial in study.trials
        if trial.state.is_finished()
    ]


def keys(study: optuna.Study, space: SearchSpace) -> list[str]:
    """The keys of the architectures of all trials that did not fail, in order."""
    return [
        space.architecture(trial.params).key
        for trial in study.trials
        if trial.state != TrialState.FAIL
    ]


def main(sampler: str, space: str, storage: str, study_name: str, n_trials: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    chosen = SPACES[space]()
    if sampler == "all":
        found = {
            name: proposals(search(make(), chosen, int(n_trials)), chosen)
            for name, make in SAMPLERS.items()
        }
        print(json.dumps(found))  # noqa: T201
        return
    kind, _, path = storage.partition(":")
    study = optuna.load_study(
        study_name=study_name, storage=STORAGES[kind](path), sampler=SAMPLERS[sampler]()
    )
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    study.optimize(lambda trial: objective(chosen, trial), n_trials=int(n_trials))
    print(json.dumps(proposals(study, chosen)))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
