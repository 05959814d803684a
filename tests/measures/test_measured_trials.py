"""What becomes of measures in a study: attributes, constraints, trials that are not trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.trial import FixedTrial, TrialState
from torch import nn

from optuna_nas._ranking import best_trials
from optuna_nas._units import recall_units
from optuna_nas.measures import Goals, Learned, Measure, Measurements, Reading
from optuna_nas.samplers import BananasSampler, RegularizedEvolutionSampler
from optuna_nas.storages.retries import REASON_ATTR
from optuna_nas.trials import TrialRun

OWN = (Learned("accuracy", "validation accuracy"),)
INPUTS = torch.zeros(1, 4)


class Toy:
    """Linear layers, of which more are more accurate; counts what it trains.

    Args:
        **arguments: Goals, measures and limits.
    """

    def __init__(self, **arguments: Any) -> None:
        self.goals = Goals(OWN, **arguments)
        self.trained: list[int] = []

    def __call__(self, trial: optuna.trial.BaseTrial) -> Any:
        widths = [trial.suggest_int(f"width_{n}", 1, 40) for n in range(4)]
        with TrialRun(trial) as run:
            network = nn.Sequential(*(nn.Linear(4, width, bias=False) for width in widths))
            measured = Measurements(self.goals, run)
            measured.before_training(network[0], INPUTS)
            self.trained.append(trial.number)
            measured.after_training(network[0], INPUTS)
            values = measured.values({"accuracy": sum(widths) / 160})
            run.finish(values)
            return values

    def optimise(self, n_trials: int, sampler: BaseSampler | None = None) -> optuna.Study:
        study = optuna.create_study(directions=self.goals.directions, sampler=sampler)
        study.optimize(self, n_trials=n_trials)
        return study


def first_width(trial: optuna.trial.FrozenTrial) -> int:
    width: int = trial.params["width_0"]
    return width


def test_what_a_trial_says() -> None:
    timed = Measure("heat", lambda network, inputs: Reading(40.5, 0.25), "K")
    toy = Toy(goals=("accuracy", "parameters"), measures=("macs", timed), limits={"memory": 1e9})
    study = toy.optimise(3, optuna.samplers.RandomSampler(seed=0))
    for trial in study.trials:
        size = 4 * first_width(trial)
        accuracy = sum(trial.params.values()) / 160
        assert trial.values == [accuracy, size]
        assert trial.user_attrs == {
            "parameters": size,
            "macs": size,
            "heat": 40.5,
            "heat_spread": 0.25,
            "memory": 4 * (4 + first_width(trial)),
        }
        assert trial.constraints == {"memory": trial.user_attrs["memory"] - 1e9}
    assert recall_units(study) == {"parameters": "", "macs": "", "heat": "K", "memory": "bytes"}
    front = best_trials(study.trials, study.directions)
    assert [t.number for t in front] == [t.number for t in study.best_trials]


def test_a_network_over_a_limit_is_not_trained() -> None:
    toy = Toy(limits={"parameters": 80, "macs": 100})
    study = toy.optimise(20, optuna.samplers.RandomSampler(seed=1))
    over = [trial.number for trial in study.trials if first_width(trial) > 20]
    assert 5 < len(over) < 15
    assert sorted([*over, *toy.trained]) == list(range(20))
    for trial in study.trials:
        size = 4 * first_width(trial)
        assert trial.constraints == {"parameters": size - 80, "macs": size - 100}
        assert trial.state == (TrialState.PRUNED if size > 80 else TrialState.COMPLETE)
        assert trial.intermediate_values == {}
        assert "accuracy" not in trial.user_attrs
    worst = max(study.trials, key=first_width)
    size = 4 * first_width(worst)
    reason = f"parameters is {size}, and the most that is allowed is 80; macs is {size}, and the "
    assert reason in worst.user_attrs[REASON_ATTR]
    assert study.best_trial.number in toy.trained
    assert best_trials(study.trials, study.directions)[0].number == study.best_trial.number


def test_the_least_of_what_is_maximised() -> None:
    speed = Measure("speed", lambda network, inputs: 2.5, "img/s", "maximize")
    toy = Toy(limits={speed: 3})
    study = toy.optimise(1)
    assert study.trials[0].constraints == {"speed": 0.5}
    reason = study.trials[0].user_attrs[REASON_ATTR]
    assert reason == "Not trained: speed is 2.5 img/s, and the least that is allowed is 3."


def test_what_depends_on_the_training_is_measured_after_it() -> None:
    toy = Toy()

    def learnt(network: nn.Module, inputs: Any) -> float:
        return len(toy.trained)

    measure = Measure("learnt", learnt, trained=True)
    toy.goals = Goals(OWN, goals=("accuracy", measure), limits={measure: 1})
    study = toy.optimise(3)
    assert [trial.values[1] for trial in study.trials] == [1, 2, 3]
    # It is too late not to train: such a trial is complete, and infeasible.
    assert [trial.constraints["learnt"] for trial in study.trials] == [0, 1, 2]
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert [t.number for t in best_trials(study.trials, study.directions)] == [0]


Factory = Callable[[], BaseSampler]
SAMPLERS: dict[str, Factory] = {
    "bananas": lambda: BananasSampler(batch_size=10, seed=0),
    "evolution": lambda: RegularizedEvolutionSampler(population_size=8, seed=0),
    "nsgaii": lambda: NSGAIISampler(population_size=8, seed=0),
    "tpe": lambda: TPESampler(seed=0),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("goals", [("accuracy",), ("accuracy", "macs")])
def test_samplers_keep_to_a_limit(name: str, goals: Sequence[str]) -> None:
    """Of random networks three quarters are over it; of those proposed later far fewer."""
    if name == "evolution" and len(goals) > 1:
        pytest.skip("searches one objective")
    toy = Toy(goals=goals, limits={"parameters": 40})
    study = toy.optimise(90, SAMPLERS[name]())
    over = np.array([first_width(trial) > 10 for trial in study.trials])
    assert over[:10].mean() > 0.4
    assert over[60:].mean() < 0.5
    assert len(toy.trained) == np.sum(~over)


def test_an_interrupted_trial_keeps_what_it_measured(tmp_path: Path) -> None:
    readings = iter([5.0, 7.0])
    timed = Measure("timed", lambda network, inputs: next(readings), "ms")
    goals = Goals(OWN, goals=("accuracy", timed), limits={timed: 6})

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        with TrialRun(trial, tmp_path) as run:
            measured = Measurements(goals, run)
            measured.before_training(nn.Identity(), INPUTS)
            if trial.number == 0:
                raise KeyboardInterrupt
            values = measured.values({"accuracy": 0.5})
            run.finish(values)
            return values

    study = optuna.create_study(directions=goals.directions)
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=1)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].state == TrialState.FAIL
    assert study.trials[1].values == [0.5, 5.0]
    assert study.trials[1].constraints == {"timed": -1.0}
    assert next(readings) == 7.0


def test_measured_on_another_device() -> None:
    seen = []

    def where(network: nn.Module, inputs: Any) -> float:
        seen.append((next(network.parameters()).device.type, inputs["x"].device.type))
        return 1.0

    trial, network = FixedTrial({}), nn.Linear(4, 2)
    with TrialRun(trial) as run:
        goals = Goals(OWN, measures=Measure("where", where))
        measured = Measurements(goals, run, torch.device("meta"))
        measured.before_training(network, {"x": INPUTS})
    assert seen == [("meta", "meta")]
    assert network.weight.device.type == "cpu"


def test_outside_of_a_study() -> None:
    toy = Toy(goals=("accuracy", "parameters"), limits={"parameters": 80})
    params = {f"width_{n}": 10 for n in range(4)}
    assert toy(FixedTrial(params)) == (0.25, 40.0)
    with pytest.raises(optuna.TrialPruned, match=re.escape("parameters is 160, and the most")):
        toy(FixedTrial({**params, "width_0": 40}))
