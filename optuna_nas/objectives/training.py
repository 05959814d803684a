"""Training a classifier of images from scratch: one epoch, and the accuracy after it.

The recipe is that of the small-image benchmarks: SGD with Nesterov momentum and weight decay,
and a learning rate that rises linearly during the first tenth of all steps and then falls to zero
along a cosine. With so few epochs as a search can afford, the rise lets the peak be high.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from optuna_nas._checks import checked_integer
from optuna_nas.data import batches
from optuna_nas.data.augmentation import Augmentation
from optuna_nas.networks import AUXILIARY_WEIGHT
from optuna_nas.trials.divergence import DivergedError

if TYPE_CHECKING:
    from optuna_nas.data import ImageData, ImageSplit

_WARMUP_SHARE = 0.1
_EVALUATION_BATCH = 512


def chosen_augmentation(
    data: ImageData, flip: bool | None, crop_padding: int | None, cutout: int
) -> Augmentation:
    """Return the augmentation for a data set.

    Args:
        data: The images.
        flip: Whether images are mirrored at random. None: if they are coloured.
        crop_padding: Pixels of padding before the random crop. None: an eighth of the side.
        cutout: Side of the square that is blanked, in pixels.

    Raises:
        ValueError: A number does not fit the size of the images.
    """
    side = min(data.image_size)
    return Augmentation(
        flip=data.in_channels > 1 if flip is None else bool(flip),
        crop_padding=checked_integer(
            "crop_padding", side // 8 if crop_padding is None else crop_padding, 0, side - 1
        ),
        cutout=checked_integer("cutout", cutout, 0, side),
    )


class Trainer:
    """Trains one network for a fixed number of epochs.

    Args:
        network: The network, on its device.
        train: The training images, on the same device.
        epochs: The epochs of the whole training; the schedule depends on them.
        batch_size: Images of a step.
        learning_rate: The peak of the schedule.
        momentum: Nesterov momentum of SGD.
        weight_decay: L2 penalty on all parameters.
        augmentation: What is done to each batch.
        gradient_clip: The largest norm of the gradient.
        generator: Source of shuffling and augmentation, on the CPU.
    """

    def __init__(
        self,
        network: nn.Module,
        train: ImageSplit,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        momentum: float,
        weight_decay: float,
        augmentation: Augmentation,
        gradient_clip: float,
        generator: torch.Generator,
    ) -> None:
        self._network = network
        self._train = train
        self._batch_size = min(batch_size, len(train))
        whole, rest = divmod(len(train), self._batch_size)
        self._steps = epochs * (whole + (rest > 1))  # a last batch of one image is left out
        self._peak = learning_rate
        self._augmentation = augmentation
        self._gradient_clip = gradient_clip
        self._generator = generator
        self._step = 0
        self._optimizer = torch.optim.SGD(
            network.parameters(),
            lr=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            nesterov=momentum > 0,
        )

    def train_epoch(self) -> float:
        """Pass once over the training images.

        Returns:
            The mean training loss.

        Raises:
            DivergedError: The loss is not finite.
        """
        self._network.train()
        total, count = 0.0, 0
        for images, labels in batches(self._train, self._batch_size, self._generator):
            for group in self._optimizer.param_groups:
                group["lr"] = self._learning_rate()
            augmented = self._augmentation(images, self._generator)
            loss = _loss(self._network(augmented), labels)
            self._optimizer.zero_grad()
            if loss.requires_grad:  # a network without live parameters cannot learn
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self._network.parameters(), self._gradient_clip)
                self._optimizer.step()
            self._step += 1
            total += float(loss.detach()) * len(labels)
            count += len(labels)
        if not math.isfinite(total):
            raise DivergedError(f"the mean training loss of the epoch is {total / count}")
        return total / count

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on exactly from here."""
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "step": self._step,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self._step = state["step"]

    def _learning_rate(self) -> float:
        warmup = max(round(_WARMUP_SHARE * self._steps), 1)
        if self._step < warmup:
            return self._peak * (self._step + 1) / warmup
        progress = (self._step - warmup) / max(self._steps - warmup, 1)
        return self._peak * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def accuracy(network: nn.Module, split: ImageSplit) -> float:
    """The share of images whose class is predicted, from 0 to 1.

    Args:
        network: The network, on the device of the images.
        split: The images.

    Raises:
        DivergedError: An output is not finite, so that no class is predicted.
    """
    correct = sum(
        int((outputs.argmax(dim=1) == labels).sum())
        for outputs, labels in _outputs(network, split)
    )
    return correct / len(split)


def probabilities(network: nn.Module, split: ImageSplit) -> torch.Tensor:
    """The probability of each class for each image, `N num_classes` on the CPU.

    Args:
        network: The network, on the device of the images.
        split: The images.

    Raises:
        DivergedError: An output is not finite, so that there are no probabilities.
    """
    parts = [outputs.softmax(1) for outputs, _ in _outputs(network, split)]
    return torch.cat(parts).cpu().clone()


def _outputs(network: nn.Module, split: ImageSplit) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The logits `B num_classes` of each batch, and its labels."""
    network.eval()
    for images, labels in batches(split, _EVALUATION_BATCH):
        with torch.inference_mode():
            outputs = network(images)
        if not outputs.isfinite().all():
            raise DivergedError("outputs of the network are not finite")
        yield outputs, labels


def _loss(outputs: torch.Tensor | tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
    """The cross-entropy, plus that of the auxiliary head of a network that has one."""
    if isinstance(outputs, torch.Tensor):
        return F.cross_entropy(outputs, labels)
    logits, auxiliary = outputs
    return F.cross_entropy(logits, labels) + AUXILIARY_WEIGHT * F.cross_entropy(auxiliary, labels)
