"""BANANAS: when it fits, what it learns from, and whose word it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_info, threadpool_limits

from optuna_nas.samplers import BananasSampler
from optuna_nas.samplers.bananas import _batch_start
from optuna_nas.spaces import Architecture, NASBench201Space, SearchSpace
from optuna_nas.surrogates import (
    MAPE,
    CandidateGenerator,
    Encoding,
    FoldedCountsEncoding,
    MLPEnsemble,
    MutationCandidates,
    PathEncoding,
    Pool,
    Predictor,
    StructureEncoding,
    TruncatedPathEncoding,
    identity,
    log_regret,
)

SPACE = NASBench201Space()
Error = Callable[[Architecture], float]
Propose = Callable[..., dict[str, Any]]


class Oracle(Predictor):
    """A predictor that knows nothing and remembers its fits."""

    def __init__(self) -> None:
        self.fits: list[tuple[int, np.ndarray]] = []
        self.threads: set[int] = set()

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        self.fits.append((len(features), targets.copy()))
        self.threads |= {
            int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"
        }

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.zeros((3, len(features)))


class Fixed(CandidateGenerator):
    """Always the same candidates, whether they are new or not."""

    def __init__(self, *candidates: Architecture) -> None:
        self.candidates = list(candidates)
        self.pools: list[Pool] = []

    def __call__(self, pool: Pool) -> list[Architecture]:
        self.pools.append(pool)
        return self.candidates


def run(sampler: BananasSampler, n_trials: int, error: Error, **options: Any) -> optuna.Study:
    study = optuna.create_study(sampler=sampler, **options)
    study.optimize(lambda trial: error(SPACE.suggest(trial)), n_trials=n_trials)
    return study


def cells_of(study: optuna.Study) -> list[Architecture]:
    return [SPACE.architecture(trial.params) for trial in study.trials]


@pytest.mark.parametrize(
    ("startup", "batch", "n_trials", "sizes"),
    [(4, 3, 16, [4, 7, 10, 13]), (5, 1, 9, [5, 6, 7, 8]), (3, 10, 13, [3]), (1, 2, 5, [1, 3])],
)
def test_one_fit_for_each_batch(
    startup: int, batch: int, n_trials: int, sizes: list[int], error: Error
) -> None:
    oracle = Oracle()
    sampler = BananasSampler(
        n_startup_trials=startup,
        batch_size=batch,
        predictor=oracle,
        targets="identity",
        seed=0,
    )
    study = run(sampler, n_trials, error)
    assert [size for size, _ in oracle.fits] == sizes
    values = [trial.values[0] for trial in study.trials]
    for size, targets in oracle.fits:
        assert targets.tolist() == values[:size]


@pytest.mark.parametrize(
    ("startup", "starts"),
    [
        (10, [10, 12, 14, 98, 100, 105, 110, 495, 500, 510]),
        (11, [11, 13, 99, 100, 105]),
        (103, [103, 108, 498, 500, 510]),
        (700, [700, 710]),
    ],
)
def test_batches_grow_by_default(startup: int, starts: list[int]) -> None:
    """Two trials share a fit, from trial 100 on five, and from trial 500 on ten."""
    first = [_batch_start(number, startup, None) for number in range(startup, 720)]
    assert set(starts) <= set(first)
    assert first == sorted(first)
    for number, start in enumerate(first, start=startup):
        size = 2 if start < 100 else 5 if start < 500 else 10
        assert start <= number < start + size
    assert all(_batch_start(number, startup, None) <= number for number in range(startup))


@pytest.mark.parametrize("name", ["log_regret", None])
def test_the_logarithm_of_the_regret_is_learnt(name: str | None, error: Error) -> None:
    oracle = Oracle()
    sampler = BananasSampler(n_startup_trials=5, predictor=oracle, targets=name, seed=0)
    study = run(sampler, 6, error)
    values = np.array([trial.values[0] for trial in study.trials[:5]])
    assert oracle.fits[0][1] == pytest.approx(log_regret(values))


@pytest.mark.parametrize(
    "options", [{"loss": "mape"}, {"loss": MAPE()}, {"predictor": MLPEnsemble(loss=MAPE(0.0))}]
)
def test_percentages_are_of_errors_not_of_logarithms(options: Any, error: Error) -> None:
    """The loss MAPE knows a lower bound of the errors, so it must see errors."""
    sampler = BananasSampler(n_startup_trials=5, seed=0, **options)
    assert sampler._targets is identity
    run(sampler, 8, error)
    assert BananasSampler(targets="log_regret", **options)._targets is log_regret


def test_targets_are_errors_whatever_the_direction(error: Error) -> None:
    oracle = Oracle()
    sampler = BananasSampler(n_startup_trials=4, predictor=oracle, targets="identity", seed=0)
    study = run(sampler, 5, lambda a: 100 - error(a), direction="maximize")
    values = [trial.values[0] for trial in study.trials[:4]]
    assert oracle.fits[0][1].tolist() == [-value for value in values]


def test_small_matrices_are_kept_on_one_thread(error: Error) -> None:
    oracle = Oracle()
    with threadpool_limits(limits=2, user_api="blas"):
        before = threadpool_info()
        run(BananasSampler(n_startup_trials=2, predictor=oracle, seed=0), 3, error)
        assert threadpool_info() == before
    assert len(oracle.fits) == 1
    assert oracle.threads <= {1}


@pytest.fixture
def chosen() -> list[Architecture]:
    rng = np.random.default_rng(8)
    return list({cell.key: cell for cell in (SPACE.random(rng) for _ in range(40))}.values())[:12]


@pytest.mark.parametrize("deduplicate", [True, False])
def test_the_acquisition_is_obeyed(
    chosen: list[Architecture], error: Error, deduplicate: bool
) -> None:
    """Each batch takes its candidates by score, the lowest first."""
    scores = np.random.default_rng(1).permutation(12).astype(float)
    incumbents = []

    def acquisition(members: np.ndarray, incumbent: float, rng: np.random.Generator) -> np.ndarray:
        assert members.shape == (3, 12)
        incumbents.append(incumbent)
        return scores

    sampler = BananasSampler(
        n_startup_trials=3,
        batch_size=6,
        predictor=Oracle(),
        acquisition=acquisition,
        candidates=Fixed(*chosen),
        targets=lambda errors: 10 * errors,
        deduplicate=deduplicate,
        seed=0,
    )
    study = run(sampler, 15, error)
    ranked = [chosen[index] for index in np.argsort(scores)]
    found = cells_of(study)[3:]
    # A candidate that was evaluated is passed over, unless repeats are allowed.
    assert found == (ranked if deduplicate else ranked[:6] + ranked[:6])
    values = [trial.values[0] for trial in study.trials]
    assert incumbents == [10 * min(values[:3]), 10 * min(values[:9])]


def test_candidates_come_from_the_best_that_is_known(error: Error) -> None:
    fixed = Fixed(*(SPACE.random(np.random.default_rng(n)) for n in range(30)))
    sampler = BananasSampler(
        n_startup_trials=5, batch_size=5, predictor=Oracle(), candidates=fixed, seed=0
    )
    study = run(sampler, 12, error)
    cells = cells_of(study)
    assert len(fixed.pools) == 2
    for pool, known in zip(fixed.pools, (5, 10), strict=True):
        assert pool.space == SPACE
        assert list(pool.parents) == sorted(cells[:known], key=error)
        assert not any(pool.is_new(cell) for cell in cells[:known])
        assert pool.is_new(cells[-1])


def test_the_rest_of_a_batch_is_random_when_candidates_run_out(error: Error) -> None:
    sampler = BananasSampler(n_startup_trials=2, predictor=Oracle(), candidates=Fixed(), seed=0)
    study = run(sampler, 8, error)
    assert len({cell.key for cell in cells_of(study)}) == 8


def test_a_pinned_trial_gets_candidates_of_its_own(error: Error) -> None:
    def sampler() -> BananasSampler:
        return BananasSampler(n_startup_trials=3, batch_size=5, predictor=Oracle(), seed=0)

    pinned = {"edge_0_3": "skip_connect", "edge_0_1": "nor_conv_3x3"}
    study = run(sampler(), 4, error)
    study.enqueue_trial(pinned)
    study.optimize(lambda trial: error(SPACE.suggest(trial)), n_trials=2)
    assert study.trials[4].params.items() >= pinned.items()
    # The others of the batch get what they would have got without it.
    plain = [trial.params for trial in run(sampler(), 5, error).trials]
    assert plain == [study.trials[n].params for n in (0, 1, 2, 3, 5)]


def test_failures_at_the_start_are_made_up_for(error: Error) -> None:
    """The model takes over once so many trials have a value, not before."""
    oracle = Oracle()
    sampler = BananasSampler(n_startup_trials=4, batch_size=3, predictor=oracle, seed=0)

    def objective(trial: optuna.Trial) -> float:
        value = error(SPACE.suggest(trial))
        return float("nan") if trial.number in (1, 2) else value

    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=12)
    assert min(size for size, _ in oracle.fits) == 6  # four values, and two failures
    # The batch of trial 10: ten trials before, of which the two that failed are learnt as bad.
    assert oracle.fits[-1][0] == 10


@pytest.mark.usefixtures("lively")
def test_one_fit_serves_several_workers(
    error: Error, finished: Callable[..., FrozenTrial], propose: Propose
) -> None:
    """Asked in turn, with the trials of the others still running, each takes the next best.

    The first worker is alone and keeps its ranking; the second one publishes its own.
    """
    rng = np.random.default_rng(5)
    ranked = [SPACE.random(rng) for _ in range(12)]
    study = optuna.create_study()
    for _ in range(4):
        cell = SPACE.random(rng)
        study.add_trial(finished(cell, error(cell)))
    found: list[Architecture] = []
    sizes: list[int] = []
    for _ in range(5):
        oracle = Oracle()
        worker = BananasSampler(
            SPACE,
            n_startup_trials=4,
            predictor=oracle,
            candidates=Fixed(*(cell for cell in ranked if cell not in found)),
            acquisition=lambda members, incumbent, rng: np.arange(float(members.shape[1])),
            seed=0,
        )
        found.append(SPACE.architecture(propose(worker, study, SPACE)))
        sizes += [size for size, _ in oracle.fits]
    assert found == ranked[:5]
    assert sizes == [4, 4]


@pytest.mark.parametrize(
    ("given", "expected"),
    [("folded", 70), ("path", 155), ("one_hot", 30), ("adjacency", 6), (PathEncoding(1), 5)],
)
def test_encodings(given: str | Encoding, expected: int, error: Error) -> None:
    widths = []

    class Spy(Oracle):
        def fit(self, features: np.ndarray, targets: np.ndarray, rng: Any) -> None:
            widths.append(features.shape[1])

    run(BananasSampler(n_startup_trials=2, encoding=given, predictor=Spy(), seed=0), 3, error)
    assert widths == [expected]


def test_pruned_trials_are_learnt_from(error: Error) -> None:
    oracle = Oracle()
    sampler = BananasSampler(n_startup_trials=6, predictor=oracle, targets="identity", seed=0)

    def objective(trial: optuna.Trial) -> float:
        value = error(SPACE.suggest(trial))
        trial.report(value + 3, 0)
        if trial.number % 2:
            raise optuna.TrialPruned
        return value

    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=7)
    assert study.trials[1].state == TrialState.PRUNED
    errors = [error(cell) for cell in cells_of(study)[:6]]
    middle = sorted(errors[::2])[1]  # nothing that was pruned is better
    errors[1::2] = [max(value, middle) for value in errors[1::2]]
    assert oracle.fits[0][1] == pytest.approx(errors)


def test_the_rows_of_a_fit_belong_to_its_architectures(error: Error) -> None:
    """Codes are kept from one fit to the next, so they must not be mixed up."""
    seen = []

    class Spy(Oracle):
        def fit(self, features: np.ndarray, targets: np.ndarray, rng: Any) -> None:
            seen.append(features)

    sampler = BananasSampler(n_startup_trials=4, batch_size=3, predictor=Spy(), seed=0)
    cells = cells_of(run(sampler, 14, error))
    assert [len(features) for features in seen] == [4, 7, 10, 13]
    for features in seen:
        known = cells[: len(features)]
        assert any(
            np.array_equal(features, encoding.encode(SPACE, known))
            for encoding in (StructureEncoding(), FoldedCountsEncoding())
        )


def test_the_published_setting(error: Error) -> None:
    sampler = BananasSampler.published(SPACE, seed=3)
    assert isinstance(sampler._encoding, TruncatedPathEncoding)
    assert isinstance(sampler._candidate_generator, MutationCandidates)
    assert isinstance(sampler._predictor, MLPEnsemble)
    assert sampler._predictor.hidden == (20,) * 10
    assert sampler._targets is identity
    assert (sampler._n_startup_trials, sampler._batch_size) == (10, 10)
    study = run(sampler, 22, error)
    again = run(BananasSampler.published(seed=3), 22, error)
    assert cells_of(study) == cells_of(again)


def test_studies_of_numbers_are_searched_too() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -5, 5)
        y = trial.suggest_float("y", 1e-3, 1e3, log=True)
        n = trial.suggest_int("n", 0, 20, step=5)
        return x**2 + y + n + len(trial.suggest_categorical("c", ("a", "bbb")))

    best: dict[int, list[float]] = {10: [], 999: []}
    for seed in range(6):
        for startup, found in best.items():
            study = optuna.create_study(
                sampler=BananasSampler(seed=seed, n_startup_trials=startup)
            )
            study.optimize(objective, n_trials=40)
            found.append(study.best_value)
    assert np.mean(best[10]) < np.mean(best[999]) - 0.5


def searching(seed: int, space: SearchSpace, error: Error, **options: Any) -> list[float]:
    """The values of a search with the default model; `n_startup_trials` as given."""
    study = optuna.create_study(sampler=BananasSampler(seed=seed, **options))
    study.optimize(lambda trial: error(space.suggest(trial)), n_trials=40)
    return [trial.values[0] for trial in study.trials]


def test_bananas_beats_random_search(error: Error) -> None:
    """With its defaults, on an additive error: the best of 40 and the mean of the last 15."""
    seeds = range(8)
    model = np.array([searching(seed, SPACE, error) for seed in seeds])
    random = np.array([searching(seed, SPACE, error, n_startup_trials=99) for seed in seeds])
    assert np.array_equal(model[:, :10], random[:, :10])
    assert model.min(axis=1).mean() < random.min(axis=1).mean() - 0.2
    assert model[:, 25:].mean() < random[:, 25:].mean() - 0.7


@pytest.mark.parametrize("acquisition", ["its", "ts", "ucb", "ei", "pi"])
def test_every_acquisition_improves(acquisition: str, error: Error) -> None:
    candidates = MutationCandidates(30)
    values = searching(1, SPACE, error, acquisition=acquisition, candidates=candidates)
    assert np.mean(values[25:]) < np.mean(values[:10]) - 0.5
