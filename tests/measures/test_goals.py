"""Goals, measures and limits of an objective: names, directions, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from optuna.study import StudyDirection
from torch import nn

from optuna_nas.measures import MEASURES, Goals, Learned, Measure

HIGHER, LOWER = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE


def nothing(network: nn.Module, inputs: Any) -> float:
    return 0.0


OWN = (Learned("accuracy", "validation accuracy"), Learned("loss", "loss", LOWER))
SPEED = Measure("speed", lambda network, inputs: 1.0, "img/s", "maximize")


def test_the_first_learned_value_is_the_goal() -> None:
    goals = Goals(OWN)
    assert (goals.names, goals.directions) == (("accuracy",), (HIGHER,))
    assert goals.metric_names == ("validation accuracy",)
    assert (goals.measures, goals.limits, goals.settings()) == ({}, {}, {})
    assert goals.values({"accuracy": 0.5, "loss": 2.0}, {}) == (0.5,)


def test_goals_in_the_order_given() -> None:
    goals = Goals(OWN, goals=["loss", SPEED, "latency", "accuracy"])
    assert goals.names == ("loss", "speed", "latency", "accuracy")
    assert goals.directions == (LOWER, HIGHER, LOWER, HIGHER)
    assert goals.metric_names == ("loss", "speed", "latency", "validation accuracy")
    assert goals.measures == {"speed": SPEED, "latency": MEASURES["latency"]}
    found = goals.values({"accuracy": 0.5, "loss": 2.0}, {"latency": 3.0, "speed": 7.0})
    assert found == (2.0, 7.0, 3.0, 0.5)
    assert goals.settings() == {"goals": ["loss", "speed", "latency", "accuracy"]}


def test_one_name_is_enough() -> None:
    assert Goals(OWN, goals="loss").names == ("loss",)
    assert Goals(OWN, measures="macs").measures == {"macs": MEASURES["macs"]}
    assert Goals(OWN, measures=SPEED).measures == {"speed": SPEED}


def test_goals_limits_and_measures_are_measured_once() -> None:
    goals = Goals(
        OWN,
        goals=("accuracy", "parameters"),
        measures=("latency", "parameters", SPEED),
        limits={"parameters": 50_000, SPEED: 3, "memory": 2**20},
    )
    assert list(goals.measures) == ["parameters", "latency", "speed", "memory"]
    assert goals.limits == {"parameters": 50_000.0, "speed": 3.0, "memory": 2.0**20}
    assert goals.settings() == {"goals": ["accuracy", "parameters"], "limits": goals.limits}


def test_the_excess_over_a_limit() -> None:
    goals = Goals(OWN, limits={"parameters": 100, SPEED: 3})
    assert [goals.excess("parameters", n) for n in (90, 100, 101)] == [-10, 0, 1]
    assert [goals.excess("speed", n) for n in (2, 3, 5)] == [1, 0, -2]  # the least


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"goals": ()}, "`goals` is (); allowed are different names, the first of ['accuracy',"),
        ({"goals": ("latency", "accuracy")}, "`goals` is ('latency', 'accuracy'); allowed"),
        ({"goals": ["accuracy", "accuracy"]}, "`goals` is ['accuracy', 'accuracy']; allowed"),
        ({"goals": "size"}, "`goals` has 'size'; allowed are ['accuracy', 'loss', 'parameters'"),
        ({"measures": "accuracy"}, "`measures` has 'accuracy'; allowed are ['parameters', "),
        ({"measures": [3]}, "`measures` has 3; allowed are ['parameters', "),
        ({"limits": {"flops": 1}}, "`limits` has 'flops'; allowed are ['parameters', "),
        ({"limits": {"latency": 0}}, "`limits['latency']` is 0; allowed are positive numbers."),
        ({"limits": {"latency": "5"}}, "`limits['latency']` is '5'; allowed are positive numbers"),
        (
            {"measures": Measure("loss", nothing)},
            "`measures` has a second measure of the name 'loss'",
        ),
        (
            {"measures": ["latency", Measure("latency", nothing)]},
            "`measures` has a second measure of the name 'latency'.",
        ),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Goals(OWN, **arguments)
