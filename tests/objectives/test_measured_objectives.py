"""Goals, measures and limits of the objectives that train networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState
from torch import nn

from optuna_nas.measures import Measure
from optuna_nas.networks import build_network, count_macs, count_parameters
from optuna_nas.objectives import CellCNN, OneShotSearch
from optuna_nas.spaces import FlatSpace, NASBench201Space, SearchSpace

SPACE = NASBench201Space()
SMALL: dict[str, Any] = {"epochs": 1, "channels": 2, "cells": 1, "artifacts": None}


def convolutions(network: nn.Module, inputs: torch.Tensor) -> float:
    return sum(isinstance(module, nn.Conv2d) for module in network.modules())


DEPTH = Measure("convolutions", convolutions, unit="layers")


def test_cells_are_optimised_logged_and_limited() -> None:
    limit = 1_700
    objective = CellCNN(
        SPACE,
        "digits",
        goals="accuracy, macs",
        measures=DEPTH,
        limits={"parameters": limit},
        **SMALL,
    )
    higher, lower = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    assert objective.directions == (higher, lower)
    assert objective.metric_names == ("validation accuracy", "macs")
    study = optuna.create_study(directions=objective.directions, sampler=RandomSampler(seed=0))
    study.optimize(objective, n_trials=6)
    states = {trial.state for trial in study.trials}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in study.trials:
        network = objective.build(SPACE.architecture(trial.params))
        size, macs = count_parameters(network), count_macs(network, (1, 8, 8))
        assert trial.user_attrs["parameters"] == size
        assert trial.user_attrs["macs"] == trial.user_attrs["flops"] == macs
        assert trial.user_attrs["convolutions"] == convolutions(network, torch.empty(0))
        assert trial.constraints == {"parameters": size - limit}
        if size > limit:
            assert trial.state == TrialState.PRUNED
            assert "seconds" not in trial.user_attrs
        else:
            accuracy = trial.user_attrs["learning_curve"][-1][1]
            assert trial.values == [accuracy, macs]


def test_a_search_is_measured_by_the_network_that_it_derives() -> None:
    search = OneShotSearch(
        SPACE, "digits", method="gdas", goals=("accuracy", "parameters"), **SMALL
    )
    study = optuna.create_study(directions=search.directions)
    study.optimize(search, n_trials=1)
    [trial] = study.trials
    derived = SPACE.architecture(trial.user_attrs["derived_params"])
    network = build_network(derived, num_classes=10, in_channels=1, channels=2, cells=1)
    assert trial.values[1] == trial.user_attrs["parameters"] == count_parameters(network)


def test_what_is_asked_for_is_part_of_the_settings() -> None:
    def settings(**arguments: Any) -> dict[str, Any]:
        return CellCNN(SPACE, "digits", **arguments, **SMALL).settings()

    plain = settings()
    assert settings(measures="latency") == plain  # which changes no value
    assert settings(goals=["accuracy", "macs"])["goals"] == ["accuracy", "macs"]
    assert settings(limits={DEPTH: 5})["limits"] == {"convolutions": 5.0}
    assert settings(goals="accuracy,latency", measure_device="cpu")["measure_device"] == "cpu"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"goals": "latency"}, "`goals` is 'latency'; allowed are different names, the first of"),
        ({"goals": "accuracy,size"}, "`goals` has 'size'; allowed are ['accuracy', 'parameters'"),
        ({"measures": "depth"}, "`measures` has 'depth'; allowed are ['parameters', 'macs'"),
        ({"limits": "parameters"}, "`limits` has 'parameters'; allowed are a name and a number"),
        ({"limits": {"macs": -1}}, "`limits['macs']` is -1; allowed are positive numbers."),
        ({"measure_device": "abacus"}, "`measure_device` is 'abacus', which cannot be used here"),
    ],
)
def test_what_is_refused_before_data_are_loaded(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        CellCNN(SPACE, Path("nowhere"), **arguments, **SMALL)


def test_a_study_of_one_direction_is_refused() -> None:
    objective = CellCNN(SPACE, "digits", goals="accuracy,macs", **SMALL)
    study = optuna.create_study(direction="maximize")
    with pytest.raises(ValueError, match=r"need \['maximize', 'minimize'\]"):
        study.optimize(objective, n_trials=1)


def test_measuring_changes_no_training() -> None:
    values = []
    for measures in ((), ("parameters", "macs", "memory", "latency")):
        objective = CellCNN(SPACE, "digits", measures=measures, **SMALL)
        params = SPACE.random(np.random.default_rng(3)).params
        values.append(objective.evaluate(params))
    assert values[0] == values[1]


def test_spaces_without_networks_are_refused() -> None:
    space: SearchSpace = FlatSpace({"x": optuna.distributions.IntDistribution(0, 3)})
    with pytest.raises(TypeError, match="has no network"):
        CellCNN(space, "digits", goals="accuracy,macs", **SMALL)
