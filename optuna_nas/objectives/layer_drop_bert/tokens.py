"""Texts as token numbers, made once for all trials, and padded batches of texts of like length.

A batch is padded to its longest text, so batches of texts of like length waste little:

1. the texts are shuffled and cut into chunks of fifty batches;
2. each chunk is sorted by length and cut into batches, which are shuffled;
3. the batch with the longest text of all comes first in the first epoch: if it does not fit into
   memory, that shows in the first step and not in the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import DataCollatorWithPadding

from optuna_nas._interrupts import check_interrupted
from optuna_nas.objectives.layer_drop_bert.isolation import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from optuna_nas.data import TextData, TextSplit

_CHUNK = 50


@dataclass(frozen=True, eq=False)
class TokenSplit:
    """The tokenised texts of one split.

    Attributes:
        columns: What the tokenizer returned for each text, not padded, by name.
        labels: Class numbers, `n`.
    """

    columns: dict[str, list[list[int]]]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def lengths(self) -> np.ndarray:
        """The tokens of each text, `n`."""
        return np.array([len(tokens) for tokens in self.columns["input_ids"]])


@dataclass(frozen=True, eq=False)
class TokenData:
    """The three splits of a data set, tokenised.

    Attributes:
        train: The texts to train on.
        validation: The texts to search on.
        test: The texts for the final measurement.
        tokenizer: What pads them.
    """

    train: TokenSplit
    validation: TokenSplit
    test: TokenSplit
    tokenizer: Any

    @classmethod
    def tokenize(cls, data: TextData, tokenizer: Any, max_length: int) -> TokenData:
        """Tokenise a data set; texts are cut to `max_length` tokens."""
        splits = [
            _tokenize(split, tokenizer, max_length)
            for split in (data.train, data.validation, data.test)
        ]
        return cls(splits[0], splits[1], splits[2], tokenizer)

    def batches(self, split: TokenSplit, groups: Sequence[np.ndarray]) -> Batches:
        """Batches of a split, one for each group of row numbers."""
        return Batches(split, groups, DataCollatorWithPadding(self.tokenizer))

    def longest_first(self, split: TokenSplit, batch_size: int) -> Batches:
        """All texts of a split once, sorted by length."""
        order = np.argsort(-split.lengths, kind="stable")
        return self.batches(split, _cut(order, batch_size))


class Batches(Dataset[dict[str, Tensor]]):
    """Padded batches; item `i` holds tensors `B L` and the `labels`, `B`.

    Args:
        split: The texts.
        groups: The row numbers of each batch.
        pad: Turns a list of texts into a batch.
    """

    def __init__(self, split: TokenSplit, groups: Sequence[np.ndarray], pad: Any) -> None:
        self.split = split
        self.groups = groups
        self._pad = pad

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        check_interrupted()
        rows = self.groups[index]
        columns = self.split.columns
        texts = [{name: columns[name][row] for name in columns} for row in rows]
        batch: dict[str, Tensor] = dict(self._pad(texts))
        batch["labels"] = torch.from_numpy(self.split.labels[rows])
        return batch


def epoch_groups(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Group the rows of an epoch into batches of like length, in random order.

    Args:
        lengths: The tokens of each text, `n`.
        batch_size: Texts of a batch; one batch may be smaller.
        seed: The seed of the training.
        epoch: The epoch, counted from 0.
    """
    rng = np.random.default_rng([seed, epoch])
    groups: list[np.ndarray] = []
    for chunk in _cut(rng.permutation(len(lengths)), _CHUNK * batch_size):
        groups += _cut(chunk[np.argsort(-lengths[chunk], kind="stable")], batch_size)
    order = rng.permutation(len(groups)).tolist()
    if epoch == 0:
        longest = max(order, key=lambda number: int(lengths[groups[number][0]]))
        order.remove(longest)
        order.insert(0, longest)
    return [groups[number] for number in order]


def _cut(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _tokenize(split: TextSplit, tokenizer: Any, max_length: int) -> TokenSplit:
    check_interrupted()
    with quiet():
        encoded = tokenizer(list(split.texts), truncation=True, max_length=max_length)
    return TokenSplit({name: list(encoded[name]) for name in encoded}, split.labels)
