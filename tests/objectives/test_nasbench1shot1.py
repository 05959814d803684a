"""NAS-Bench-1Shot1's trainings are those of NAS-Bench-101."""

from __future__ import annotations

import os

import numpy as np
import optuna
import pytest

from optuna_nas import BananasSampler
from optuna_nas.objectives import NASBench1Shot1, NASBench101
from optuna_nas.objectives.tabular import nasbench101

FILE = os.environ.get(nasbench101.PATH_VARIABLE)
pytestmark = pytest.mark.skipif(not FILE, reason=f"{nasbench101.PATH_VARIABLE} names no file")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_cell_has_the_value_that_nasbench101_recorded(number: int) -> None:
    benchmark, whole = NASBench1Shot1(number), NASBench101()
    rng = np.random.default_rng(number)
    for _ in range(50):
        architecture = benchmark.space.random(rng)
        same = whole.space.from_matrix(*benchmark.space.cell(architecture))  # type: ignore[attr-defined]
        assert benchmark.evaluate(architecture.params) == whole.evaluate(same.params)
    assert whole.worst < benchmark.worst < benchmark.optimum < whole.optimum


def test_bananas_searches_it() -> None:
    benchmark = NASBench1Shot1(1)
    study = optuna.create_study(
        direction="maximize", sampler=BananasSampler(seed=0, n_startup_trials=10)
    )
    study.optimize(benchmark, n_trials=60)
    assert benchmark.regret(study.best_value) < 0.4
    assert len({benchmark.space.architecture(t.params).key for t in study.trials}) == 60
