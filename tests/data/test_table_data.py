"""Tables: what is read, how it is encoded and split, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from optuna_nas.data import TableData, load_table

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes columns as a file of fields; None is an empty one."""

    def written(columns: dict[str, Any], name: str = "table.csv") -> Path:
        lines = [",".join(columns)]
        for row in zip(*columns.values(), strict=True):
            lines.append(",".join("" if value is None else str(value) for value in row))
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return written


def houses(count: int = 100) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    area = rng.uniform(20, 200, count).round(1)
    town = rng.choice(["Ulm", "Aalen", "Jena"], count)
    return {
        "area": area.tolist(),
        "town": town.tolist(),
        "garden": (rng.random(count) < 0.3).tolist(),
        "price": (area * 3.7 + rng.normal(0, 9, count)).round(2).tolist(),
    }


def load(path: Path, **options: Any) -> TableData:
    return load_table(path, **{"target": "price", **options})


def test_columns_are_standardised_by_the_training_rows_alone(write: Write) -> None:
    data = load(write(houses()))
    assert [len(split) for split in (data.train, data.validation, data.test)] == [64, 16, 20]
    assert [(c.name, c.kind, c.width) for c in data.columns] == [
        ("area", "numeric", 1),
        ("town", "categorical", 3),
        ("garden", "numeric", 1),
    ]
    train = data.train.inputs.double()
    assert train.dtype == torch.float64 and data.train.inputs.shape == (64, 5)
    numbers = train[:, [0, 4]]
    assert float(numbers.mean(0).abs().max()) < 1e-6
    assert float((numbers.std(0, correction=0) - 1).abs().max()) < 1e-6
    assert abs(float(data.validation.inputs[:, 0].mean())) > 1e-3  # by the others' mean
    assert sorted(data.columns[1].categories) == ["Aalen", "Jena", "Ulm"]  # type: ignore[union-attr]
    assert torch.equal(data.train.inputs[:, 1:4].sum(1), torch.ones(64))
    assert data.class_names == () and data.train.targets.dtype == torch.float32


def test_all_rows_are_there_once_and_targets_can_be_had_back(write: Write) -> None:
    columns = houses()
    data = load(write(columns))
    splits = (data.train, data.validation, data.test)
    targets = torch.cat([split.targets for split in splits]).double()
    prices = (targets * data.target_std + data.target_mean).numpy()
    np.testing.assert_allclose(np.sort(prices), np.sort(columns["price"]), rtol=1e-5)
    areas = torch.cat([split.inputs[:, 0] for split in splits]).double().numpy()
    area = areas * data.columns[0].std + data.columns[0].mean  # type: ignore[union-attr]
    by_price = dict(zip(np.round(prices, 2), area, strict=True))
    for price, expected in zip(columns["price"], columns["area"], strict=True):
        assert by_price[np.float64(price)] == pytest.approx(expected, rel=1e-4)


def test_the_seed_draws_the_rows_and_the_digest_tells(write: Write) -> None:
    path = write(houses())
    first, again, other = load(path), load(path), load(path, seed=1)
    assert first.digest == again.digest != other.digest
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert json.loads(json.dumps(first.describe())) == first.describe()
    changed = houses()
    changed["area"][0] += 0.1
    assert load(write(changed, "other.csv")).digest != first.digest
    assert first.measured_on == {"validation_rows": 16, "test_rows": 20}


def test_missing_values(write: Write) -> None:
    """A missing number is the mean, and told; a missing text is a category of its own."""
    columns = houses()
    for row in range(0, 100, 5):
        columns["area"][row] = None
        columns["town"][row] = None
    data = load(write(columns), missing=["NA"])
    area, town, _ = data.columns
    assert area.width == 2 and town.categories[-1] is None and town.width == 4  # type: ignore[union-attr]
    told = data.train.inputs[:, 1] == 1
    assert 0 < int(told.sum()) < 64
    assert torch.equal(data.train.inputs[told, 0], torch.zeros(int(told.sum())))
    assert torch.equal(data.train.inputs[:, 5] == 1, told)
    present = data.train.inputs[~told, 0].double()
    assert float(present.mean()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("word", ["NA", "?", "-999"])
def test_words_for_missing_values(write: Write, word: str) -> None:
    columns = houses()
    columns["area"] = [word if row % 7 == 0 else v for row, v in enumerate(columns["area"])]
    data = load(write(columns), missing=[word])
    assert data.columns[0].kind == "numeric" and data.columns[0].width == 2


def test_unknown_categories_are_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        "x,y\n" + "".join(f"{'ab'[n % 2]},{n}.5\n" for n in range(20))
    )
    (tmp_path / "test.csv").write_text("x,y\na,1.5\nnew,2.5\n,3.5\n")
    data = load_table(tmp_path, target="y")
    assert data.test.inputs.tolist() == [[1, 0], [0, 0], [0, 0]]
    assert len(data.train) + len(data.validation) == 20


@pytest.mark.parametrize(
    ("target", "kind", "names"),
    [
        (["yes", "no"], None, ("no", "yes")),
        (["true", "false"], None, ("0", "1")),
        ([3, 5], None, ("3", "5")),
        ([-1, 1], None, ("-1", "1")),
        ([0.5, 1.25], None, ()),
        ([0.5, 1.25], "classification", ("0.5", "1.25")),
        ([3, 5], "regression", ()),
        (list(range(11)), None, ()),
        (list(range(10)), None, tuple(map(str, range(10)))),
    ],
)
def test_what_is_a_class(
    write: Write, target: list[Any], kind: str | None, names: tuple[str, ...]
) -> None:
    columns = houses(220)
    columns["price"] = [target[row % len(target)] for row in range(220)]
    data = load(write(columns), kind=kind)
    assert data.class_names == names
    if names:  # every class in proportion
        counts = torch.bincount(data.test.targets, minlength=len(names))
        assert int(counts.max() - counts.min()) <= 1


def test_a_constant_column_is_zero(write: Write) -> None:
    columns = houses()
    columns["area"] = [0.1] * 100
    assert torch.equal(load(write(columns)).train.inputs[:, 0], torch.zeros(64))


def test_large_numbers_that_differ_little_keep_their_digits(write: Write) -> None:
    columns = houses()
    columns["area"] = [1e9 + row % 2 for row in range(100)]
    found = load(write(columns)).train.inputs[:, 0]
    assert set(found.sign().tolist()) == {-1.0, 1.0} and float(found.std(correction=0)) > 0.99


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "iris", "wine"])
def test_tables_that_scikit_learn_brings(name: str) -> None:
    data = load_table(name)
    assert bool(data.class_names) == (name != "diabetes")
    assert len(data.test) > 20 and data.target == "target"


def spoiled(**changes: Any) -> dict[str, Any]:
    return {**houses(), **changes}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (houses(), {"target": None}, "`target` is not given; needed is .* one of .'area', 'town'"),
        (houses(), {"target": "prize"}, r"`target`='prize' is not a column of split 'train' of"),
        (houses(), {"kind": "ranking"}, "`kind` is 'ranking'; allowed are"),
        (houses(), {"drop": ["id"]}, r"`drop` has \['id'\], which are not columns"),
        (houses(), {"drop": ["price"]}, "`drop` has 'price', which is the `target`"),
        (houses(), {"drop": ["area", "town", "garden"]}, "no column beside the target 'price'"),
        (houses(), {"max_categories": 2}, "column 'town' .* 3 different texts in 64 training"),
        (houses(), {"max_categories": 0}, "`max_categories` is 0; allowed is"),
        (houses(), {"target": "town", "kind": "regression"}, "holds texts, such as"),
        (houses(4), {}, "too few rows: 1 to use for validation; needed are 2 or more"),
        (houses(100), {"train_size": 90}, "`train_size`=90"),
        (spoiled(price=["one"] * 100), {}, "target 'price' .* has only one value, 'one'"),
        (spoiled(price=[2.5] * 100), {}, "target 'price' .* has only one value, .*2.5"),
        (spoiled(price=[None, *range(99)]), {}, "is missing in 1 of its 100 rows, first in row 0"),
        (spoiled(area=[None] * 100), {}, "column 'area' .* no value in any of the 64 training"),
        (spoiled(town=[f"road {n}" for n in range(100)]), {"max_categories": 50}, "has 64 diff"),
        (
            spoiled(price=["a", "b", "c", "d"] * 25),
            {"train_size": 3, "validation_size": 20},
            "none of the classes",
        ),
    ],
)
def test_what_is_refused(
    write: Write, columns: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(write(columns), **options)


def test_a_test_table_of_other_columns(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n}.5\n" for n in range(20))
    (tmp_path / "train.csv").write_text("x,y\n" + rows)
    (tmp_path / "test.csv").write_text("z,y\n1,2.5\n2,3.5\n")
    with pytest.raises(ValueError, match="lacks the column 'x'"):
        load_table(tmp_path, target="y")
    (tmp_path / "test.csv").write_text("x,y\none,2.5\ntwo,3.5\n")
    with pytest.raises(ValueError, match=r"column 'x' holds texts in .* and numbers in"):
        load_table(tmp_path, target="y")


def test_columns_of_lists_are_refused(tmp_path: Path) -> None:
    import datasets

    path = tmp_path / "lists.parquet"
    datasets.Dataset.from_dict({"x": [[1], [2]] * 9, "y": [0.5, 1.5] * 9}).to_parquet(path)
    with pytest.raises(ValueError, match=r"column 'x' .* neither numbers nor texts; leave it out"):
        load_table(path, target="y")
