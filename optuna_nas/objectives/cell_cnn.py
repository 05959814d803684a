"""Train the network of a cell on images; see `network_training` for what one trial does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from optuna_nas._options import documented
from optuna_nas.objectives.image_objective import ImageObjective
from optuna_nas.objectives.network_training import NetworkTraining
from optuna_nas.objectives.options import CellCNNOptions
from optuna_nas.objectives.training import Trainer

if TYPE_CHECKING:
    from torch import nn


@documented
@dataclass(eq=False, repr=False)
class CellCNN(NetworkTraining, ImageObjective, CellCNNOptions):
    """Train the network of a cell on images; the value of a trial is its validation accuracy.

    Args:
        space: The search space; its architectures must have networks.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.

    Raises:
        TypeError: `space` is no search space, or has no networks.
        ValueError: An option is out of range, an operation of the space is not registered, the
            images are too small for the networks, `device` cannot be used, or `artifacts` is a
            file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> objective = nas.objectives.CellCNN(nas.spaces.NASBench201Space(), "digits", epochs=2)
        >>> study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler())
        >>> study.optimize(objective, n_trials=3)  # doctest: +SKIP
    """

    def _network_options(self) -> dict[str, Any]:
        return {"auxiliary": self.auxiliary}

    def _trainer(self, network: nn.Module, generator: torch.Generator) -> Trainer:
        train, probability = self._on_device.train, self.drop_path_probability
        return Trainer(
            network, train, self.task, self, generator, drop_path_probability=probability
        )

    def _check_network(self) -> nn.Module:
        network = super()._check_network()
        if self.auxiliary:  # whose head only sees images in training
            with torch.no_grad():
                network.train()(torch.zeros(2, *self.task.input_shape))
        if self.drop_path_probability and not hasattr(network, "drop_path_probability"):
            raise ValueError(
                f"`drop_path_probability` is {self.drop_path_probability}, but networks of "
                f"{self.space.name} have no paths to drop; allowed is 0."
            )
        return network
