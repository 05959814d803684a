"""The training of the candidates of an ensemble from scratch, as stages of a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from optuna_nas.ensembles import accuracy, mean_probabilities
from optuna_nas.networks import count_parameters
from optuna_nas.objectives.edge_nes.images import Images
from optuna_nas.objectives.edge_nes.settings import TrainingSettings
from optuna_nas.objectives.training import Trainer, probabilities
from optuna_nas.spaces import Architecture
from optuna_nas.tasks import Task
from optuna_nas.trials import Stage, Stages


@dataclass(frozen=True)
class CandidateTraining:
    """How candidates are trained, one after the other.

    Attributes:
        build: Builds the network of a candidate on the CPU, its weights drawn from a generator.
        images: The images on the device.
        settings: How to train.
        task: What is learnt.
        device: Where to train.
        stages: The stages of the trial.
    """

    build: Callable[[Architecture, torch.Generator], nn.Module]
    images: Images
    settings: TrainingSettings
    task: Task
    device: torch.device
    stages: Stages

    def train(self, architectures: Sequence[Architecture]) -> list[Mapping[str, Any]]:
        """Train all candidates.

        Returns:
            For each its probabilities on the `"validation"` and the `"test"` images, `n x c`, the
            number of its `"parameters"`, and its `"weights"` by name.
        """
        finished: list[Mapping[str, Any]] = []
        for number, architecture in enumerate(architectures):
            finished.append(self._train_one(number, architecture, list(finished)))
        return finished

    def _train_one(
        self, number: int, architecture: Architecture, finished: list[Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        images, settings = self.images, self.settings

        def prepare(generator: torch.Generator) -> Stage:
            network = self.build(architecture, generator).to(self.device)
            trainer = Trainer(network, images.train, self.task, settings, generator)

            def value() -> float:
                """The accuracy of the ensemble of all candidates so far."""
                every = [found["validation"] for found in finished]
                every.append(probabilities(network, images.validation))
                mean = mean_probabilities(np.stack([given.numpy() for given in every]))
                return accuracy(mean, images.validation.labels.cpu().numpy())

            def result() -> dict[str, Any]:
                return {
                    "validation": probabilities(network, images.validation),
                    "test": probabilities(network, images.test),
                    "parameters": count_parameters(network),
                    "weights": {
                        name: tensor.detach().cpu().clone()
                        for name, tensor in network.state_dict().items()
                    },
                }

            return Stage(trainer, value, result)

        return self.stages.once(f"candidate {number}", "training", settings.epochs, prepare)


def joined_weights(members: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """The state dict of an `EnsembleNetwork` of trained candidates."""
    return {
        f"members.{number}.{name}": tensor
        for number, member in enumerate(members)
        for name, tensor in member["weights"].items()
    }
