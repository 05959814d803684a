"""The searches by which candidates of an ensemble are found, as stages of a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from optuna_nas.data import ImageData
from optuna_nas.methods import (
    ArchitectureHypernetwork,
    ArchitectureParameters,
    SharedEdges,
    Softmax,
    common_edges,
)
from optuna_nas.objectives.edge_nes.images import Images
from optuna_nas.objectives.edge_nes.settings import HypernetworkSettings, SupernetSettings
from optuna_nas.objectives.edge_nes.stages import Stage, Stages
from optuna_nas.objectives.supernet_training import RelaxedNetwork, SupernetTrainer
from optuna_nas.objectives.training import Augmentation, accuracy
from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.supernets import Supernet, build_supernet

_CURVE_POINTS = 41
_DRAWS_PER_CANDIDATE = 50


@dataclass(frozen=True)
class Candidates:
    """Architectures to train and to choose an ensemble from.

    Attributes:
        architectures: The architectures; one that occurs twice is trained twice.
        optimum: The architecture that they were made from, if there is one.
        positions: The λ of each, if they come from a hypernetwork.
        curve: Pairs of λ and of the number of edges that the architecture there shares with the
            optimum.
    """

    architectures: list[Architecture]
    optimum: Architecture | None = None
    positions: tuple[float, ...] = ()
    curve: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class Search:
    """What candidates are searched with.

    Attributes:
        space: The search space.
        data: The images, for their sizes.
        images: The images on the device.
        augmentation: What is done to each batch.
        device: Where to train.
        stages: The stages of the trial.
    """

    space: SearchSpace
    data: ImageData
    images: Images
    augmentation: Augmentation
    device: torch.device
    stages: Stages

    def rng(self, name: str) -> np.random.Generator:
        """The source of randomness of a draw."""
        return self.stages.rng(name)

    def optimum(self, settings: SupernetSettings, name: str = "optimum") -> Architecture:
        """Search one architecture by DARTS, with weights of edges."""

        def prepare(generator: torch.Generator) -> Stage:
            supernet = self._supernet(settings, generator)
            parameters = architecture_parameters(supernet, generator).to(self.device)
            trainer = SupernetTrainer(
                supernet,
                parameters,
                self.images.weights,
                self.images.held_out,
                settings.recipe(self.augmentation),
                generator,
            )
            return Stage(
                trainer,
                lambda: self._accuracy(supernet, parameters.strengths()),
                lambda: {"params": supernet.derive(parameters.strengths()).params},
            )

        found = self.stages.train(name, "search", settings.epochs, prepare)
        return self.space.architecture(found["params"])

    def around(
        self, optimum: Architecture, settings: HypernetworkSettings, count: int
    ) -> Candidates:
        """Train a hypernetwork around an optimum, and draw architectures from it.

        λ is drawn from U(0, Λ). An architecture that was drawn before is drawn again, up to a
        limit: behind it, it is taken a second time.
        """

        def prepare(generator: torch.Generator) -> Stage:
            supernet = self._supernet(settings, generator)
            hypernetwork = hypernetwork_around(optimum, supernet, settings, generator)
            hypernetwork.to(self.device)
            trainer = SupernetTrainer(
                supernet,
                hypernetwork,
                self.images.weights,
                self.images.held_out,
                settings.recipe(self.augmentation),
                generator,
                penalty=hypernetwork.penalty,
            )
            end = hypernetwork.curve.length

            def derived(position: float) -> Architecture:
                with torch.no_grad():
                    return supernet.derive(hypernetwork.weights(position))

            def value() -> float:
                """The mean accuracy of the supernet at both ends and in the middle."""
                with torch.no_grad():
                    weights = [hypernetwork.weights(end * share) for share in (0.0, 0.5, 1.0)]
                return float(np.mean([self._accuracy(supernet, w) for w in weights]))

            def result() -> dict[str, Any]:
                drawn = _draw(derived, end, count, self.rng("positions"))
                grid = [float(x) for x in np.linspace(0.0, end, _CURVE_POINTS)]
                return {
                    "positions": [position for position, _ in drawn],
                    "params": [architecture.params for _, architecture in drawn],
                    "curve": [[x, common_edges(optimum, derived(x))] for x in grid],
                }

            return Stage(trainer, value, result)

        found = self.stages.train("hypernetwork", "search", settings.epochs, prepare)
        return Candidates(
            [self.space.architecture(params) for params in found["params"]],
            optimum,
            tuple(found["positions"]),
            tuple((position, count) for position, count in found["curve"]),
        )

    def _supernet(self, settings: SupernetSettings, generator: torch.Generator) -> Supernet:
        return supernet_of(self.space, self.data, settings, generator).to(self.device)

    def _accuracy(self, supernet: Supernet, weights: Mapping[str, torch.Tensor]) -> float:
        return accuracy(RelaxedNetwork(supernet, weights), self.images.validation)


def supernet_of(
    space: SearchSpace, data: ImageData, settings: SupernetSettings, generator: torch.Generator
) -> Supernet:
    """Build the supernet of a search, on the CPU."""
    return build_supernet(
        space,
        num_classes=data.num_classes,
        in_channels=data.in_channels,
        channels=settings.channels,
        cells=settings.cells,
        generator=generator,
    )


def check_supernet(
    space: SearchSpace, data: ImageData, settings: SupernetSettings, generator: torch.Generator
) -> None:
    """Use the supernet of a search once, so that what cannot work is said before training."""
    supernet = supernet_of(space, data, settings, generator)
    weights = architecture_parameters(supernet, generator).strengths()
    with torch.no_grad():
        supernet(torch.zeros(2, data.in_channels, *data.image_size), weights)
    supernet.derive(weights)


def architecture_parameters(
    supernet: Supernet, generator: torch.Generator
) -> ArchitectureParameters:
    """The parameters of one architecture, with weights of edges, on the CPU."""
    return ArchitectureParameters(
        supernet.edges,
        supernet.operations,
        relaxation=Softmax(),
        generator=generator,
        edge_weights=True,
    )


def hypernetwork_around(
    optimum: Architecture,
    supernet: Supernet,
    settings: HypernetworkSettings,
    generator: torch.Generator,
) -> ArchitectureHypernetwork:
    """The hypernetwork of the architectures around an optimum, on the CPU."""
    return ArchitectureHypernetwork(
        SharedEdges(optimum, supernet),
        generator=generator,
        penalty=settings.penalty,
        pivots=settings.pivots,
        margin=settings.margin,
    )


def _draw(
    derived: Callable[[float], Architecture], end: float, count: int, rng: np.random.Generator
) -> list[tuple[float, Architecture]]:
    """Draw λ and the architecture there, different ones as long as that is easy."""
    drawn: list[tuple[float, Architecture]] = []
    seen: set[Architecture] = set()
    for attempt in range(_DRAWS_PER_CANDIDATE * count):
        position = float(rng.uniform(0.0, end))
        architecture = derived(position)
        left = _DRAWS_PER_CANDIDATE * count - attempt
        if architecture not in seen or left <= count - len(drawn):
            seen.add(architecture)
            drawn.append((position, architecture))
        if len(drawn) == count:
            break
    return drawn
