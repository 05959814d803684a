"""A task: what is learnt from which data.

A task is a composition, as a method is. What differs between tasks, its fields say; objectives,
methods and trainers know nothing else of what they train. A new task is one function that makes
one::

    def denoising(data: ImageData) -> Task:
        return Task(data, outputs=1, loss=..., score=rmse(), augment=...)

and a small change of one is `dataclasses.replace(task, loss=label_smoothing)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from torch import Tensor

if TYPE_CHECKING:
    import torch

    from optuna_nas.data import Split
    from optuna_nas.tasks.score import Score

__all__ = ["Augment", "Data", "Loss", "Splits", "Task", "unchanged"]

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""The mean loss, a scalar, of outputs `B ...` at targets `B ...`."""

Augment: TypeAlias = "Callable[[Tensor, torch.Generator], Tensor]"
"""What is done at random to a batch of training inputs."""


class Data(Protocol):
    """Examples in three disjoint splits, such as :class:`optuna_nas.data.ImageData`.

    A split is a :class:`optuna_nas.data.Split`, or what only the network itself can read.
    """

    @property
    def train(self) -> Any:
        """What is trained on."""

    @property
    def validation(self) -> Any:
        """What is searched on."""

    @property
    def test(self) -> Any:
        """What the final measurement is on."""

    @property
    def measured_on(self) -> dict[str, int]:
        """How many examples scores are of, as a trial logs it."""

    @property
    def digest(self) -> str:
        """Changes with anything that is learnt from or measured on."""

    def describe(self) -> dict[str, Any]:
        """What the data are, the digest too, as JSON values."""


@dataclass(frozen=True)
class Splits:
    """The tensors of a task.

    Attributes:
        train: What is trained on.
        validation: What is searched on.
        test: What the final measurement is on.
    """

    train: Split
    validation: Split
    test: Split

    def to(self, device: torch.device | str) -> Splits:
        """Return the splits on a device."""
        return Splits(*(s.to(device) for s in (self.train, self.validation, self.test)))


def unchanged(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """No augmentation."""
    return inputs


@dataclass(frozen=True, eq=False)
class Task:
    """What is learnt from which data.

    Attributes:
        data: The data.
        outputs: The head: how many numbers a network computes for an example (of an image whose
            pixels have targets, for each pixel).
        loss: What the training minimises.
        score: What a network is judged by.
        augment: What is done at random to a batch of training inputs.
        settings: What, beside the data, tells it from other tasks, as JSON values: a checkpoint
            of another one is not gone on with.
    """

    data: Data
    outputs: int
    loss: Loss
    score: Score
    augment: Augment = unchanged
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def splits(self) -> Splits:
        """The data as tensors."""
        return Splits(self.data.train, self.data.validation, self.data.test)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The axes of one input: `(C, H, W)` of an image, `(d,)` of a row of a table."""
        return tuple(self.data.train.inputs.shape[1:])
