"""The trained recurrent network as a sampler, and what it was trained by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import pytest
import torch
from numpy.typing import NDArray
from optuna.trial import TrialState

from optuna_nas.meta.observed_improvement import (
    Functions,
    initial_weights,
    meta_train,
    observed_improvements,
    search,
)
from optuna_nas.samplers import RNNSampler
from optuna_nas.samplers._recurrent import SHAPES, nothing_yet, observe, propose
from optuna_nas.samplers.rnn import _WEIGHTS, _load, _window

Weights = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return dict(_load(_WEIGHTS))


def proposal(
    weights: Weights, points: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    memory = nothing_yet(points[:1], np)
    for x, y in zip(points, values, strict=True):
        memory = observe(weights, memory, x[None], y[None], np)
    found: NDArray[np.float64] = propose(weights, memory, np)[0]
    return found


@pytest.fixture
def seen() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (6, 4)), rng.normal(size=6)


def test_the_weights_of_the_package(weights: Weights) -> None:
    assert {name: w.shape for name, w in weights.items()} == SHAPES
    assert _WEIGHTS.stat().st_size < 50_000


def test_numpy_and_torch_propose_the_same(weights: Weights, seen: Any) -> None:
    points, values = seen
    tensors = {name: torch.from_numpy(w) for name, w in weights.items()}
    memory = nothing_yet(torch.from_numpy(points[:1]), torch)
    for x, y in zip(torch.from_numpy(points), torch.from_numpy(values), strict=True):
        memory = observe(tensors, memory, x[None], y[None], torch)
    expected = propose(tensors, memory, torch)[0]
    np.testing.assert_allclose(proposal(weights, points, values), expected.numpy(), atol=1e-10)


def test_permuting_coordinates_permutes_the_proposal(weights: Weights, seen: Any) -> None:
    points, values = seen
    order = np.array([2, 0, 3, 1])
    found = proposal(weights, points[:, order], values)
    np.testing.assert_allclose(found, proposal(weights, points, values)[order], atol=1e-10)
    assert len(np.unique(found.round(6))) == 4
    assert np.abs(found).max() <= 1


def test_scale_and_offset_of_values_do_not_count(weights: Weights, seen: Any) -> None:
    points, values = seen
    found = proposal(weights, points, values)
    np.testing.assert_allclose(proposal(weights, points, 1e4 * values - 77), found, atol=1e-6)
    assert np.abs(proposal(weights, points, -values) - found).max() > 1e-3


def test_observed_improvements_telescope() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(30, 8, generator=generator, dtype=torch.float64)
    total = observed_improvements(values).sum(0)
    torch.testing.assert_close(total, values.min(0).values - values[0])
    assert bool((observed_improvements(values) <= 0).all())


def test_draws_have_the_covariance_of_their_process() -> None:
    """Unit variance, and a correlation that falls with the distance."""
    generator = torch.Generator().manual_seed(0)
    functions = Functions.draw(4000, 2, generator, bowls=False)
    near, far = (torch.full((4000, 2), v) for v in (0.02, 1.0))
    start, close, distant = (functions(x) for x in (torch.zeros(4000, 2), near, far))
    assert float(start.var()) == pytest.approx(1.0, abs=0.1)
    assert float((start * close).mean()) > 0.95
    assert 0.1 < float((start * distant).mean()) < 0.7


def test_draws_with_bowls_have_unit_variance() -> None:
    """Over functions and points; and the bowls are lowest within the box."""
    generator = torch.Generator().manual_seed(0)
    functions = Functions.draw(4000, 3, generator)
    values = torch.stack(
        [functions(2 * torch.rand(4000, 3, generator=generator) - 1) for _ in range(50)]
    )
    within = values.var(0).mean()  # long waves vary less within a box than between boxes
    assert 0.5 < float(within) < 1.05
    assert float(functions.centres.abs().max()) <= 0.8


def test_gradients_of_the_search_are_right() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {name: w.double() for name, w in initial_weights(generator).items()}
    drawn = Functions.draw(3, 2, generator)
    functions = Functions(*(t.double() for t in vars(drawn).values()))
    starts = 2 * torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) - 1
    output = weights["output"].requires_grad_()

    def last() -> torch.Tensor:
        """One proposal, in which no statistics of values have been differentiated."""
        return search(weights, functions, starts, 3)[-1].sum()

    [gradient] = torch.autograd.grad(last(), [output])
    for place in ((0, 0), (7, 1)):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                output[place] += sign * 1e-6
                ends.append(float(last()))
                output[place] -= sign * 1e-6
        assert float(gradient[place]) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)


def test_the_training_is_repeatable_and_moves_the_weights() -> None:
    runs = [
        [loss for _, loss in meta_train(3, 1, batch_size=4, horizon=12, largest_dimension=2)]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    before = initial_weights(torch.Generator().manual_seed(1))
    [*_, (after, _)] = meta_train(2, 1, batch_size=4, horizon=12, largest_dimension=2)
    assert any(not torch.equal(before[name], after[name]) for name in before)


def bowl(trial: optuna.Trial) -> float:
    return sum((trial.suggest_float(f"x{i}", -2, 4) - 0.3 * i) ** 2 for i in range(4))


def best(
    make: Callable[[int], optuna.samplers.BaseSampler],
    direction: Literal["minimize", "maximize"] = "minimize",
) -> float:
    sign = 1 if direction == "minimize" else -1
    found = []
    for seed in range(8):
        study = optuna.create_study(sampler=make(seed), direction=direction)
        study.optimize(lambda trial: sign * bowl(trial), n_trials=20)
        found.append(sign * study.best_value)
    return float(np.mean(found))


def test_it_beats_random_on_a_bowl_in_either_direction() -> None:
    random = best(lambda seed: optuna.samplers.RandomSampler(seed))
    down = best(lambda seed: RNNSampler(seed=seed))
    up = best(lambda seed: RNNSampler(seed=seed), "maximize")
    assert down < 0.6 * random
    assert up == pytest.approx(down)


def mixed(trial: optuna.Trial) -> float:
    number = trial.suggest_int("n", 1, 9) + trial.suggest_float("rate", 1e-4, 1.0, log=True)
    return number + (trial.suggest_categorical("kind", ["a", "b"]) == "a")


def test_integers_logs_and_what_it_cannot_search() -> None:
    study = optuna.create_study(sampler=RNNSampler(seed=0))
    study.optimize(mixed, n_trials=12)
    assert len({tuple(t.params.values()) for t in study.trials}) == 12
    assert {t.params["kind"] for t in study.trials} == {"a", "b"}


def test_what_was_tried_is_not_tried_again() -> None:
    def objective(trial: optuna.Trial) -> float:
        return float(trial.suggest_int("n", 0, 2)) ** 2

    study = optuna.create_study(sampler=RNNSampler(seed=0, n_startup_trials=1))
    study.optimize(objective, n_trials=12)
    assert {t.params["n"] for t in study.trials} == {0, 1, 2}


def test_it_goes_on_from_the_study_alone() -> None:
    """Another sampler, with another seed, proposes the same next point."""
    study = optuna.create_study(sampler=RNNSampler(seed=1))
    study.optimize(bowl, n_trials=8)
    asked = []
    for sampler in (study.sampler, RNNSampler(seed=5)):
        copy = optuna.create_study(sampler=sampler)
        copy.add_trials(study.trials)
        trial = copy.ask()
        bowl(trial)
        asked.append(trial.params)
    assert asked[0] == asked[1]


def test_workers_do_not_try_the_same() -> None:
    study = optuna.create_study(sampler=RNNSampler(seed=1))
    study.optimize(bowl, n_trials=5)
    running = [study.ask() for _ in range(3)]
    for trial in running:
        bowl(trial)
    assert len({tuple(t.params.values()) for t in running}) == 3
    assert [t.state for t in study.trials[-3:]] == [TrialState.RUNNING] * 3


def test_values_that_are_not_finite() -> None:
    study = optuna.create_study(sampler=RNNSampler(seed=1))
    values = iter([1.0, float("inf"), -1e308, 1e308, 0.5, 0.2])
    study.optimize(lambda trial: bowl(trial) * 0 + next(values), n_trials=6)
    trial = study.ask()
    assert np.isfinite(bowl(trial))


def test_the_window_keeps_the_best() -> None:
    values = np.array([3.0, 0.0, 2.0, 1.0, 5.0])
    assert _window(values, 3).tolist() == [1, 3, 4]
    assert _window(values, 4).tolist() == [1, 2, 3, 4]
    assert _window(values, 9).tolist() == [0, 1, 2, 3, 4]


def test_several_objectives_are_refused() -> None:
    study = optuna.create_study(directions=["minimize"] * 2, sampler=RNNSampler(seed=0))
    with pytest.raises(ValueError, match="optimises one objective"):
        study.optimize(lambda t: (t.suggest_float("x", 0, 1), 0.0), n_trials=5)


def test_files_that_are_no_weights(tmp_path: Path, weights: Weights) -> None:
    with pytest.raises(ValueError, match=r"which cannot be read"):
        RNNSampler(weights=tmp_path / "nothing")
    for name, change in (("short", weights["bias"][:3]), ("nan", weights["bias"] * np.nan)):
        arrays: dict[str, Any] = {**weights, "bias": change}
        np.savez(tmp_path / name, **arrays)
        with pytest.raises(ValueError, match=r"^`weights` is .*allowed are finite ones of"):
            RNNSampler(weights=tmp_path / f"{name}.npz")
    (tmp_path / "text").write_text("none")
    with pytest.raises(ValueError, match=r"which cannot be read"):
        RNNSampler(weights=tmp_path / "text")


@pytest.mark.parametrize(("name", "value"), [("n_startup_trials", 0), ("window", 1)])
def test_wrong_arguments(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"^`{name}` is {value}; allowed is an integer of"):
        RNNSampler(**{name: value})  # type: ignore[arg-type]
