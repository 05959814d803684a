"""The training of the candidates of an ensemble from scratch, as stages of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from optuna_nas.ensembles import accuracy, mean_probabilities
from optuna_nas.networks import count_parameters
from optuna_nas.objectives.training import Trainer, probabilities
from optuna_nas.spaces import Architecture
from optuna_nas.trials import Stage, Stages

if TYPE_CHECKING:
    from optuna_nas.objectives.edge_nes.ensemble_search import EnsembleSearch


def train_candidates(
    objective: EnsembleSearch, architectures: Sequence[Architecture], stages: Stages
) -> list[Mapping[str, Any]]:
    """Train all candidates, one after the other.

    Returns:
        For each its probabilities on the `"validation"` and the `"test"` images, `n x c`, the
        number of its `"parameters"`, and its `"weights"` by name.
    """
    finished: list[Mapping[str, Any]] = []
    for number, architecture in enumerate(architectures):

        def prepare(
            generator: torch.Generator, architecture: Architecture = architecture
        ) -> Stage:
            return _stage(objective, architecture, generator, list(finished))

        epochs = objective._training.epochs
        finished.append(stages.once(f"candidate {number}", "training", epochs, prepare))
    return finished


def _stage(
    objective: EnsembleSearch,
    architecture: Architecture,
    generator: torch.Generator,
    finished: list[Mapping[str, Any]],
) -> Stage:
    images = objective._on_device
    network = objective.build(architecture, generator).to(objective.device)
    trainer = Trainer(network, images.train, objective.task, objective._training, generator)

    def value() -> float:
        """The accuracy of the ensemble of all candidates so far."""
        every = [found["validation"] for found in finished]
        every.append(probabilities(network, images.validation))
        mean = mean_probabilities(np.stack([given.numpy() for given in every]))
        return accuracy(mean, images.validation.targets.cpu().numpy())

    def result() -> dict[str, Any]:
        return {
            "validation": probabilities(network, images.validation),
            "test": probabilities(network, images.test),
            "parameters": count_parameters(network),
            "weights": {n: t.detach().cpu().clone() for n, t in network.state_dict().items()},
        }

    return Stage(trainer, value, result)


def joined_weights(members: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """The state dict of an `EnsembleNetwork` of trained candidates."""
    return {
        f"members.{number}.{name}": tensor
        for number, member in enumerate(members)
        for name, tensor in member["weights"].items()
    }
