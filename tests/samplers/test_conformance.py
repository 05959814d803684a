"""Optuna's own conformance suite, run on every sampler and on every part one can be built from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from optuna_nas.samplers import (
    BananasSampler,
    LocalSearchSampler,
    QLearningSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
    RNNSampler,
)
from optuna_nas.surrogates import (
    BayesianNetwork,
    CandidateGenerator,
    EvolutionCandidates,
    FadingRandomCandidates,
    GaussianProcess,
    GCNEnsemble,
    JoinedCandidates,
    LocalSearchCandidates,
    MLPEnsemble,
    MutationCandidates,
    NeighborCandidates,
    RandomCandidates,
    ScatteredCandidates,
    VAEPredictor,
)

Factory = Callable[[], BaseSampler]


def _bananas(**options: Any) -> Factory:
    arguments: dict[str, Any] = {
        "n_startup_trials": 1,
        "predictor": MLPEnsemble(num_members=2, hidden=(8,), epochs=5),
        "candidates": JoinedCandidates(NeighborCandidates(20), RandomCandidates(20)),
        "seed": 0,
    }
    return lambda: BananasSampler(**(arguments | options))


# Few candidates each, because the suite runs thousands of trials.
CANDIDATES: dict[str, CandidateGenerator] = {
    "mutation": MutationCandidates(20),
    "random": RandomCandidates(20),
    "local_search": LocalSearchCandidates(40, num_parents=2, num_random=2),
    "evolution": EvolutionCandidates(40, population_size=20, generation_size=10),
    "surroundings": JoinedCandidates(
        NeighborCandidates(20), ScatteredCandidates(10), FadingRandomCandidates(20)
    ),
}
MULTI_OBJECTIVE: dict[str, Factory] = {
    "bananas": _bananas(),
    "bananas-defaults": lambda: BananasSampler(n_startup_trials=1),
    "bananas-gp": _bananas(predictor=GaussianProcess()),
    "bananas-bnn": _bananas(
        predictor=BayesianNetwork(hidden=(8,), steps=10, burn_in=5, thinning=1)
    ),
    "bananas-gcn": _bananas(predictor=GCNEnsemble(num_members=2, width=8, dense=8, steps=3)),
    "bananas-vae": _bananas(predictor=VAEPredictor(num_random=20, steps=3)),
    "local-search": lambda: LocalSearchSampler(n_startup_trials=1, seed=0),
    "evolution-oldest": lambda: RegularizedEvolutionSampler(population_size=1, seed=0),
    "evolution-worst": lambda: RegularizedEvolutionSampler(
        population_size=2, tournament_size=2, removal="worst"
    ),
    "reinforce": lambda: ReinforceSampler(batch_size=2, seed=0),
    "reinforce-factorized": lambda: ReinforceSampler(policy="factorized", update="ppo", seed=0),
    "q-learning": lambda: QLearningSampler(seed=0),
    **{f"bananas-{name}": _bananas(acquisition=name) for name in ("ts", "ucb", "ei", "pi")},
    **{f"bananas-{name}": _bananas(candidates=made) for name, made in CANDIDATES.items()},
    **{f"bananas-{name}": _bananas(multi_objective=name) for name in ("hypervolume", "chebyshev")},
}
SINGLE_OBJECTIVE: dict[str, Factory] = {
    "reinforce-score": lambda: ReinforceSampler(reward="score", seed=0),
    "q-learning-cubed": lambda: QLearningSampler(reward="cubed", seed=0),
    "rnn": lambda: RNNSampler(n_startup_trials=1, seed=0),
}


class TestMultiObjectiveSamplers(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture(params=list(MULTI_OBJECTIVE.values()), ids=list(MULTI_OBJECTIVE))
    def sampler(self, request: pytest.FixtureRequest) -> Factory:
        factory: Factory = request.param
        return factory


class TestSingleObjectiveSamplers(
    BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase
):
    @pytest.fixture(params=list(SINGLE_OBJECTIVE.values()), ids=list(SINGLE_OBJECTIVE))
    def sampler(self, request: pytest.FixtureRequest) -> Factory:
        factory: Factory = request.param
        return factory
