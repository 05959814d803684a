"""The space of perceptrons: conditional widths."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution

from optuna_nas.spaces import MLPSpace


def test_a_trial_has_the_widths_of_its_layers() -> None:
    space = MLPSpace()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        architecture = space.suggest(trial)
        depth = trial.params["layers"]
        widths = {name for name in trial.params if name.startswith("width_")}
        assert widths == {f"width_{layer}" for layer in range(1, depth + 1)}
        assert ("skip" in trial.params) == (depth > 1)
        assert architecture.params == trial.params
        assert space.widths(architecture) == tuple(
            trial.params[f"width_{n + 1}"] for n in range(depth)
        )


def test_the_number_of_perceptrons_is_that_of_a_small_space() -> None:
    space = MLPSpace(3, min_width=2, max_width=3, activations=["relu"], normalisations=["none"])
    # Widths 2, 4, 8 to a depth; skips from two layers on; five dropouts.
    assert space.size == 5 * (2 + 2 * 4 + 2 * 8)
    rng = np.random.default_rng(0)
    seen = {space.random(rng).key for _ in range(4000)}
    assert len(seen) == space.size
    reached, border = set[str](), [space.random(rng)]
    while border:
        architecture = border.pop()
        if architecture.key not in reached:
            reached.add(architecture.key)
            border += space.neighbors(architecture)
    assert reached == seen


def test_every_depth_is_as_likely() -> None:
    rng = np.random.default_rng(0)
    space = MLPSpace(5)
    depths = [space.random(rng)["layers"] for _ in range(2000)]
    assert np.bincount(depths, minlength=6)[1:] == pytest.approx([400] * 5, abs=80)


def test_a_deeper_neighbour_repeats_the_last_layer() -> None:
    space = MLPSpace()
    architecture = space.parse("64-32 relu batch 0.125 skip")
    texts = {str(neighbor) for neighbor in space.neighbors(architecture)}
    assert {"64-32-32 relu batch 0.125 skip", "64 relu batch 0.125"} <= texts
    assert {"64-32 relu batch 0.125", "64-32 tanh batch 0.125 skip"} <= texts
    single = space.neighbors(space.parse("64 relu batch 0.125"))
    assert "64-64 relu batch 0.125" in map(str, single)


def test_a_mutant_changes_one_thing() -> None:
    rng = np.random.default_rng(0)
    space = MLPSpace()
    for _ in range(200):
        architecture = space.random(rng)
        mutant = space.mutate(architecture, rng)
        common = architecture.params.keys() & mutant.params.keys()
        changed = [name for name in common if architecture[name] != mutant[name]]
        assert len(changed) == 1
        if changed != ["layers"]:
            assert architecture.params.keys() == mutant.params.keys()
        assert space.architecture(mutant.params) == mutant


def test_parameters_of_other_depths_are_left_out() -> None:
    space = MLPSpace()
    params = space.parse("64 relu batch 0.125").params
    assert space.architecture({**params, "width_2": 9, "skip": True}).params == params


def test_graph() -> None:
    space = MLPSpace()
    graph = space.graph(space.parse("64-32-16 relu batch 0 skip"))
    chain = ["input", 1, 2, 3, "output"]
    assert set(graph.edges) == {*pairwise(chain), (1, 3), (2, "output")}
    assert graph.nodes[2]["operation"] == "relu_32"


def test_a_space_of_one_layer_has_no_skip() -> None:
    space = MLPSpace(1)
    assert "skip" not in space.distributions
    assert space.distributions["layers"] == IntDistribution(1, 1)
    with pytest.raises(ValueError, match="one layer has no skip"):
        space.parse("64 relu none 0 skip")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_layers": 0}, "`max_layers` is 0; allowed is an integer from 1 to 100"),
        (
            {"max_layers": 2, "min_layers": 3},
            "`min_layers` is 3; allowed is an integer from 1 to 2",
        ),
        ({"min_width": 300}, "`min_width` is 300; allowed is an integer from 1 to 256"),
        ({"activations": ["relu", "sine"]}, r"`activations` is \['relu', 'sine'\]; allowed are"),
        ({"activations": []}, r"`activations` is \[\]; allowed are"),
        ({"normalisations": ["batch", "batch"]}, "`normalisations` is"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MLPSpace(**options)


@pytest.mark.parametrize("text", ["64-7 relu none 0", "64 relu none 0.3", "64 sine none 0", "64"])
def test_texts_that_are_no_perceptron(text: str) -> None:
    with pytest.raises(ValueError, match=f"`text` is '{text}', no perceptron of MLPSpace"):
        MLPSpace().parse(text)
