"""Training a supernet: steps of its weights and of its architecture in turn.

For each batch of training images:

1. a batch of held-out images is drawn, and the architecture takes a step of Adam on the loss
   there, looking ahead along the weights' next step if asked to (see `methods.bilevel`), and
   on a penalty if there is one;
2. the weights take a step of SGD on the loss of the training batch, with the gradient clipped.

The learning rate of the weights falls along a cosine, epoch by epoch.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055, algorithm 1 and appendix A.1.

*Departures*: running statistics of batch norm follow the batches of the weights' steps only; in
the reference code also those of the architecture's, at shifted weights too. Held-out batches are
drawn anew for each step, as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

from optuna_nas.data import ImageSplit, augment, batches
from optuna_nas.methods import Unrolled, architecture_gradient
from optuna_nas.objectives.training import Augmentation, DivergedError
from optuna_nas.supernets import Supernet, Weights, frozen_statistics

_ADAM_BETAS = (0.5, 0.999)

Penalty: TypeAlias = Callable[[torch.Generator, float], torch.Tensor]
"""What the architecture is to keep small besides the loss, at a share of the training. The
generator is in the state in which the architecture drew its weights for the same step."""


@dataclass(frozen=True)
class SearchRecipe:
    """How a supernet is trained.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images of a step.
        order: 1, or 2 to look ahead along the weights' next step.
        xi: The length of the step to look ahead; None for the current learning rate of the
            weights. The first order has none.
        learning_rate: Learning rate of the weights in the first epoch.
        final_learning_rate: What it falls to.
        momentum: Momentum of the weights.
        weight_decay: Weight decay of the weights.
        gradient_clip: The largest norm of the weights' gradient.
        architecture_learning_rate: Learning rate of the architecture.
        architecture_weight_decay: Weight decay of the architecture.
        augmentation: What is done to every batch.
    """

    epochs: int
    batch_size: int
    order: int
    xi: float | None
    learning_rate: float
    final_learning_rate: float
    momentum: float
    weight_decay: float
    gradient_clip: float
    architecture_learning_rate: float
    architecture_weight_decay: float
    augmentation: Augmentation


class SupernetTrainer:
    """Trains one supernet and its architecture.

    Args:
        supernet: The supernet, on its device.
        architecture: What gives the weights of the operations, on the same device: called with a
            generator and the share of the training that is over, from 0 to 1.
        train: The images for the weights, on the same device.
        held_out: The images for the architecture, likewise.
        recipe: How to train.
        generator: Source of shuffling, augmentation and of a relaxation's noise, on the CPU.
        penalty: What is added to the architecture's loss.
    """

    def __init__(
        self,
        supernet: Supernet,
        architecture: nn.Module,
        train: ImageSplit,
        held_out: ImageSplit,
        recipe: SearchRecipe,
        generator: torch.Generator,
        penalty: Penalty | None = None,
    ) -> None:
        self._supernet = supernet
        self._architecture = architecture
        self._train = train
        self._held_out = held_out
        self._recipe = recipe
        self._generator = generator
        self._penalty = penalty
        self._batch_size = min(recipe.batch_size, len(train))
        whole, rest = divmod(len(train), self._batch_size)
        self._steps = recipe.epochs * (whole + (rest > 1))
        self._step = 0
        self._epoch = 0
        self._weights = list(supernet.parameters())
        self._alphas = list(architecture.parameters())
        self._weight_optimizer = torch.optim.SGD(
            self._weights,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self._architecture_optimizer = torch.optim.Adam(
            self._alphas,
            lr=recipe.architecture_learning_rate,
            betas=_ADAM_BETAS,
            weight_decay=recipe.architecture_weight_decay,
        )

    def train_epoch(self) -> float:
        """Pass once over the training images.

        Returns:
            The mean training loss.

        Raises:
            DivergedError: The loss, or the architecture, is not finite.
        """
        self._supernet.train()
        for group in self._weight_optimizer.param_groups:
            group["lr"] = self._learning_rate()
        total, count = 0.0, 0
        for images, labels in batches(self._train, self._batch_size, self._generator):
            batch = self._augmented(images), labels
            self._step_architecture(batch)
            total += self._step_weights(batch) * len(labels)
            count += len(labels)
            self._step += 1
        self._epoch += 1
        if not math.isfinite(total):
            raise DivergedError(f"the mean training loss of the epoch is {total / count}")
        if not all(bool(alpha.isfinite().all()) for alpha in self._alphas):
            raise DivergedError("the parameters of the architecture are not finite")
        return total / count

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on exactly from here."""
        return {
            "supernet": self._supernet.state_dict(),
            "architecture": self._architecture.state_dict(),
            "weight_optimizer": self._weight_optimizer.state_dict(),
            "architecture_optimizer": self._architecture_optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "step": self._step,
            "epoch": self._epoch,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._supernet.load_state_dict(state["supernet"])
        self._architecture.load_state_dict(state["architecture"])
        self._weight_optimizer.load_state_dict(state["weight_optimizer"])
        self._architecture_optimizer.load_state_dict(state["architecture_optimizer"])
        self._generator.set_state(state["generator"])
        self._step = state["step"]
        self._epoch = state["epoch"]

    def _step_architecture(self, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        held_out = self._draw_held_out()
        noise = self._draw_seed()

        def loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            # The same noise each time: the second order compares losses of one sample.
            return F.cross_entropy(self._supernet(images, self._sample(noise)), labels)

        def penalised() -> torch.Tensor:
            found = loss(*held_out)
            if self._penalty is None:
                return found
            return found + self._penalty(_seeded(noise), self._progress)

        unrolled = None
        if self._recipe.order == 2:
            rate = self._learning_rate() if self._recipe.xi is None else self._recipe.xi
            unrolled = Unrolled.of(self._weight_optimizer, rate)
        with frozen_statistics(self._supernet):
            gradients = architecture_gradient(
                self._alphas,
                self._weights,
                validation_loss=penalised,
                training_loss=lambda: loss(*batch),
                unrolled=unrolled,
            )
        for alpha, gradient in zip(self._alphas, gradients, strict=True):
            alpha.grad = gradient
        self._architecture_optimizer.step()

    def _step_weights(self, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
        images, labels = batch
        with torch.no_grad():
            sample = self._sample(self._draw_seed())
        loss = F.cross_entropy(self._supernet(images, sample), labels)
        self._weight_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, self._recipe.gradient_clip)
        self._weight_optimizer.step()
        return float(loss.detach())

    def _sample(self, seed: int) -> Weights:
        weights: Weights = self._architecture(_seeded(seed), self._progress)
        return weights

    @property
    def _progress(self) -> float:
        return self._step / self._steps

    def _draw_seed(self) -> int:
        return int(torch.randint(2**31, (), generator=self._generator))

    def _draw_held_out(self) -> tuple[torch.Tensor, torch.Tensor]:
        order = torch.randperm(len(self._held_out), generator=self._generator)
        rows = order[: self._batch_size].to(self._held_out.labels.device)
        return self._augmented(self._held_out.images[rows]), self._held_out.labels[rows]

    def _augmented(self, images: torch.Tensor) -> torch.Tensor:
        return augment(images, self._generator, **vars(self._recipe.augmentation))

    def _learning_rate(self) -> float:
        low, high = self._recipe.final_learning_rate, self._recipe.learning_rate
        progress = min(self._epoch / self._recipe.epochs, 1.0)
        return low + (high - low) * (1 + math.cos(math.pi * progress)) / 2


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class RelaxedNetwork(nn.Module):
    """A supernet with given weights of its operations: a network of images, to evaluate.

    Args:
        supernet: The supernet.
        weights: The weight of each operation on each edge, by kind of cell.
    """

    def __init__(self, supernet: Supernet, weights: Weights) -> None:
        super().__init__()
        self.supernet = supernet
        self._weights = weights

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images `B C H W` to logits `B num_classes`."""
        logits: torch.Tensor = self.supernet(images, self._weights)
        return logits
