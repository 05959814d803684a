"""Studies of choices of any type and of numbers of any size are searched."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_nas.samplers import ArchitectureSampler, BananasSampler
from optuna_nas.samplers._history import Observation, with_violations
from optuna_nas.samplers._reading import HistoryReader
from optuna_nas.spaces import FlatSpace, NASBench201Space
from optuna_nas.surrogates.constraints import constraint_targets
from optuna_nas.surrogates.scaling import tamed

Make = Callable[..., ArchitectureSampler]
MOST = sys.float_info.max
CHOICES: dict[str, list[Any]] = {
    "lists": [[8], [8, 8], [16, 4, 2]],
    "tuples": [(8,), (8, 8)],
    "dicts": [{"a": 1}, {"a": 1, "b": 2}],
    "nan": [float("nan"), 1.0, 2.0],
    "equal": [1, True],
    "same": ["a", "a"],
}


@pytest.mark.parametrize("storage", [None, "sqlite:///:memory:"])
@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.filterwarnings("ignore:Choices for a categorical")
def test_choices_of_any_type(make: Make, name: str, storage: str | None) -> None:
    choices, given = CHOICES[name], []

    def objective(trial: optuna.Trial) -> float:
        chosen = trial.suggest_categorical("c", choices)
        given.append(chosen)
        return trial.suggest_float("x", 0, 1) + len(str(chosen))

    study = optuna.create_study(sampler=make(), storage=storage)
    study.optimize(objective, n_trials=12)
    assert all(any(chosen is choice for choice in choices) for chosen in given)  # as they are
    assert len({str(chosen) for chosen in given}) >= 2 or name in ("equal", "same")


@pytest.mark.filterwarnings("ignore:Choices for a categorical")
def test_a_model_searches_tuples_as_it_does_texts() -> None:
    def search(choices: list[Any]) -> list[float]:
        def objective(trial: optuna.Trial) -> float:
            return -sum(len(trial.suggest_categorical(f"c{n}", choices)) == 4 for n in range(3))

        sampler = BananasSampler(seed=0)
        study = optuna.create_study(sampler=sampler, storage="sqlite:///:memory:")
        study.optimize(objective, n_trials=25)
        return [trial.values[0] for trial in study.trials]

    tuples, texts = ([kind * n for n in range(1, 7)] for kind in (("x",), "x"))
    assert search(tuples) == search(texts)


def test_numbers_of_any_size(make: Make) -> None:
    def objective(trial: optuna.Trial) -> float:
        seed = trial.suggest_int("seed", 0, 2**63 - 1)
        wide = trial.suggest_float("wide", -1e308, 1e308)
        return seed / 2**63 + wide / 1e308 + trial.suggest_int("layers", 1, 4, log=True)

    study = optuna.create_study(sampler=make())
    study.optimize(objective, n_trials=14)
    assert len({trial.params["seed"] for trial in study.trials}) > 4


@pytest.mark.parametrize("predictor", ["mlp", "gp"])
@pytest.mark.parametrize("targets", ["log_regret", "identity"])
@pytest.mark.parametrize(("low", "high"), [(0.3, MOST), (-MOST, MOST), (0.3, 1e300)])
@pytest.mark.parametrize("objectives", [1, 2])
def test_values_of_any_size(
    predictor: str, targets: str, low: float, high: float, objectives: int
) -> None:
    space = NASBench201Space()

    def objective(trial: optuna.Trial) -> Any:
        value = low if str(space.suggest(trial)).count("nor_conv_3x3") > 1 else high
        return value if objectives == 1 else (value, -value)

    sampler = BananasSampler(seed=0, n_startup_trials=5, predictor=predictor, targets=targets)
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
    study.optimize(objective, n_trials=8)


@pytest.mark.parametrize("large", [1e3, 1e100, 1e200, MOST, float("inf"), float("nan")])
@pytest.mark.parametrize("small", [1e-300, 1e-20, 0.5])
def test_what_violates_a_constraint_is_infeasible_by_however_much(
    large: float, small: float
) -> None:
    study = optuna.create_study(direction="maximize")
    for number in range(7):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        value = [-1.0, -1.0, -1.0, small, large, large, large][number]
        if not np.isnan(value):
            trial.set_constraint("memory", value)
        else:
            study._storage.set_trial_system_attr(trial._trial_id, "constraints", [value])
        study.tell(trial, float(number))
    space = FlatSpace(study.trials[0].distributions)
    history = HistoryReader(space).read(study, study.trials, except_number=-1)
    assert [o.violation > 0 for o in history.observations] == [False] * 3 + [True] * 4
    assert all(np.isfinite(o.violation) for o in history.observations)
    assert [o.number for o in history.ranked][:4] == [2, 1, 0, 3]
    for _, values in history.constraints.values():
        learnt = constraint_targets(values)
        assert np.isfinite(learnt).all()


def test_violations_of_several_sizes_add_up() -> None:
    cell = NASBench201Space().random(np.random.default_rng(0))
    found = with_violations(
        [
            Observation(n, cell, (0.0,), False, None, {"a": a, "b": b})  # type: ignore[arg-type]
            for n, (a, b) in enumerate([(MOST, 1e-9), (-MOST, 1.0), (0.0, 0.0), (1e-9, -1.0)])
        ]
    )
    assert [o.violation > 0 for o in found] == [True, True, False, True]


def test_taming_keeps_ratios_and_signs() -> None:
    values = np.array([-MOST, 1e300, 0.0, 1e-300, -5.0])
    small = tamed(values)
    assert np.isfinite(np.square(small).sum())
    assert np.sign(small).tolist() == np.sign(values).tolist()
    assert small[1] / small[0] == values[1] / values[0]
    usual = np.array([1e50, -3.0])
    assert tamed(usual) is usual
