from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

import optuna
import plotly.graph_objects as go
import pytest
from optuna.trial import TrialState, create_trial

from optuna_nas.visualization import (
    plot_accuracy_size,
    plot_history,
    plot_importances,
    plot_learning_curves,
    plot_pareto_front,
)
from optuna_nas.visualization.formats import (
    MISSING,
    format_count,
    format_duration,
    format_value,
)
from optuna_nas.visualization.records import ranked_records, read_records

HOSTILE = "<b>bold</b><a href='https://example.com'>x</a> & %{x}"
ESCAPED = "&lt;b&gt;bold&lt;/b&gt;&lt;a href='https://example.com'&gt;x&lt;/a&gt; &amp; %{x}"

Direction = Literal["maximize", "minimize"]

PLOTS: list[Callable[[optuna.Study], go.Figure]] = [
    plot_history,
    plot_importances,
    plot_learning_curves,
    plot_accuracy_size,
    lambda study: plot_pareto_front(study, objectives=(0, 0)),
]


def study_of(
    values: Sequence[float | None], direction: Direction = "maximize", **attributes: Sequence[Any]
) -> optuna.Study:
    """A study with a trial for each value, pruned if it is None, and user attributes."""
    study = optuna.create_study(direction=direction)
    for i, value in enumerate(values):
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
                value=value,
                user_attrs={name: column[i] for name, column in attributes.items()},
            )
        )
    return study


def points(trace: Any) -> list[tuple[Any, Any]]:
    return list(zip(trace.x, trace.y, strict=True))


@pytest.mark.parametrize(
    ("direction", "best"), [("maximize", [2, 2, 5, 5, 5]), ("minimize", [2, 1, 1, 1, 0])]
)
def test_the_history_shows_trials_and_the_best_so_far(
    direction: Direction, best: list[float]
) -> None:
    study = study_of([2, 1, None, 5, 3, 0], direction)
    trials, line = plot_history(study).data
    assert points(trials) == [(0, 2), (1, 1), (3, 5), (4, 3), (5, 0)]
    assert points(line) == list(zip([0, 1, 3, 4, 5], best, strict=True))
    assert line.line.shape == "hv"


def test_infinite_and_infeasible_trials_are_never_the_best() -> None:
    study = study_of([1, math.inf, -math.inf, 2])
    study.add_trial(
        create_trial(value=9, system_attrs={"constraints": [1.0]}, state=TrialState.COMPLETE)
    )
    trials, line = plot_history(study).data
    assert points(trials) == [(0, 1), (3, 2), (4, 9)]
    assert points(line) == [(0, 1), (3, 2), (4, 2)]
    best = ranked_records(study, read_records(study))[0]
    assert best.number == 3


def test_learning_curves_are_grouped() -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    curves = [[0.1, 0.2, 0.6], [0.3, math.nan, 0.7], [0.4], [0.2, 0.5, 0.9], []]
    for curve in curves:
        trial = study.ask()
        for epoch, value in enumerate(curve):
            trial.report(value, epoch)
        if len(curve) == 3:
            study.tell(trial, curve[-1])
        else:
            study.tell(trial, state=TrialState.PRUNED if curve else TrialState.FAIL)
    running = study.ask()
    running.report(0.5, 0)
    figure = plot_learning_curves(study)
    drawn = {trace.name: points(trace) for trace in figure.data}
    gap = (None, None)
    assert drawn == {
        "pruned": [(1, 0.4), gap],
        "complete": [(1, 0.1), (2, 0.2), (3, 0.6), gap, (1, 0.3), (3, 0.7), gap],
        "running": [(1, 0.5), gap],
        "best": [(1, 0.2), (2, 0.5), (3, 0.9), gap],
    }
    assert figure.data[-1].name == "best"  # in front
    assert [record.epochs for record in read_records(study)] == [3, 3, 1, 3, 0, 1]
    widths = {trace.name: trace.line.width for trace in figure.data}
    assert widths["best"] > widths["complete"] > widths["pruned"]


def test_curves_of_several_objectives_come_from_the_user_attribute() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values, curve in (
        ((0.9, 5.0), [[0, 0.5], [1, 0.9]]),
        ((0.8, 6.0), [[1, 0.8], [0, 0.4]]),
        ((0.7, 7.0), "0.5, 0.9"),
        ((0.6, 7.0), [[0, "x"], [None, 1], 3, [math.inf, 1], [0, 1, 2]]),
    ):
        study.add_trial(create_trial(values=values, user_attrs={"learning_curve": curve}))
    drawn = {trace.name: points(trace)[:-1] for trace in plot_learning_curves(study).data}
    assert drawn == {"on the front": [(1, 0.5), (2, 0.9)], "complete": [(1, 0.4), (2, 0.8)]}


def test_very_many_curves_are_thinned_out_but_never_the_best() -> None:
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            create_trial(
                value=1.0 if number == 101 else 0.5,
                intermediate_values=dict.fromkeys(range(500), 0.5 + (number == 101)),
            )
            for number in range(200)
        ]
    )
    figure = plot_learning_curves(study)
    traces = {trace.name: trace for trace in figure.data}
    assert sum(len(trace.x) for trace in traces.values()) < 45_000
    assert set(traces["best"].y) == {1.5, None}
    assert figure.layout.xaxis.title.text == "Epoch (68 of 200 curves drawn)"
    assert traces["complete"].mode == "lines"


def test_size_and_quality_show_the_front() -> None:
    study = study_of(
        [0.5, 0.9, 0.7, None, 0.6, 0.9, 0.1],
        parameters=[10, 400, 20, 5, 30, 300, "many"],
        architecture=["a", "b", "c", "d", "e", "f", "g"],
    )
    trials, front = plot_accuracy_size(study).data
    assert points(trials) == [(10, 0.5), (400, 0.9), (20, 0.7), (30, 0.6), (300, 0.9)]
    assert points(front) == [(10, 0.5), (20, 0.7), (300, 0.9)]
    assert front.hovertext[0].startswith("<b>Trial 0</b><br>objective value: 0.5000")
    assert "parameters: 10" in front.hovertext[0] and front.hovertext[0].endswith("<br>a")
    assert plot_accuracy_size(study).layout.xaxis.type == "log"

    study = study_of([3, 1, 2], "minimize", seconds=[1.0, 2.0, 3.0])
    figure = plot_accuracy_size(study, size="seconds")
    assert points(figure.data[1]) == [(1.0, 3), (2.0, 1)]
    assert figure.layout.xaxis.type is None
    wrong: Any = "weight"
    with pytest.raises(ValueError, match="`size` is 'weight'; allowed are"):
        plot_accuracy_size(study, size=wrong)


def test_the_pareto_front_is_optunas() -> None:
    study = optuna.create_study(
        directions=["maximize", "minimize", "maximize"], sampler=optuna.samplers.RandomSampler(0)
    )

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        # Few levels, so that many values are equal.
        a, b, c = (trial.suggest_int(name, 0, 4) for name in "abc")
        return a, b, c

    study.optimize(objective, n_trials=59)
    study.add_trial(create_trial(values=study.best_trials[0].values))  # equals are on the front
    front = {record.number for record in ranked_records(study, read_records(study))}
    assert front == {trial.number for trial in study.best_trials}
    everything, best = plot_pareto_front(study, objectives=(0, 2)).data
    assert len(everything.x) == 60
    assert points(best) == [
        (trial.values[0], trial.values[2]) for trial in study.trials if trial.number in front
    ]


def test_importances_need_some_trials_and_name_the_parameters() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("useless", 0, 1)
        return trial.suggest_float(HOSTILE + " matters a lot", 0, 1)

    study.optimize(objective, n_trials=9)
    figure = plot_importances(study)
    assert not figure.data
    note = figure.layout.annotations[0].text
    assert note == "Importances need 10 finished trials; there are 9."
    study.optimize(objective, n_trials=21)
    figure = plot_importances(study)
    [bars] = figure.data
    assert bars.x[1] > 0.9 > bars.x[0] and sum(bars.x) == pytest.approx(1)
    assert figure.layout.yaxis.ticktext[0] == "useless"
    assert bars.hovertext[1].startswith(ESCAPED + " matters a lot: 0.9")


def test_equal_values_say_nothing_about_parameters() -> None:
    study = optuna.create_study()
    study.optimize(lambda trial: 0 * trial.suggest_float("x", 0, 1), n_trials=12)
    figure = plot_importances(study)
    assert not figure.data
    assert figure.layout.annotations[0].text.startswith("The values are too alike")


def test_of_many_parameters_the_most_important_are_shown() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    name = "the same beginning of thirty characters "  # cut alike, and still bars of their own
    study.optimize(
        lambda trial: sum(trial.suggest_float(f"{name}{i}", 0, i + 1) for i in range(20)),
        n_trials=30,
    )
    figure = plot_importances(study)
    assert len(figure.data[0].x) == 15 == len(set(figure.data[0].y))
    assert list(figure.data[0].x) == sorted(figure.data[0].x)
    assert figure.layout.xaxis.title.text.endswith("(the first 15 of 20 parameters)")


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    "study",
    [
        optuna.create_study(),
        study_of([None, None]),
        study_of([math.inf, -math.inf]),
        study_of([1.0]),
        study_of([1.0, 2.0], parameters=[None, [1]]),
    ],
    ids=["empty", "pruned", "infinite", "one", "two"],
)
def test_every_figure_of_every_study_can_be_drawn(
    plot: Callable[[optuna.Study], go.Figure], study: optuna.Study
) -> None:
    figure = plot(study)
    figure.to_json(engine="json", validate=True)
    assert figure.data or figure.layout.annotations[0].text.endswith(".")


@pytest.mark.parametrize("plot", [plot_history, plot_learning_curves, plot_accuracy_size])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # set_metric_names
def test_names_show_as_they_are(plot: Callable[[optuna.Study], go.Figure]) -> None:
    study = study_of([1.0, 2.0], parameters=[1, 2], architecture=[HOSTILE, HOSTILE])
    study.set_metric_names([HOSTILE])
    figure = plot(study).to_json(engine="json")
    assert "<b>bold" not in figure and "<a" not in figure and "hovertemplate" not in figure


def test_an_objective_that_is_not_there_is_refused() -> None:
    study = study_of([1.0])
    for plot in (plot_history, plot_accuracy_size):
        with pytest.raises(ValueError, match="`objective` is 1; the study has those from 0 to 0"):
            plot(study, objective=1)
    with pytest.raises(ValueError, match="`objective` is -1"):
        plot_pareto_front(study, objectives=(0, -1))


def test_numbers_read_well() -> None:
    values = {0.12345: "0.1235", 0: "0", 1e-5: "1e-05", -12345.61: "-12,345.6", 25.128: "25.13"}
    values |= {2e7: "2e+07", math.inf: "inf"}
    assert {value: format_value(value) for value in values} == values
    counts = {0: "0", 999: "999", 999.7: "1.00 k", 1234: "1.23 k", 99_960: "100 k"}
    counts |= {999_600: "1.00 M", 12_345_678: "12.3 M", 5e12: "5.00 T"}
    assert {count: format_count(count) for count in counts} == counts
    durations = {0.04: "0.0 s", 59.94: "59.9 s", 59.96: "1 min 0 s", 192: "3 min 12 s"}
    durations |= {3600: "1 h 0 min", 90_000: "1 d 1 h"}
    assert {seconds: format_duration(seconds) for seconds in durations} == durations
    assert format_value(None) == format_count(None) == format_duration(None) == MISSING
    assert format_count(math.nan) == format_duration(math.inf) == MISSING


def test_drawing_cells_needs_no_plotly() -> None:
    code = (
        "import sys; from optuna_nas.visualization import cell_svg, learning_curve_svg; "
        "import optuna_nas.visualization.cells; "
        "assert not {'plotly', 'torch', 'jinja2'} & set(sys.modules); "
        "import optuna_nas.visualization as v; "
        "assert dir(v) == sorted(v.__all__) and all(hasattr(v, name) for name in v.__all__); "
        "assert 'plotly' in sys.modules"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
