"""Labelled texts, split and in memory, ready to be tokenised.

1. Open the source and choose its splits (`sources.py`, `split_names.py`).
2. Find the label and text columns and read the labels (`columns.py`, `labels.py`).
3. Draw the rows of each split from the labels alone, seeded and stratified by class
   (`splits.py`).

The splits follow those of the source:

- train, validation and test: each is what it is called;
- train and test, or train and validation: the second is the test split, and the validation texts
  are drawn from the first, so that a search never looks at what is measured in the end;
- one split: test and validation texts are drawn from it.

A test split without any label, as the hub has them for competitions, counts as absent unless it
is named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas.data.columns import find_label_column, find_text_column
from optuna_nas.data.labels import align_labels, read_labels
from optuna_nas.data.local_files import open_text_path
from optuna_nas.data.sources import open_source
from optuna_nas.data.split_names import VALIDATION, choose_splits, split_role
from optuna_nas.data.splits import SplitSizes, check_integer, draw_rows, stratified_parts
from optuna_nas.data.text_data import TextData, TextSplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import datasets


def load_text(
    source: str | Path,
    *,
    config_name: str | None = None,
    encoding: str | None = None,
    train_split: str | None = None,
    validation_split: str | None = None,
    test_split: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
    seed: int = 0,
) -> TextData:
    """Load labelled texts and split them into training, validation and test texts.

    All draws are stratified by class. The test texts do not depend on the other sizes, nor the
    validation texts on `train_size` if `validation_size` is given.

    Args:
        source: A local `.parquet`, `.arrow`, `.csv`, `.tsv`, `.json` or `.jsonl` file, or a folder
            of such files named `train*`, `test*` and `validation*`, or not by splits; a folder
            written by `Dataset.save_to_disk`; or a dataset of the Hugging Face hub by its id.
        config_name: The configuration of a hub dataset that has several.
        encoding: How local `.csv`, `.tsv`, `.json` and `.jsonl` files are encoded; by default as
            their byte order mark says, else UTF-8.
        train_split: The source's split to train on; by default the one named like "train", or the
            only one.
        validation_split: The source's split to search on; by default the one named like
            "validation", if there is another to test on; else drawn from the training split.
        test_split: The source's split to test on; by default the one named like "test" if it has
            labels, else the one named like "validation", else drawn from the training split.
        text_column: The column of texts; by default found by type and name.
        label_column: The column of labels; by default found by type and name.
        validation_fraction: The share of validation texts among training and validation texts,
            where they are drawn from the training split; not used if `validation_size` is given.
        test_fraction: The share of test texts, where they are drawn from the training split; not
            used if `test_size` is given.
        train_size: The number of training texts; by default all that are left.
        validation_size: The number of validation texts; by default the whole validation split.
        test_size: The number of test texts; by default the whole test split.
        seed: Draws the splits. Keep it the same for all trials of a study.

    Returns:
        The texts.

    Raises:
        TypeError: If a number is not of its type.
        ValueError: If the source cannot be read or does not hold labelled texts of two classes or
            more, or if a number is out of range or larger than the texts there are.
    """
    sizes = SplitSizes(train_size, validation_size, test_size, validation_fraction, test_fraction)
    check_integer("seed", seed, least=0)
    open_local = partial(open_text_path, encoding=encoding)
    splits = open_source(source, config_name=config_name, open_local=open_local)
    if validation_split is not None and validation_split not in splits:
        raise ValueError(
            f"`validation_split`={validation_split!r} is not a split of {source}: {list(splits)}."
        )
    left = {name: table for name, table in splits.items() if name != validation_split}
    train_name, test_name = choose_splits(
        left, source=source, train_split=train_split, test_split=test_split
    )
    train = _Table.read(splits[train_name], text_column, label_column, train_name, source)
    train.check_classes()
    if test_split is None and test_name is not None and train.is_unlabelled(splits[test_name]):
        del left[test_name]
        _, test_name = choose_splits(left, source=source, train_split=train_name)
    if validation_split is None:
        validation_split = _validation(left, train_name, test_name, source)

    test = train if test_name is None else train.like(splits[test_name], test_name, source)
    validation = train
    if validation_split is not None:
        validation = train.like(splits[validation_split], validation_split, source)
    rows = _draw(train, validation, test, sizes, seed)
    train.check_none_lost(rows[0])
    return TextData(
        name=str(source),
        train=train.take(rows[0]),
        validation=validation.take(rows[1]),
        test=test.take(rows[2]),
        class_names=tuple(train.class_names),
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """One split of a source, with its columns found and its labels read."""

    dataset: datasets.Dataset
    text_column: str
    label_column: str
    labels: np.ndarray
    class_names: list[str]
    where: str

    @classmethod
    def read(
        cls,
        dataset: datasets.Dataset,
        text_column: str | None,
        label_column: str | None,
        split: str,
        source: str | Path,
    ) -> _Table:
        where = f"split {split!r} of {source}"
        label = find_label_column(dataset, name=label_column, where=where)
        text = find_text_column(dataset, name=text_column, label_column=label, where=where)
        labels, class_names = read_labels(dataset, label, where=where)
        return cls(dataset, text, label, labels, class_names, where)

    def like(self, dataset: datasets.Dataset, split: str, source: str | Path) -> _Table:
        """Read another split, with the columns and the class numbers of this one."""
        other = _Table.read(dataset, self.text_column, self.label_column, split, source)
        labels = align_labels(
            other.labels,
            other.class_names,
            train_labels=self.labels,
            class_names=self.class_names,
            where=other.where,
        )
        return replace(other, labels=labels, class_names=self.class_names)

    def is_unlabelled(self, dataset: datasets.Dataset) -> bool:
        """Whether another split has no labels at all: no such column, or null or negative ones."""
        if self.label_column not in dataset.features:
            return True
        values = dataset.with_format("arrow")[:].column(self.label_column)
        labels = values.drop_null().to_numpy()
        return bool(np.issubdtype(labels.dtype, np.number) and (labels < 0).all()) or not len(
            labels
        )

    def take(self, rows: np.ndarray) -> TextSplit:
        """Read the texts of some rows.

        Raises:
            ValueError: If one of them is missing.
        """
        texts = self.dataset.select_columns([self.text_column])[rows][self.text_column]
        missing = [int(row) for row, text in zip(rows, texts, strict=True) if text is None]
        if missing:
            raise ValueError(
                f"{self.where} has no text (null) in {len(missing)} of the {len(rows)} rows taken "
                f"from it, first in row {min(missing)} of column {self.text_column!r}."
            )
        return TextSplit(tuple(texts), self.labels[rows])

    def check_classes(self) -> None:
        present = [self.class_names[number] for number in np.unique(self.labels)]
        if len(present) < 2:
            raise ValueError(f"{self.where} has only one class, {present[0]!r}; two are needed.")

    def check_none_lost(self, rows: np.ndarray) -> None:
        lost = np.setdiff1d(self.labels, self.labels[rows])
        if len(lost):
            names = [self.class_names[number] for number in lost[:10]]
            raise ValueError(
                f"The {len(rows)} training texts drawn from {self.where} have none of the "
                f"classes {names}. Raise `train_size`, or lower `validation_size` or "
                "`test_size`."
            )


def _validation(
    splits: Mapping[str, datasets.Dataset], train: str, test: str | None, source: str | Path
) -> str | None:
    """The split named like "validation" that is neither trained nor tested on."""
    candidates = [
        name for name in splits if split_role(name) == VALIDATION and name not in (train, test)
    ]
    if len(candidates) > 1:
        raise ValueError(
            f"Cannot tell which split of {source} to search on; name it with "
            f"`validation_split`, "
            f"one of {candidates}."
        )
    return candidates[0] if candidates else None


def _draw(
    train: _Table, validation: _Table, test: _Table, sizes: SplitSizes, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the rows of training, validation and test texts, each from its own table."""
    test_labels = None if test is train else test.labels
    if validation is train:
        rows = draw_rows(train.labels, test_labels, sizes, seed)
        return rows.train, rows.validation, rows.test
    rng, train_rng, test_rng = np.random.default_rng(seed).spawn(3)
    drawn = _some(validation, "validation_size", sizes.validation, rng)
    if test_labels is None:
        whole = len(train.labels)
        for_test = sizes.test or max(1, round(whole * sizes.test_fraction))
        for_train = whole - for_test if sizes.train is None else sizes.train
        if for_train < 1 or for_train + for_test > whole:
            raise ValueError(
                f"{train.where} has {whole} examples, but {max(for_train, 1)} to train and "
                f"{for_test} to test on are asked for (`train_size`={sizes.train}, "
                f"`test_size`={sizes.test}, `test_fraction`={sizes.test_fraction})."
            )
        parts = stratified_parts(train.labels, [for_test, for_train], train_rng)
        return parts[1], drawn, parts[0]
    return (
        _some(train, "train_size", sizes.train, train_rng),
        drawn,
        _some(test, "test_size", sizes.test, test_rng),
    )


def _some(table: _Table, argument: str, size: int | None, rng: np.random.Generator) -> np.ndarray:
    """All rows of a table in their order, or so many drawn ones."""
    if size is None:
        return np.arange(len(table.labels))
    if size > len(table.labels):
        raise ValueError(
            f"`{argument}`={size}, but {table.where} has {len(table.labels)} examples."
        )
    return stratified_parts(table.labels, [size], rng)[0]
