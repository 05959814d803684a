"""Training a network from scratch: one epoch, and the score after it.

The recipe is that of the small-image benchmarks: SGD with Nesterov momentum and weight decay (or
AdamW), and a learning rate that rises linearly during the first tenth of all steps and then falls
to zero along a cosine. With so few epochs as a search can afford, the rise lets the peak be high.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from optuna_nas._numerics import autocast, numerics
from optuna_nas.data import batches
from optuna_nas.networks import AUXILIARY_WEIGHT
from optuna_nas.trials.divergence import DivergedError

if TYPE_CHECKING:
    from optuna_nas.data import Split
    from optuna_nas.objectives.options import TrainingOptions
    from optuna_nas.tasks import Measured, Score, Task

_WARMUP_SHARE = 0.1
_EVALUATION_BATCH = 512


def _sgd(parameters: Iterable[nn.Parameter], options: TrainingOptions) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=options.learning_rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        nesterov=options.momentum > 0,
    )


def _adamw(parameters: Iterable[nn.Parameter], options: TrainingOptions) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameters, lr=options.learning_rate, weight_decay=options.weight_decay
    )


_OPTIMIZERS = {"sgd": _sgd, "adamw": _adamw}


class Trainer:
    """Trains one network for a fixed number of epochs.

    Args:
        network: The network, on its device.
        train: The training examples, on the same device.
        task: What is learnt: its loss, and what is done to each batch.
        options: How; the schedule depends on how many epochs there are.
        generator: Source of shuffling and augmentation, on the CPU.
        drop_path_probability: That of the last epoch, for a network with paths to drop.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Split,
        task: Task,
        options: TrainingOptions,
        generator: torch.Generator,
        *,
        drop_path_probability: float = 0.0,
    ) -> None:
        self._network = network
        self._train = train
        self._task = task
        self._options = options
        self._batch_size = min(options.batch_size, len(train))
        whole, rest = divmod(len(train), self._batch_size)
        self._steps_per_epoch = whole + (rest > 1)  # a last batch of one is left out
        self._steps = options.epochs * self._steps_per_epoch
        self._generator = generator
        self._drop_path_probability = drop_path_probability
        self._step = 0
        self._scaler = torch.amp.GradScaler(
            train.inputs.device.type, enabled=options.precision == "float16"
        )
        self._optimizer = _OPTIMIZERS[options.optimizer](network.parameters(), options)

    def train_epoch(self) -> float:
        """Pass once over the training examples.

        Returns:
            The mean training loss.

        Raises:
            DivergedError: The loss is not finite.
        """
        with numerics(self._options.precision, deterministic=self._options.deterministic):
            return self._train_epoch()

    def _train_epoch(self) -> float:
        self._network.train()
        if self._drop_path_probability:
            share = self._step // self._steps_per_epoch / self._options.epochs
            probability = share * self._drop_path_probability
            self._network.drop_path_probability = probability  # type: ignore[assignment]
        losses, counts = [], []
        for inputs, targets in batches(self._train, self._batch_size, self._generator):
            for group in self._optimizer.param_groups:
                group["lr"] = self._learning_rate()
            augmented = self._task.augment(inputs, self._generator)
            with autocast(self._options.precision, inputs.device):
                loss = self._loss(self._network(augmented), targets)
            self._optimizer.zero_grad()
            if loss.requires_grad:  # a network without live parameters cannot learn
                self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                self._scaler.unscale_(self._optimizer)
                nn.utils.clip_grad_norm_(self._network.parameters(), self._options.gradient_clip)
                self._scaler.step(self._optimizer)
                self._scaler.update()
            self._step += 1
            losses.append(loss.detach())  # on the device, which is not waited for
            counts.append(len(targets))
        count = sum(counts)
        total: float = sum(
            loss * n for loss, n in zip(torch.stack(losses).tolist(), counts, strict=True)
        )
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
            "scaler": self._scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self._step = state["step"]
        if state.get("scaler"):  # float16's; of the others it is empty
            self._scaler.load_state_dict(state["scaler"])

    def _loss(
        self, outputs: torch.Tensor | tuple[torch.Tensor, ...], targets: torch.Tensor
    ) -> torch.Tensor:
        """The task's loss, plus that of the auxiliary head of a network that has one."""
        if isinstance(outputs, torch.Tensor):
            return self._task.loss(outputs, targets)
        main, auxiliary = outputs
        return self._task.loss(main, targets) + AUXILIARY_WEIGHT * self._task.loss(
            auxiliary, targets
        )

    def _learning_rate(self) -> float:
        peak = self._options.learning_rate
        warmup = max(round(_WARMUP_SHARE * self._steps), 1)
        if self._step < warmup:
            return peak * (self._step + 1) / warmup
        progress = (self._step - warmup) / max(self._steps - warmup, 1)
        return peak * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def evaluate(network: nn.Module, split: Split, score: Score) -> Measured:
    """Measure a network.

    Args:
        network: The network, on the device of the examples.
        split: The examples.
        score: What it is judged by.

    Raises:
        DivergedError: An output is not finite, so that nothing is told.
    """
    return score.measure(_outputs(network, split))


def probabilities(network: nn.Module, split: Split) -> torch.Tensor:
    """The probability of each class for each image, `N num_classes` on the CPU.

    Args:
        network: The network, on the device of the images.
        split: The images.

    Raises:
        DivergedError: An output is not finite, so that there are no probabilities.
    """
    parts = [outputs.softmax(1) for outputs, _ in _outputs(network, split)]
    return torch.cat(parts).cpu().clone()


def _outputs(network: nn.Module, split: Split) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The outputs of each batch, and its targets."""
    network.eval()
    for inputs, targets in batches(split, _EVALUATION_BATCH):
        with torch.inference_mode():
            outputs = network(inputs)
        if not outputs.isfinite().all():
            raise DivergedError("outputs of the network are not finite")
        yield outputs, targets
