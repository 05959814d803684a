"""What a surrogate benchmark predicts, beside the function that its trainings came from."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FixedTrial
from typer.testing import CliRunner

from optuna_nas.cli.app import app
from optuna_nas.errors import UserError
from optuna_nas.objectives import SurrogateBenchmark
from optuna_nas.spaces import (
    Architecture,
    DARTSSpace,
    FlatSpace,
    LayerDropSpace,
    NASBench201Space,
    SearchSpace,
    remember_space,
)
from optuna_nas.surrogates.normal_scores import NormalScores
from optuna_nas.surrogates.validation import rank_correlation

SPACE = NASBench201Space()
WORTH = {"none": 0, "avg_pool_3x3": 1, "skip_connect": 3, "nor_conv_1x1": 4, "nor_conv_3x3": 6}
NOISE = 1.0


def truth(architecture: Architecture) -> float:
    """What each operation is worth where a path goes through it; most cells are near the top."""
    used = {edge for path in SPACE.paths(architecture) for edge in pairwise(path.route)}
    graph = architecture.graph
    return sum(WORTH[graph.edges[edge]["operation"]] for edge in used if edge in graph.edges)


def drawn(number: int, seed: int, space: SearchSpace = SPACE) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    found = {a.key: a for a in (space.random(rng) for _ in range(2 * number))}
    return list(found.values())[:number]


def noisy(architectures: list[Architecture], seed: int) -> list[float]:
    noise = np.random.default_rng(seed).normal(0, NOISE, len(architectures))
    return [truth(a) + float(n) for a, n in zip(architectures, noise, strict=True)]


@pytest.fixture(scope="module")
def benchmark() -> SurrogateBenchmark:
    cells = drawn(200, 0)
    return SurrogateBenchmark(
        cells, noisy(cells, 1), direction=StudyDirection.MAXIMIZE, metric="accuracy"
    )


def test_normal_scores_of_five_values() -> None:
    scale = NormalScores(np.array([10.0, 10.0, 50.0, 70.0, 90.0]))
    # Ranks 1.5, 1.5, 3, 4, 5 of five: quantiles .2, .2, .5, .7, .9.
    expected = [-0.8416212, -0.8416212, 0.0, 0.5244005, 1.2815516]
    np.testing.assert_allclose(scale.score(np.array([10, 10, 50, 70, 90])), expected, atol=1e-6)
    np.testing.assert_allclose(scale.value(np.array([0.0, 0.5244005])), [50, 70], atol=1e-4)


def test_beyond_what_was_seen_the_scale_goes_on() -> None:
    scale = NormalScores(np.linspace(0, 1, 101))
    beyond = scale.value(np.array([-4.0, -3.0, 3.0, 4.0]))
    assert (np.diff(beyond) > 0).all()
    assert beyond[0] < 0 < 1 < beyond[-1]
    np.testing.assert_allclose(scale.value(scale.score(np.array([-0.2, 1.2]))), [-0.2, 1.2])


def test_it_ranks_and_its_intervals_hold_what_it_has_not_seen(
    benchmark: SurrogateBenchmark,
) -> None:
    known = {a.key for a in benchmark.architectures}
    fresh = [a for a in drawn(600, 2) if a.key not in known][:300]
    values = noisy(fresh, 3)
    assert rank_correlation(benchmark.predict(fresh), np.array([*map(truth, fresh)])) > 0.9
    intervals = map(benchmark.interval, fresh)
    held = [low <= v <= high for v, (low, high) in zip(values, intervals, strict=True)]
    assert 0.8 < np.mean(held) < 0.99
    assert benchmark.quality.rank_correlation > 0.85
    assert 0.84 < benchmark.quality.coverage < 0.96


def test_one_architecture_has_one_value(benchmark: SurrogateBenchmark) -> None:
    params = drawn(1, 5)[0].params
    first, again = (benchmark(FixedTrial(params, number=n)) for n in (0, 7))
    assert first == again == benchmark.evaluate(params)


def test_noise_is_drawn_for_each_trial_and_is_as_large_as_that_of_trainings() -> None:
    cells = drawn(150, 0)
    benchmark = SurrogateBenchmark(
        cells, noisy(cells, 1), direction=StudyDirection.MAXIMIZE, noise=True, seed=3
    )
    params = cells[10].params
    values = np.array([benchmark(FixedTrial(params, number=n)) for n in range(200)])
    assert benchmark(FixedTrial(params, number=3)) == values[3]
    assert abs(np.median(values) - benchmark.evaluate(params)) < 0.5
    assert 0.4 * NOISE < values.std() < 2.5 * NOISE


def test_the_optimum_is_the_best_of_all_predictions(benchmark: SurrogateBenchmark) -> None:
    choices = [WORTH] * len(SPACE.distributions)
    every = [
        SPACE.architecture(dict(zip(SPACE.distributions, c, strict=True)))
        for c in product(*choices)
    ]
    predicted = benchmark.predict(every)
    assert benchmark.optimum == predicted.max()
    assert benchmark.worst == predicted.min()
    assert benchmark.regret(benchmark.optimum) == 0
    assert benchmark.regret(benchmark.optimum - 2) == pytest.approx(2)


def test_in_a_large_space_the_optimum_is_climbed_to() -> None:
    space = DARTSSpace(operations=("none", "skip_connect", "sep_conv_3x3"))
    cells = drawn(60, 0, space)
    losses = [float(str(a).count("skip_connect")) for a in cells]
    benchmark = SurrogateBenchmark(cells, losses, direction=StudyDirection.MINIMIZE)
    assert benchmark.optimum <= benchmark.predict(cells).min()
    assert benchmark.regret(benchmark.optimum + 1) == pytest.approx(1)


def test_what_is_unlike_all_it_has_seen_is_said(caplog: pytest.LogCaptureFixture) -> None:
    few = [a for a in drawn(1000, 0) if "nor_conv_3x3" not in str(a)][:100]
    benchmark = SurrogateBenchmark(few, noisy(few, 1), direction=StudyDirection.MAXIMIZE)
    optuna.logging.enable_propagation()
    try:
        study = optuna.create_study(direction="maximize")
        for cell in (
            few[0],
            SPACE.parse(
                "+".join(
                    "|" + "|".join(f"nor_conv_3x3~{i}" for i in range(n)) + "|" for n in (1, 2, 3)
                )
            ),
        ):
            study.enqueue_trial(cell.params)
        study.enqueue_trial(study.trials[1].system_attrs["fixed_params"])
        study.optimize(benchmark, n_trials=3)
    finally:
        optuna.logging.disable_propagation()
    assert [trial.user_attrs.get("outside") for trial in study.trials] == [None, True, True]
    assert [r.message for r in caplog.records if "unlike those" in r.message] == [
        next(r.message for r in caplog.records if "Trial 1 asks" in r.message)
    ]


def test_what_is_saved_predicts_the_same(benchmark: SurrogateBenchmark, tmp_path: Path) -> None:
    path = benchmark.save(tmp_path / "made.jsonl")
    again = SurrogateBenchmark.load(path)
    cells = drawn(50, 9)
    np.testing.assert_allclose(again.predict(cells), benchmark.predict(cells), rtol=1e-6)
    assert again.settings() == benchmark.settings()
    assert again.metric_names == ("accuracy",)
    assert again.directions == (StudyDirection.MAXIMIZE,)


@pytest.mark.parametrize("damage", ["flip", "cut", "line", "other", "empty", "space"])
def test_damage_is_noticed(benchmark: SurrogateBenchmark, tmp_path: Path, damage: str) -> None:
    path = benchmark.save(tmp_path / "made.jsonl")
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    path.write_bytes(
        {
            "flip": content.replace(b'"value":1', b'"value":2', 1),
            "cut": content[: len(content) // 2],
            "line": b"".join(lines[:-1]),
            "other": b'{"params": {}}\n',
            "empty": b"",
            "space": json.dumps(
                {**json.loads(lines[0]), "space": {"space": "os.system"}}
            ).encode(),
        }[damage]
    )
    with pytest.raises(ValueError, match=r"made\.jsonl.* cannot be used"):
        SurrogateBenchmark.load(path)


def a_study(number: int, space: SearchSpace = SPACE) -> optuna.Study:
    study = optuna.create_study(
        study_name="cells", direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )

    def objective(trial: optuna.Trial) -> float:
        architecture = space.suggest(trial)
        trial.set_constraint("odd", float(trial.number % 10 == 3))
        if trial.number % 10 == 1:
            raise optuna.TrialPruned
        return truth(architecture)

    study.optimize(objective, n_trials=number)
    return study


def test_of_a_study_complete_feasible_trials_count() -> None:
    benchmark = SurrogateBenchmark.fit(a_study(100))
    assert benchmark.quality.trainings == 80
    assert benchmark.space == SPACE


def test_samplers_search_on_it(benchmark: SurrogateBenchmark) -> None:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(benchmark, n_trials=30)
    assert benchmark.regret(study.best_value) < benchmark.regret(study.trials[0].value or 0)
    low, high = study.best_trial.user_attrs["interval"]
    assert low < study.best_value < high


def test_too_little_to_learn_from() -> None:
    with pytest.raises(UserError, match="8 different architectures"):
        SurrogateBenchmark.fit(a_study(10))
    cells = drawn(30, 0)
    with pytest.raises(UserError, match="1 different values"):
        SurrogateBenchmark(cells, [1.0] * 30, direction=StudyDirection.MINIMIZE)
    with pytest.raises(ValueError, match="29 entries for 30"):
        SurrogateBenchmark(cells, [1.0] * 29, direction=StudyDirection.MINIMIZE)
    with pytest.raises(ValueError, match="finite"):
        SurrogateBenchmark(cells, [float("nan")] * 30, direction=StudyDirection.MINIMIZE)


def test_studies_that_cannot_be_learnt_from() -> None:
    with pytest.raises(UserError, match="2 objectives"):
        SurrogateBenchmark.fit(optuna.create_study(directions=["minimize", "maximize"]))
    with pytest.raises(UserError, match="no space of architectures"):
        SurrogateBenchmark.fit(optuna.create_study())


@pytest.mark.parametrize(
    "space",
    [
        LayerDropSpace(8),
        FlatSpace({f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(3)}),
    ],
)
def test_any_space_will_do(space: SearchSpace) -> None:
    found = drawn(80, 0, space)
    values = [sum(float(value) for value in a.params.values()) for a in found]
    benchmark = SurrogateBenchmark(found, values, direction=StudyDirection.MINIMIZE)
    assert benchmark.quality.rank_correlation > 0.9
    assert benchmark.optimum <= min(benchmark.predict(found))


@pytest.mark.slow
def test_from_a_study_to_a_comparison_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = optuna.create_study(study_name="mine", storage=storage, direction="maximize")
        study.add_trials(a_study(60).trials)
    remember_space(study.ask(), SPACE)
    made = CliRunner().invoke(app, ["surrogate", "--study", "mine", "--storage", storage])
    assert made.exit_code == 0, made.output
    assert "Made of 48 trainings" in made.output
    assert "--benchmark surrogate --path" in made.output
    command = ["compare", "--benchmark", "surrogate", "--path", "mine-surrogate.jsonl"]
    size = ["--samplers", "random,tpe", "--trials", "5", "--seeds", "2", "--workers", "1"]
    compared = CliRunner().invoke(app, [*command, *size])
    assert compared.exit_code == 0, compared.output
    assert "surrogate of 48 trainings" in compared.output
