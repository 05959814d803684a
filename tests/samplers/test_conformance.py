"""Optuna's own conformance suite, run on every sampler."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from optuna_nas.samplers import BananasSampler, LocalSearchSampler, RegularizedEvolutionSampler
from optuna_nas.surrogates import MLPEnsemble

SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "bananas": lambda: BananasSampler(
        n_startup_trials=1, predictor=MLPEnsemble(epochs=20), seed=0
    ),
    "bananas-defaults": lambda: BananasSampler(n_startup_trials=1),
    "local-search": lambda: LocalSearchSampler(n_startup_trials=1, seed=0),
    "evolution-oldest": lambda: RegularizedEvolutionSampler(population_size=1, seed=0),
    "evolution-worst": lambda: RegularizedEvolutionSampler(
        population_size=2, tournament_size=2, removal="worst"
    ),
}


class TestSamplers(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture(params=list(SAMPLERS.values()), ids=list(SAMPLERS))
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        factory: Callable[[], BaseSampler] = request.param
        return factory
