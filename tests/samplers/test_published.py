"""The paper's setting: its mutation, and studies without paths."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from optuna_nas.samplers import BananasSampler
from optuna_nas.spaces import CellSpace, FlatSpace, NASBench201Space, SearchSpace
from optuna_nas.surrogates import PathEncoding
from optuna_nas.surrogates.candidates import published_mutation
from optuna_nas.surrogates.predictors import BayesianNetwork, GaussianProcess, Predictor

SPACE = NASBench201Space()


def test_each_edge_changes_with_a_quarter(rng: np.random.Generator) -> None:
    parent = SPACE.random(rng)
    changed = np.array(
        [
            [mutant[name] != value for name, value in parent.params.items()]
            for mutant in (published_mutation(parent, rng) for _ in range(4000))
        ]
    )
    assert changed.mean(axis=0) == pytest.approx([0.25] * 6, abs=0.03)  # 4 standard errors
    assert (~changed.any(axis=1)).mean() == pytest.approx(0.75**6, abs=0.03)
    assert np.corrcoef(changed.T)[np.triu_indices(6, 1)] == pytest.approx([0.0] * 15, abs=0.08)


@pytest.mark.parametrize("space", [CellSpace(2, ("a", "b")), CellSpace(5, ("a", "b", "none"))])
def test_other_cells_change_as_much(space: CellSpace, rng: np.random.Generator) -> None:
    parent = space.random(rng)
    mutants = [published_mutation(parent, rng) for _ in range(1500)]
    changes = [sum(m[n] != parent[n] for n in parent.params) for m in mutants]
    assert np.mean(changes) == pytest.approx(min(1.5, len(space.edges)), abs=0.1)


def plain(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ("a", "b", "c"))
    return trial.suggest_float("x", 0, 1) + (kind == "b")


def test_plain_parameters_are_searched_too() -> None:
    study = optuna.create_study(sampler=BananasSampler.published(seed=0))
    study.optimize(plain, n_trials=14)
    assert len(study.trials) == 14


@pytest.mark.parametrize("predictor", [GaussianProcess.published(), BayesianNetwork.published()])
def test_so_they_are_with_the_papers_other_predictors(predictor: Predictor) -> None:
    sampler = BananasSampler(predictor=predictor, n_startup_trials=3, batch_size=20, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(plain, n_trials=5)
    assert len(study.trials) == 5


def test_what_does_not_fit_fails_before_a_study() -> None:
    space: SearchSpace = FlatSpace({"x": optuna.distributions.FloatDistribution(0, 1)})
    for encoding in ("path", PathEncoding(), "operation_counts"):
        with pytest.raises(ValueError, match="FlatSpace has no"):
            BananasSampler(space, encoding=encoding)
    BananasSampler.published(space)
