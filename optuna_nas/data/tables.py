"""Tables of numbers and categories, split and encoded, ready to train on.

1. Open the source and choose its training and test splits (`sources.py`, `split_names.py`).
2. Read the target, the column that is to be told from the others: classes, or a number.
3. Draw the rows of each split, seeded; by class if there are classes (`splits.py`).
4. Encode the other columns by what the training rows alone say (`table_columns.py`), and
   standardise a target that is a number likewise.

As with images, the validation rows always come from the source's training split, and the test
rows never do if the source has a test split.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import datasets

from optuna_nas._checks import checked_integer
from optuna_nas.data.local_files import open_text_path
from optuna_nas.data.sources import open_source
from optuna_nas.data.split import Split
from optuna_nas.data.split_names import TRAIN, choose_splits
from optuna_nas.data.splits import SplitSizes, check_integer, draw_rows
from optuna_nas.data.table_data import TableData
from optuna_nas.data.table_rows import TableRows

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BUNDLED", "load_table"]

BUNDLED = ("breast_cancer", "diabetes", "iris", "wine")
"""Tables that scikit-learn brings; the target is called `target`."""

_LEAST = 2
"""Rows of each split: of one row alone nothing has a spread."""


def load_table(
    source: str | Path,
    *,
    target: str | None = None,
    kind: str | None = None,
    drop: Sequence[str] = (),
    missing: Sequence[str] = (),
    max_categories: int = 100,
    config_name: str | None = None,
    encoding: str | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
    seed: int = 0,
) -> TableData:
    """Load a table and split its rows into training, validation and test rows.

    Args:
        source: A local `.csv`, `.tsv`, `.json`, `.jsonl`, `.parquet` or `.arrow` file, or a folder
            of such files named `train*` and `test*`, or not by splits; a dataset of the Hugging
            Face hub by its id; or `"breast_cancer"`, `"diabetes"`, `"iris"` or `"wine"`, which
            scikit-learn brings.
        target: The column to tell from the others; it can be left out for those of scikit-learn.
        kind: `"classification"` or `"regression"`. None: texts, truth values and whole numbers of
            up to ten different values are classes, other numbers are numbers.
        drop: Columns to leave out, such as numbers of rows.
        missing: Words that stand for a missing value, as `"NA"` or `"?"`; an empty field always
            does.
        max_categories: The most different texts of a column.
        config_name: The configuration of a hub dataset that has several.
        encoding: How local text files are encoded; by default as their byte order mark says, else
            UTF-8.
        train_split: The source's split to train and validate on; by default the one named like
            "train", or the only one.
        test_split: The source's split to test on; by default the one named like "test", else the
            one named like "validation", else the test rows are drawn from the training split.
        validation_fraction: The share of validation rows among training and validation rows; not
            used if `validation_size` is given.
        test_fraction: The share of test rows, where they are drawn from the training split; not
            used if `test_size` is given.
        train_size: The number of training rows; by default all that are left.
        validation_size: The number of validation rows.
        test_size: The number of test rows; by default the whole test split.
        seed: Draws the splits. Keep it the same for all trials of a study.

    Returns:
        The rows, encoded.

    Raises:
        TypeError: A number is not of its type.
        ValueError: The source cannot be read; there is no such target, or it lacks values or has
            one only; a column is neither of numbers nor of texts, has too many different texts or
            no values at all; or there are too few rows.
    """
    sizes = SplitSizes(train_size, validation_size, test_size, validation_fraction, test_fraction)
    check_integer("seed", seed, least=0)
    checked_integer("max_categories", max_categories)
    splits, target = _open(source, target, config_name, encoding)
    train_name, test_name = choose_splits(
        splits, source=source, train_split=train_split, test_split=test_split
    )
    where = f"split {train_name!r} of {source}"
    _check_drop(drop, target, list(splits[train_name].features), where)
    train = test = TableRows.read(splits[train_name], target, kind, drop, missing, where)
    if test_name is not None:
        where = f"split {test_name!r} of {source}"
        test = TableRows.read(splits[test_name], target, train.kind, drop, missing, where)
        test = test.like(train)
    numbers = draw_rows(train.strata, None if test is train else test.strata, sizes, seed)
    rows = [numbers.train, numbers.validation, numbers.test]
    for name, drawn in zip(("training", "validation", "test"), rows, strict=True):
        if len(drawn) < _LEAST:
            raise ValueError(
                f"{source} has too few rows: {len(drawn)} to use for {name}; needed are "
                f"{_LEAST} or more."
            )
    train.check_target(numbers.train)
    columns = train.fit(numbers.train, max_categories)
    mean, std = train.target_statistics(numbers.train)
    ready = [
        Split(table.inputs(columns, drawn), table.targets(drawn, mean, std))
        for table, drawn in zip((train, train, test), rows, strict=True)
    ]
    return TableData(
        str(source),
        train=ready[0],
        validation=ready[1],
        test=ready[2],
        columns=tuple(columns),
        target=target,
        class_names=tuple(train.class_names),
        target_mean=mean,
        target_std=std,
        missing=tuple(missing),
    )


def _open(
    source: str | Path, target: str | None, config_name: str | None, encoding: str | None
) -> tuple[dict[str, datasets.Dataset], str]:
    if source in BUNDLED:
        return {TRAIN: _bundled(str(source))}, target or "target"
    open_local = partial(open_text_path, encoding=encoding)
    splits = open_source(source, config_name=config_name, open_local=open_local)
    if target is None:
        found = list(next(iter(splits.values())).features)
        raise ValueError(
            f"`target` is not given; needed is the column to tell from the others, one of {found}."
        )
    return splits, target


def _bundled(name: str) -> datasets.Dataset:
    import sklearn.datasets

    found = getattr(sklearn.datasets, f"load_{name}")()
    columns = dict(zip(found.feature_names, found.data.T.tolist(), strict=True))
    names = getattr(found, "target_names", None)
    numbers = found.target.tolist()
    targets = numbers if names is None else [str(names[number]) for number in numbers]
    return datasets.Dataset.from_dict({**columns, "target": targets})


def _check_drop(drop: Sequence[str], target: str, names: Sequence[str], where: str) -> None:
    if unknown := sorted(set(drop) - set(names)):
        raise ValueError(f"`drop` has {unknown}, which are not columns of {where}: {list(names)}.")
    if target in drop:
        raise ValueError(f"`drop` has {target!r}, which is the `target`.")
