"""Labelled texts from files: columns, splits and errors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from optuna_nas.data import TextData, load_text

Rows = dict[str, list[Any]]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def rows(count: int, *, prefix: str = "text", classes: int = 2) -> Rows:
    """Texts with their number and class in them; classes in turn."""
    return {
        "sentence": [f"{prefix} {i} of class {i % classes}" for i in range(count)],
        "label": [i % classes for i in range(count)],
    }


def write_csv(path: Path, table: Rows, sep: str = ",") -> None:
    lines = [
        sep.join(table),
        *(sep.join(map(str, row)) for row in zip(*table.values(), strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n")


def write_jsonl(path: Path, table: Rows) -> None:
    path.write_text("\n".join(json.dumps(record) for record in to_records(table)))


WRITERS: dict[str, Callable[[Path, Rows], object]] = {
    ".parquet": lambda path, table: datasets.Dataset.from_dict(table).to_parquet(path),
    ".csv": write_csv,
    ".tsv": lambda path, table: write_csv(path, table, "\t"),
    ".json": lambda path, table: path.write_text(json.dumps(to_records(table))),
    ".jsonl": write_jsonl,
}


def to_records(table: Rows) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def write(folder: Path, suffix: str = ".jsonl", **splits: Rows) -> Path:
    folder.mkdir(exist_ok=True)
    for name, table in splits.items():
        WRITERS[suffix](folder / f"{name}{suffix}", table)
    return folder


def check(data: TextData, *prefixes: str) -> None:
    """Each text has its own class; the splits are disjoint and come from where they should."""
    seen: set[str] = set()
    for split, prefix in zip((data.train, data.validation, data.test), prefixes, strict=True):
        assert len(split.texts) == len(split.labels) == len(set(split.texts))
        assert split.labels.dtype == np.int64
        for text, label in zip(split.texts, split.labels, strict=True):
            assert text.startswith(f"{prefix} ")
            assert text.endswith(f"class {data.class_names[label]}")
        assert not seen & set(split.texts)
        seen |= set(split.texts)


@pytest.mark.parametrize("suffix", WRITERS)
def test_files_of_every_kind(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, suffix, all=rows(100))
    data = load_text(tmp_path / f"all{suffix}")
    check(data, "text", "text", "text")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [64, 16, 20]
    assert data.class_names == ("0", "1")
    assert data.num_classes == 2
    assert data.name == str(tmp_path / f"all{suffix}")


def test_three_splits_are_what_they_are_called(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "three",
        train=rows(40, prefix="a"),
        dev=rows(10, prefix="b"),
        test=rows(12, prefix="c"),
    )
    data = load_text(folder)
    check(data, "a", "b", "c")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [40, 10, 12]
    assert list(data.test.texts) == rows(12, prefix="c")["sentence"]  # in their own order

    few = load_text(folder, train_size=10, validation_size=4, test_size=6)
    check(few, "a", "b", "c")
    for split, size in ((few.train, 10), (few.validation, 4), (few.test, 6)):
        assert Counter(split.labels.tolist()) == {0: size // 2, 1: size // 2}
    assert load_text(folder, train_size=20).test.texts == data.test.texts
    assert load_text(folder, train_size=20, validation_size=4).validation.texts == (
        few.validation.texts
    )


@pytest.mark.parametrize("second", ["test", "validation"])
def test_of_two_splits_the_second_is_kept_for_the_test(tmp_path: Path, second: str) -> None:
    folder = write(tmp_path / second, train=rows(50, prefix="a"))
    write_jsonl(folder / f"{second}.jsonl", rows(9, prefix="b"))
    data = load_text(folder)
    check(data, "a", "a", "b")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [40, 10, 9]
    assert Counter(data.validation.labels.tolist()) == {0: 5, 1: 5}


def test_a_validation_split_can_be_named_without_a_test_split(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", train=rows(50, prefix="a"), validation=rows(8, prefix="b"))
    data = load_text(folder, validation_split="validation", test_fraction=0.1)
    check(data, "a", "b", "a")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [45, 8, 5]
    with pytest.raises(ValueError, match="50 examples, but 48 to train and 5 to test on"):
        load_text(folder, validation_split="validation", test_fraction=0.1, train_size=48)


def test_a_test_split_without_labels_counts_as_absent(tmp_path: Path) -> None:
    hidden = {**rows(9, prefix="c"), "label": [-1] * 9}
    folder = write(tmp_path / "x", train=rows(50, prefix="a"), validation=rows(8, prefix="b"))
    for table in (hidden, {**hidden, "label": [None] * 9}, {"sentence": hidden["sentence"]}):
        write(folder, ".jsonl", test=table)
        check(load_text(folder), "a", "a", "b")
    write(folder, ".jsonl", test=hidden)
    with pytest.raises(ValueError, match=r"has no label .* in 9 of its 9 rows"):
        load_text(folder, test_split="test")
    write(folder, ".jsonl", test={**hidden, "label": [-1] * 8 + [1]})
    with pytest.raises(ValueError, match=r"has no label .* in 8 of its 9 rows"):
        load_text(folder)


def test_draws_depend_on_the_seed_only(tmp_path: Path) -> None:
    write(tmp_path, all=rows(60))
    path = tmp_path / "all.jsonl"
    first, again, other = (load_text(path, seed=seed) for seed in (1, 1, 2))
    assert first.train.texts == again.train.texts
    assert first.digest == again.digest
    assert first.train.texts != other.train.texts
    assert first.digest != other.digest
    assert first.describe()["digest"] == first.digest
    json.dumps(first.describe())


def test_classes_by_name_are_numbered_alike_in_all_splits(tmp_path: Path) -> None:
    train = {"text": ["x", "y", "z", "w"] * 5, "target": ["sad", "glad", "mad", "sad"] * 5}
    test = {"text": ["u", "v"], "target": ["mad", "glad"]}
    data = load_text(write(tmp_path / "named", train=train, test=test))
    assert data.class_names == ("glad", "mad", "sad")
    assert data.test.labels.tolist() == [1, 0]
    unknown = {"text": ["u"], "target": ["bad"]}
    with pytest.raises(ValueError, match=r"classes without a training example: \['bad'\]"):
        load_text(write(tmp_path / "named", train=train, test=unknown))


def test_columns_can_be_named(tmp_path: Path) -> None:
    table: Rows = {
        "premise": ["p"] * 20,
        "hypothesis": [f"h{i}" for i in range(20)],
        "kind": [0, 1] * 10,
    }
    path = write(tmp_path, t=table) / "t.jsonl"
    data = load_text(path, text_column="hypothesis", label_column="kind")
    assert all(text.startswith("h") for text in data.train.texts)
    with pytest.raises(ValueError, match=r"no label column .*'premise': 'string', 'hypothesis'"):
        load_text(path)
    with pytest.raises(ValueError, match=r"several text columns, \['premise', 'hypothesis'\]"):
        load_text(path, label_column="kind")
    with pytest.raises(ValueError, match=r"`text_column`='body' is not a column of .*'premise'"):
        load_text(path, label_column="kind", text_column="body")
    with pytest.raises(ValueError, match=r"`label_column`='y' is not a column of .*'premise'"):
        load_text(path, label_column="y")
    with pytest.raises(ValueError, match=r"`text_column`='kind' of .* holds no texts"):
        load_text(path, label_column="premise", text_column="kind")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sentence": ["a", "b", "c"], "label": [1, 1, 1]}, "only one class, '1'; two are needed"),
        ({"sentence": ["a", "b", None] * 4, "label": [0, 1, 0] * 4}, "has no text .null. in "),
        ({"sentence": ["a", "b"] * 4, "label": [0, None] * 4}, "has no label .null or negative"),
        ({"label": [0, 1] * 4}, "no text column"),
        ({"sentence": ["a", "b"] * 4}, "no label column"),
    ],
)
def test_tables_without_labelled_texts(tmp_path: Path, table: Rows, message: str) -> None:
    path = write(tmp_path, t=table) / "t.jsonl"
    with pytest.raises(ValueError, match=message):
        load_text(path)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no local file or folder"):
        load_text(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="holds none of the files that can be read"):
        load_text(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"not one of the files that can be read: .*\.csv"):
        load_text(tmp_path / "notes.txt")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match=r"empty\.csv is empty"):
        load_text(tmp_path / "empty.csv")
    with pytest.raises(TypeError, match="`source` must be a str or a Path"):
        load_text(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_size": 0}, "`train_size` must be at least 1"),
        ({"train_size": 90}, "100 examples|80 examples"),
        ({"validation_fraction": 1.0}, "`validation_fraction` must be between 0 and 1"),
        ({"validation_split": "dev"}, "`validation_split`='dev' is not a split"),
        ({"test_split": "dev"}, "`test_split`='dev' is not a split"),
        ({"test_size": 101}, "`test_size`=101, but there are 100 examples"),
    ],
)
def test_wrong_sizes(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = write(tmp_path, t=rows(100)) / "t.jsonl"
    with pytest.raises(ValueError, match=message):
        load_text(path, **options)


def test_sizes_beyond_a_split(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", train=rows(40), dev=rows(10), test=rows(12))
    for name, size in (("train", 41), ("validation", 11), ("test", 13)):
        with pytest.raises(ValueError, match=f"`{name}_size`={size}, but split .* has {size - 1}"):
            load_text(folder, **{f"{name}_size": size})  # type: ignore[arg-type]


def test_a_class_must_be_left_to_train_on(tmp_path: Path) -> None:
    table: Rows = {"text": [f"t{i}" for i in range(40)], "label": [0] * 38 + [1] * 2}
    path = write(tmp_path, t=table) / "t.jsonl"
    with pytest.raises(ValueError, match=r"training texts drawn from .* none of the classes"):
        load_text(path, train_size=4)
