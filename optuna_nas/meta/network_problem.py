"""A network that classifies, as a problem: its weight decays and the weights of its examples.

The training loss of a batch of B examples is

    1/B Σ_i σ(d_i) · cross-entropy(f(x_i), y_i) + ½ Σ_l exp(λ_l) ‖w_l‖²

with, if they are among the hyper-parameters, λ = `log_weight_decay` (one number, or one for each
tensor of weights, in the order of `network.parameters()`) and d = `example_logit` (one for each
training example; σ is the logistic function). The validation loss is the mean cross-entropy of all
validation examples.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from optuna_nas._checks import checked_integer
from optuna_nas.meta.problem import Tensors
from optuna_nas.networks.initial_weights import weights_from

Examples = tuple[Tensor, Tensor]
"""Inputs, `N ...`, and class numbers, int64, `N`."""


class NetworkProblem:
    """A classifier, whose settings can be learnt by gradient.

    Args:
        network: The network. It may have no buffers, such as batch norm has: they would change
            while a training is gone over again.
        train: The training examples.
        validation: The validation examples.
        test: Test examples, for :meth:`scores` only.
        batch_size: Examples of a step; None for all.
        seed: Seed of the batches.

    Raises:
        ValueError: The network has buffers or no weights, examples and labels are not as many,
            tensors are not on one device, or `batch_size` is larger than the training set.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Examples,
        validation: Examples,
        *,
        test: Examples | None = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        weights = dict(network.named_parameters())
        if not weights:
            raise ValueError("`network` has no weights.")
        if any(True for _ in network.buffers()):
            names = [name for name, _ in network.named_buffers()]
            raise ValueError(f"`network` has the buffers {names}; allowed is a network without.")
        self._device = next(iter(weights.values())).device
        self._network = network
        self._train = self._checked("train", train)
        self._validation = self._checked("validation", validation)
        self._test = None if test is None else self._checked("test", test)
        size = len(train[1])
        self.batch_size = size if batch_size is None else batch_size
        checked_integer("batch_size", self.batch_size, 1, size)
        self.seed = checked_integer("seed", seed, 0, 2**31 - 1)

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the weights as the network's modules do; those of other modules stay as given."""
        with torch.no_grad(), weights_from(generator):
            for module in self._network.modules():
                reset = getattr(module, "reset_parameters", None)
                if callable(reset):
                    reset()
        return {n: w.detach().clone() for n, w in self._network.named_parameters()}

    def training_loss(self, weights: Tensors, hyper: Tensors, batch: int) -> Tensor:
        """The loss of a batch of training examples, with the penalties."""
        inputs, labels = self._train
        chosen = self._batch(batch)
        losses = self._losses(weights, inputs[chosen], labels[chosen])
        if "example_logit" in hyper:
            shares = torch.sigmoid(_sized("example_logit", hyper, len(labels))[chosen])
            losses = losses * shares
        loss = losses.mean()
        if "log_weight_decay" in hyper:
            decays = _sized("log_weight_decay", hyper, len(weights)).exp()
            norms = torch.stack([w.square().sum() for w in weights.values()])
            loss = loss + (decays * norms).sum() / 2
        return loss

    def validation_loss(self, weights: Tensors, batch: int) -> Tensor:
        """The mean cross-entropy of all validation examples."""
        return self._losses(weights, *self._validation).mean()

    def scores(self, weights: Tensors) -> dict[str, float]:
        """Accuracies of validation and test examples, and the test loss, for the record."""
        found = {}
        with torch.no_grad():
            for name, examples in (("validation", self._validation), ("test", self._test)):
                if examples is not None:
                    inputs, labels = examples
                    logits = torch.func.functional_call(self._network, dict(weights), (inputs,))
                    found[f"{name}_accuracy"] = float((logits.argmax(1) == labels).double().mean())
            if self._test is not None:
                found["test_loss"] = float(self._losses(weights, *self._test).mean())
        return found

    def _losses(self, weights: Tensors, inputs: Tensor, labels: Tensor) -> Tensor:
        logits = torch.func.functional_call(self._network, dict(weights), (inputs,))
        return F.cross_entropy(logits, labels, reduction="none")

    def _batch(self, batch: int) -> Tensor:
        size = len(self._train[1])
        if self.batch_size == size:
            return torch.arange(size, device=self._device)
        epoch, step = divmod(batch, size // self.batch_size)
        seed = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1)[0])
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
        return order[step * self.batch_size : (step + 1) * self.batch_size].to(self._device)

    def _checked(self, argument: str, examples: Examples) -> Examples:
        inputs, labels = examples
        if len(inputs) != len(labels) or not len(labels):
            raise ValueError(
                f"`{argument}` has {len(inputs)} inputs and {len(labels)} labels; allowed are as "
                "many of each, and at least one."
            )
        for tensor in examples:
            if tensor.device != self._device:
                raise ValueError(
                    f"`{argument}` is on {tensor.device}, the network is on {self._device}; "
                    "allowed is one device."
                )
        return examples


def _sized(name: str, hyper: Mapping[str, Tensor], size: int) -> Tensor:
    """A hyper-parameter as a vector of this size."""
    given = hyper[name]
    if given.shape not in ((), (1,), (size,)):
        raise ValueError(
            f"The hyper-parameter {name!r} has the shape {tuple(given.shape)}; allowed are one "
            f"number and {size}."
        )
    return given.expand(size)
