"""Bad arguments are refused where they are given, with what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest

from optuna_nas.samplers import (
    ArchitectureSampler,
    BananasSampler,
    RegularizedEvolutionSampler,
)
from optuna_nas.spaces import FlatSpace, NASBench201Space
from optuna_nas.surrogates import MAE, MLPEnsemble

COUNTS = [(0, "0"), (-1, "-1"), (2.5, "2.5"), ("ten", "'ten'"), (None, "None"), (True, "True")]


@pytest.mark.parametrize(("value", "text"), COUNTS)
@pytest.mark.parametrize(
    ("sampler", "name"),
    [
        (BananasSampler, "n_startup_trials"),
        (BananasSampler, "batch_size"),
        (RegularizedEvolutionSampler, "population_size"),
        (RegularizedEvolutionSampler, "tournament_size"),
    ],
)
def test_counts(
    sampler: Callable[..., ArchitectureSampler], name: str, value: Any, text: str
) -> None:
    if (name, value) == ("batch_size", None):
        return  # the default: batches grow
    with pytest.raises(ValueError, match=f"`{name}` is {text}; allowed is an integer of 1 or"):
        sampler(**{name: value})


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("encoding", ["adjacency", "folded", "one_hot", "path", "truncated_path"]),
        ("loss", ["mae", "mape", "mse"]),
        ("targets", ["identity", "log_regret"]),
        ("acquisition", ["ei", "its", "pi", "ts", "ucb"]),
        (
            "candidates",
            [
                *("evolution", "local_search", "mixed", "mutation", "mutation_random"),
                *("random", "surroundings"),
            ],
        ),
        ("multi_objective", ["chebyshev", "hypervolume"]),
    ],
)
@pytest.mark.parametrize("value", ["best", "", 3])
def test_names_of_components(name: str, allowed: list[str], value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value!r}; allowed are ") as raised:
        BananasSampler(**{name: value})
    assert all(repr(choice) in str(raised.value) for choice in allowed)
    sampler: Callable[..., ArchitectureSampler] = BananasSampler
    for choice in allowed:
        sampler(**{name: choice})


def test_removal() -> None:
    message = r"`removal` is 'youngest'; allowed are \['oldest', 'worst'\]"
    with pytest.raises(ValueError, match=message):
        RegularizedEvolutionSampler(removal="youngest")


@pytest.mark.parametrize("value", [-1, 1.5, "0"])
def test_seed(make: Callable[..., ArchitectureSampler], value: Any) -> None:
    with pytest.raises(ValueError, match=f"`seed` is {value!r}; allowed is an integer of 0 or"):
        make(seed=value)


def test_space(make: Callable[..., ArchitectureSampler]) -> None:
    for wrong in ("nasbench201", NASBench201Space, NASBench201Space().distributions):
        with pytest.raises(TypeError, match=r"`space` is .*; allowed are None and a search space"):
            make(wrong)


def test_a_loss_belongs_to_the_default_predictor() -> None:
    with pytest.raises(ValueError, match="`loss` belongs to the default predictor"):
        BananasSampler(predictor=MLPEnsemble(), loss="mae")
    with pytest.raises(ValueError, match="`loss` belongs to the default predictor"):
        BananasSampler(predictor=MLPEnsemble(), loss=MAE())


@pytest.mark.parametrize("acquisition", ["ei", "pi"])
def test_improvements_are_no_values_that_span_a_volume(acquisition: str) -> None:
    with pytest.raises(ValueError, match=f"the acquisition '{acquisition}'.* allowed with it are"):
        BananasSampler(acquisition=acquisition, multi_objective="hypervolume")
    BananasSampler(acquisition=acquisition, multi_objective="chebyshev")


@pytest.mark.parametrize("encoding", ["path", "truncated_path"])
def test_an_encoding_that_does_not_fit_fails_at_the_first_trial(encoding: str) -> None:
    space = FlatSpace({"x": optuna.distributions.FloatDistribution(0, 1)})
    study = optuna.create_study(sampler=BananasSampler(encoding=encoding))
    with pytest.raises(ValueError, match="FlatSpace has no paths"):
        study.optimize(lambda trial: space.suggest(trial)["x"], n_trials=1)
