from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import optuna
import pytest

from optuna_nas import BananasSampler
from optuna_nas.objectives import LayerDropTable

COLUMNS = (
    "mask",
    "layers",
    "parameters",
    "validation_accuracy",
    "test_accuracy",
    "latency_ms",
    "seconds",
)
MASKS = ["".join(digits) for digits in product("01", repeat=3) if "1" in digits]


def made_up(mask: str) -> list[object]:
    kept = mask.count("1")
    return [mask, kept, 40 + 20 * kept, 0.5 + 0.1 * int(mask, 2) / 7, 0.5, 1.5 * kept, 10 * kept]


def write(path: Path, rows: list[list[object]], columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "layer_drop_toy.csv", [made_up(mask) for mask in reversed(MASKS)])


def kept(mask: str) -> Mapping[str, bool]:
    return {f"layer_{index:02}": digit == "1" for index, digit in enumerate(mask)}


def test_every_mask_has_its_own_row(path: Path) -> None:
    table = LayerDropTable(path, "accuracy")
    for mask in MASKS:
        assert table.evaluate(kept(mask)) == pytest.approx(0.5 + 0.1 * int(mask, 2) / 7)
    assert table.optimum == pytest.approx(0.6)
    assert table.name == "Layer drop, toy"


def test_score_is_accuracy_less_the_share_of_parameters(path: Path) -> None:
    table = LayerDropTable(path, parameter_weight=0.3)
    for mask in MASKS:
        share = (40 + 20 * mask.count("1")) / 100
        expected = 0.5 + 0.1 * int(mask, 2) / 7 - 0.3 * share
        assert table.evaluate(kept(mask)) == pytest.approx(expected)
    assert table.optimum == pytest.approx(0.5 + 0.4 / 7 - 0.3 * 0.6)  # 100


def test_several_metrics_and_a_limit(path: Path) -> None:
    table = LayerDropTable(path, ("accuracy", "latency"), constraints={"parameters": 60})
    assert table.directions == (
        optuna.study.StudyDirection.MAXIMIZE,
        optuna.study.StudyDirection.MINIMIZE,
    )
    assert table.evaluate(kept("100")) == pytest.approx((0.5 + 0.4 / 7, 1.5))
    assert table.evaluate_constraints(kept("110")) == {"parameters": 20.0}


def test_a_search_finds_the_best(path: Path) -> None:
    table = LayerDropTable(path, "accuracy")
    study = optuna.create_study(direction="maximize", sampler=BananasSampler(seed=0))
    study.optimize(table, n_trials=7)  # all masks, each once
    assert table.regret(study.best_value) == 0
    assert study.best_params == kept("111")


def test_the_table_of_the_package() -> None:
    table = LayerDropTable()
    assert table.space.size == 63
    records = [table.record(table.space.parse(f"{number:06b}")) for number in range(1, 64)]
    layers = np.array([f"{number:06b}".count("1") for number in range(1, 64)])
    parameters = np.array([record["parameters"] for record in records])
    per_layer = np.unique((parameters - parameters.min())[layers > 1] / (layers[layers > 1] - 1))
    assert per_layer == pytest.approx([1_774_464])  # 12 H^2 + 13 H of H = 384
    for name in ("accuracy", "test_accuracy"):
        accuracies = np.array([record[name] for record in records])
        assert 0.1 < accuracies.min() < accuracies.max() < 1
        assert accuracies[layers == 1].mean() < accuracies[layers >= 4].mean()


@pytest.mark.parametrize(
    ("rows", "columns", "complaint"),
    [
        ([made_up(mask) for mask in MASKS[1:]], COLUMNS, "6 rows with 6 different masks"),
        ([made_up(mask) for mask in [*MASKS, "111"]], COLUMNS, "8 rows with 7 different masks"),
        ([made_up(mask) for mask in [*MASKS[1:], "000"]], COLUMNS, "none of 3 layers"),
        ([made_up(mask)[:4] for mask in MASKS], COLUMNS[:4], "lacks the columns"),
        ([], COLUMNS, "lacks the columns"),
        ([[*made_up(mask)[:6], "soon"] for mask in MASKS], COLUMNS, "'seconds'.*'soon'"),
        ([[*made_up(mask)[:6], "nan"] for mask in MASKS], COLUMNS, "'seconds'.*finite"),
    ],
)
def test_damaged_files_are_refused(
    tmp_path: Path, rows: list[list[object]], columns: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        LayerDropTable(write(tmp_path / "damaged.csv", rows, columns))


def test_wrong_arguments_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"`path` is .*absent\.csv"):
        LayerDropTable(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="`metric`"):
        LayerDropTable(path, "perplexity")
    with pytest.raises(ValueError, match="`parameter_weight` is 2"):
        LayerDropTable(path, parameter_weight=2)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00mask")
    with pytest.raises(ValueError, match="no CSV file"):
        LayerDropTable(tmp_path / "binary.csv")
