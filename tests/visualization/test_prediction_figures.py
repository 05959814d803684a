from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import optuna
import plotly.graph_objects as go
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState, create_trial

from optuna_nas.spaces import Architecture, CellSpace, SearchSpace
from optuna_nas.spaces.study import remember_space
from optuna_nas.surrogates import Encoding, OneHotEncoding, Predictor
from optuna_nas.surrogates.validation import LEVELS
from optuna_nas.visualization import plot_calibration, plot_path_importance, plot_predictions

SPACE = CellSpace(4, ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"))
HOSTILE = "<b>bold</b> & more"
PLOTS: list[Callable[..., go.Figure]] = [
    plot_predictions,
    plot_calibration,
    lambda study, **given: plot_path_importance(study, num_architectures=200, **given),
]


def weight(architecture: Architecture) -> float:
    """A value for each edge and operation."""
    row = OneHotEncoding().encode(architecture.space, [architecture])[0]
    return float(row @ np.linspace(-1, 2, len(row)) ** 2)


def has_path(architecture: Architecture) -> float:
    """One if two convolutions of 3 x 3 follow each other and nothing else is between them."""
    paths = [
        [o for o in path.operations if o != "skip_connect"]
        for path in architecture.space.paths(architecture)
    ]
    return float(["nor_conv_3x3"] * 2 in paths)


class Knowing(Predictor):
    """Knows the weights; its two members lie `spread` to both sides."""

    encoding: Encoding = OneHotEncoding()

    def __init__(self, spread: float = 0.5) -> None:
        self.spread = spread
        self.prepared: list[SearchSpace] = []

    def prepare(self, space: SearchSpace, encoding: Encoding) -> None:
        self.prepared.append(space)

    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        self.number = len(targets)

    def predict(self, features: np.ndarray) -> np.ndarray:
        known = features @ np.linspace(-1, 2, features.shape[1]) ** 2
        return np.stack([known - self.spread, known + self.spread])


def study_of(
    value: Callable[[Architecture], float],
    number: int = 40,
    direction: Literal["maximize", "minimize"] = "minimize",
    pruned: int = 0,
) -> optuna.Study:
    """A study of random cells; the first few trials are pruned after they reported."""
    study = optuna.create_study(direction=direction)
    remember_space(study.ask(), SPACE)
    study.tell(0, state=TrialState.FAIL)
    for i, cell in enumerate(cells(number)):
        study.add_trial(
            create_trial(
                params=cell.params,
                distributions=SPACE.distributions,
                value=None if i < pruned else value(cell),
                intermediate_values={1: value(cell)},
                state=TrialState.PRUNED if i < pruned else TrialState.COMPLETE,
            )
        )
    return study


def cells(number: int) -> list[Architecture]:
    """Random cells of different functions."""
    rng = np.random.default_rng(3)
    drawn: dict[str, Architecture] = {}
    while len(drawn) < number:
        cell = SPACE.random(rng)
        drawn.setdefault(cell.key, cell)
    return list(drawn.values())


def notes(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_predictions_stand_against_what_was_observed(
    direction: Literal["maximize", "minimize"],
) -> None:
    sign = -1 if direction == "maximize" else 1
    study = study_of(lambda cell: sign * weight(cell), direction=direction)
    predictor = Knowing()
    figure = plot_predictions(study, predictor=predictor, targets="identity")
    diagonal, points = figure.data
    assert points.x == pytest.approx(points.y)
    assert points.x == pytest.approx([t.value for t in study.trials[1:]])
    assert set(points.error_y.array) == {0.5}
    assert figure.layout.title.text.endswith("rank correlation 1.00, R² 1.00")
    assert tuple(diagonal.x) == tuple(diagonal.y) == tuple(figure.layout.xaxis.range)
    assert predictor.prepared == [SPACE]
    assert predictor.number == 36  # ten folds of 40


def test_a_trial_is_not_predicted_by_what_saw_it() -> None:
    """Values are noise, so only a predictor that saw them could predict them."""
    rng = np.random.default_rng(0)
    figure = plot_predictions(study_of(lambda cell: float(rng.normal()), 60), folds=5)
    points = figure.data[1]
    assert abs(np.corrcoef(points.x, points.y)[0, 1]) < 0.4


def test_the_default_predictor_learns_and_ticks_are_values_of_the_study() -> None:
    figure = plot_predictions(study_of(weight, 60), encoding="one_hot")
    _, points = figure.data
    assert np.corrcoef(points.x, points.y)[0, 1] > 0.8
    places, texts = figure.layout.xaxis.tickvals, figure.layout.xaxis.ticktext
    values = [weight(cell) for cell in cells(60)]
    labels = [float(text) for text in texts]
    assert labels == sorted(labels) and list(places) == sorted(places) and len(labels) >= 4
    assert min(values) <= labels[0] < labels[-1] <= max(values)
    # The scale of the log regret: good values are far apart.
    slopes = np.diff(labels) / np.diff(places)
    assert slopes[-1] > 2 * slopes[0] > 0


def test_pruned_trials_have_a_colour_of_their_own() -> None:
    figure = plot_predictions(study_of(weight, 30, pruned=8), predictor=Knowing())
    _, complete, pruned = figure.data
    assert (len(complete.x), len(pruned.x)) == (22, 8)
    assert complete.marker.color != pruned.marker.color and "pruned" in pruned.name
    assert figure.layout.showlegend
    assert not plot_predictions(study_of(weight, 30), predictor=Knowing()).layout.showlegend


def test_an_architecture_that_came_twice_is_shown_once() -> None:
    study = study_of(weight, 20)
    study.add_trials(study.trials[1:])
    assert len(plot_predictions(study, predictor=Knowing()).data[1].x) == 20


def test_calibration_of_several_predictors() -> None:
    rng = np.random.default_rng(1)
    study = study_of(weight, 0)
    for cell in cells(200):
        value = weight(cell) + rng.normal()
        study.add_trial(
            create_trial(params=cell.params, distributions=SPACE.distributions, value=value)
        )
    figure = plot_calibration(
        study,
        predictors={"right": Knowing(1), "too sure": Knowing(0.1)},
        targets="identity",
    )
    band, diagonal, right, sure = figure.data
    assert tuple(diagonal.x) == tuple(diagonal.y) == (0, 1)
    assert tuple(right.x) == tuple(sure.x) == LEVELS
    assert np.abs(np.subtract(right.x, right.y)).max() < 0.12
    assert (np.array(sure.y) < 0.3).all()
    gap = float(np.abs(np.subtract(sure.x, sure.y)).mean())
    assert sure.name == f"too sure: ECE {gap:.2f}" and right.name.startswith("right: ECE 0.0")
    assert max(band.y) == 1 and min(band.y) == 0


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_planted_path_comes_out_on_top(direction: Literal["maximize", "minimize"]) -> None:
    sign = 1 if direction == "maximize" else -1
    study = study_of(lambda cell: sign * (5 * has_path(cell) + 0.1 * weight(cell)), 80, direction)
    figure = plot_path_importance(study, targets="identity", num_architectures=500)
    [bars] = figure.data
    labels = figure.layout.yaxis.ticktext
    assert labels[-1] == "conv3x3 &gt; conv3x3"
    assert list(bars.x) == sorted(bars.x)
    # Longer paths with the same steps share some of the effect.
    assert bars.x[-1] > 1.5 and bars.x[-1] > 1.2 * bars.x[-2]
    assert bars.error_x.array[-1] < bars.x[-1] / 2
    assert len(labels) == len(set(labels)) <= 15


def test_a_choice_that_matters_in_a_study_without_a_space() -> None:
    def objective(trial: optuna.Trial) -> float:
        colour = trial.suggest_categorical("colour", ["red", "green", HOSTILE])
        flag = trial.suggest_categorical("flag", [False, True])
        size = trial.suggest_float("size", 1, 100, log=True)
        return 3 * (colour == HOSTILE) + (size > 10) + 0.01 * flag

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, 60)
    figure = plot_path_importance(study, targets="identity", num_architectures=300)
    labels = figure.layout.yaxis.ticktext
    assert figure.layout.title.text == "Which choices matter"
    assert labels[-1] == "colour = &lt;b&gt;bold&lt;/b&gt; &amp; more"
    assert labels[-2] == "size &gt; 10.00"
    assert "flag = True" in labels and "flag = False" not in labels
    assert len(plot_predictions(study).data[1].x) == 60


def test_one_of_several_objectives_is_shown() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    for cell in cells(20):
        study.add_trial(
            create_trial(
                params=cell.params,
                distributions=SPACE.distributions,
                values=[weight(cell), -2 * weight(cell)],
            )
        )
    with pytest.warns(ExperimentalWarning):
        study.set_metric_names(["error", HOSTILE])
    figure = plot_predictions(
        study, objective=1, space=SPACE, encoding="one_hot", targets="identity"
    )
    assert max(figure.data[1].x) < 0
    assert figure.layout.xaxis.title.text == "&lt;b&gt;bold&lt;/b&gt; &amp; more, observed"
    with pytest.raises(ValueError, match="`objective` is 2"):
        plot_predictions(study, objective=2)


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("number", [0, 1, 9])
def test_too_few_trials_are_a_note(plot: Callable[..., go.Figure], number: int) -> None:
    verb = "is" if number == 1 else "are"
    assert notes(plot(study_of(weight, number))) == [
        f"A predictor needs 10 finished trials of different architectures; there {verb} {number}."
    ]
    assert notes(plot(optuna.create_study()))[0].endswith("there are 0.")


@pytest.mark.parametrize("plot", PLOTS)
def test_equal_values_are_a_note(plot: Callable[..., go.Figure]) -> None:
    assert notes(plot(study_of(lambda cell: 1.0, 20))) == [
        "All values are equal, so there is nothing to predict."
    ]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    ("argument", "value"), [("encoding", "paths"), ("targets", "ranks"), ("objective", 1)]
)
def test_wrong_names_are_errors(plot: Callable[..., go.Figure], argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{argument}` is {value!r}"):
        plot(study_of(weight, 20), **{argument: value})


def test_other_wrong_arguments_are_named() -> None:
    study = study_of(weight, 20)
    with pytest.raises(ValueError, match="`predictor` is 'oracle'; allowed are"):
        plot_predictions(study, predictor="oracle")
    with pytest.raises(ValueError, match="`folds` is 1"):
        plot_predictions(study, folds=1)
    with pytest.raises(ValueError, match="`num_architectures` is 1"):
        plot_path_importance(study, num_architectures=1)
    with pytest.raises(ValueError, match="`min_support` is 1"):
        plot_path_importance(study, min_support=1)


def test_nothing_is_told_apart_by_a_predictor_of_constants() -> None:
    class Constant(Knowing):
        def predict(self, features: np.ndarray) -> np.ndarray:
            return np.zeros((2, len(features)))

    figure = plot_path_importance(study_of(weight, 20), predictor=Constant())
    assert notes(figure) == ["The predictor does not tell the architectures apart."]
    assert math.isfinite(plot_predictions(study_of(weight, 20), predictor=Constant()).data[1].y[0])
