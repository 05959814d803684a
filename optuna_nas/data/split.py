"""Examples and their targets as tensors in memory, and batches of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

from optuna_nas._interrupts import check_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

_HASHED_AT_ONCE = 1024  # examples that are copied, where they do not lie one after the other

Some = TypeVar("Some", bound="Split")


@dataclass(frozen=True, eq=False)
class Split:
    """The examples of one split.

    Attributes:
        inputs: What a network is given, `N ...`.
        targets: What it is to tell, `N ...`: class numbers (int64), or numbers (float32).
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def to(self: Some, device: torch.device | str) -> Some:
        """Return the split on a device, itself if it is there already."""
        inputs, targets = self.inputs.to(device), self.targets.to(device)
        return self if inputs is self.inputs else type(self)(inputs, targets)

    def rows(self: Some, numbers: Tensor) -> Some:
        """Return the split of these rows, in this order."""
        return type(self)(self.inputs[numbers], self.targets[numbers])


def digest_of(meaning: str, splits: Iterable[Split]) -> str:
    """Sixteen hexadecimal digits that change with any input, target, or split.

    Args:
        meaning: What the numbers stand for, such as the names of classes.
        splits: The splits in their order.
    """
    found = hashlib.blake2b(meaning.encode(), digest_size=8)
    for split in splits:
        for tensor in (split.inputs, split.targets):
            found.update(f"\1{tensor.dtype}{tuple(tensor.shape)}\1".encode())
            for part in torch.split(tensor.detach(), _HASHED_AT_ONCE):
                found.update(part.cpu().contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()


def batches(
    split: Split,
    batch_size: int,
    generator: torch.Generator | None = None,
    *,
    device: torch.device | str | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate once over a split in batches.

    With a generator the examples come shuffled, for training: the last batch may be smaller, but a
    last batch of a single one is left out of this epoch, as batch normalisation cannot train
    on one example. Without a generator all examples come in order, for evaluation.

    Args:
        split: The examples.
        batch_size: Examples per batch; at least 2 with a generator.
        generator: The source of randomness, advanced by each epoch; None for no shuffling.
        device: Where to put each batch; None leaves it where the split is. A split that fits on
            the device is faster moved there once, by `split.to(device)`.

    Returns:
        An iterator over inputs `B ...` and targets `B ...`.

    Raises:
        ValueError: If the batch size, or the split, is smaller than 1, or than 2 with a
            generator.
    """
    least = 1 if generator is None else 2
    if batch_size < least:
        raise ValueError(f"batch_size must be at least {least}, got {batch_size}.")
    if len(split) < least:
        raise ValueError(f"The split must have at least {least} examples, it has {len(split)}.")
    return _batches(split, batch_size, generator, device or split.inputs.device)


def _batches(
    split: Split,
    batch_size: int,
    generator: torch.Generator | None,
    device: torch.device | str,
) -> Iterator[tuple[Tensor, Tensor]]:
    if generator is None:
        pairs = zip(
            torch.split(split.inputs, batch_size),
            torch.split(split.targets, batch_size),
            strict=True,
        )
        for inputs, targets in pairs:
            check_interrupted()
            yield inputs.to(device), targets.to(device)
        return
    order = torch.randperm(len(split), generator=generator, device=generator.device)
    for rows in torch.split(order.to(split.inputs.device), batch_size):
        check_interrupted()
        if len(rows) > 1:
            yield split.inputs[rows].to(device), split.targets[rows].to(device)
