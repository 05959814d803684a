"""The searches by which candidates of an ensemble are found, as stages of a trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from optuna_nas.methods import (
    ArchitectureHypernetwork,
    Engine,
    Method,
    SharedEdges,
    common_edges,
)
from optuna_nas.methods.darts import DARTS
from optuna_nas.methods.edge_nes import EDGE_NES
from optuna_nas.objectives.ensemble_settings import HypernetworkSettings, SupernetSettings
from optuna_nas.objectives.search_parts import SearchObjective
from optuna_nas.spaces import Architecture
from optuna_nas.supernets import Supernet, build_supernet
from optuna_nas.trials import Stage, Stages

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


class Search:
    """What candidates are searched with: the stages of a trial of an objective.

    Args:
        objective: The objective.
        stages: The stages of the trial.

    Attributes:
        space: The search space.
    """

    def __init__(self, objective: SearchObjective, stages: Stages) -> None:
        self.space = objective.space
        self._objective = objective
        self._stages = stages

    def rng(self, name: str) -> np.random.Generator:
        """The source of randomness of a draw."""
        return self._stages.rng(name)

    def optimum(self, settings: SupernetSettings, name: str = "optimum") -> Architecture:
        """Search one architecture by DARTS, with weights of edges."""

        def prepare(generator: torch.Generator) -> Stage:
            method = optimum_method(settings)
            supernet = supernet_of(self._objective, settings, generator)
            architecture = method.architecture(method, supernet, generator)
            engine = self._engine(method, supernet, architecture, generator)
            return self._stage(engine, lambda: {"params": method.selection(engine).params})

        found = self._stages.once(name, "search", settings.epochs, prepare)
        return self.space.architecture(found["params"])

    def around(
        self, optimum: Architecture, settings: HypernetworkSettings, count: int
    ) -> Candidates:
        """Train a hypernetwork around an optimum, and draw architectures from it.

        λ is drawn from U(0, Λ). An architecture that was drawn before is drawn again, up to a
        limit: behind it, it is taken a second time.
        """

        def prepare(generator: torch.Generator) -> Stage:
            supernet = supernet_of(self._objective, settings, generator)
            hypernetwork = hypernetwork_around(optimum, supernet, settings, generator)
            method = replace(EDGE_NES, schedule=settings)
            engine = self._engine(method, supernet, hypernetwork, generator)
            end = hypernetwork.curve.length

            def derived(position: float) -> Architecture:
                with torch.no_grad():
                    return supernet.derive(hypernetwork.weights(position))

            def result() -> dict[str, Any]:
                drawn = _draw(derived, end, count, self.rng("positions"))
                grid = [float(x) for x in np.linspace(0.0, end, _CURVE_POINTS)]
                return {
                    "positions": [position for position, _ in drawn],
                    "params": [architecture.params for _, architecture in drawn],
                    "curve": [[x, common_edges(optimum, derived(x))] for x in grid],
                }

            return self._stage(engine, result)

        found = self._stages.once("hypernetwork", "search", settings.epochs, prepare)
        return Candidates(
            [self.space.architecture(params) for params in found["params"]],
            optimum,
            tuple(found["positions"]),
            tuple((position, count) for position, count in found["curve"]),
        )

    def _engine(
        self, method: Method, supernet: Supernet, architecture: Any, generator: torch.Generator
    ) -> Engine:
        device = self._objective.device
        return Engine(
            method,
            supernet.to(device),
            architecture.to(device),
            *self._objective._parts,
            task=self._objective.task,
            generator=generator,
        )

    def _stage(self, engine: Engine, result: Callable[[], dict[str, Any]]) -> Stage:
        """Its value is the mean of a hypernetwork's at both ends and in the middle."""
        return Stage(engine, lambda: self._objective._validated(*engine.networks()), result)


def optimum_method(settings: SupernetSettings) -> Method:
    """How the optimum is searched: DARTS of the first order, with weights of edges."""
    return replace(DARTS, edge_weights=True, schedule=settings)


def supernet_of(
    objective: SearchObjective, settings: SupernetSettings, generator: torch.Generator
) -> Supernet:
    """Build the supernet of a search, on the CPU."""
    return build_supernet(
        objective.space,
        channels=settings.channels,
        cells=settings.cells,
        generator=generator,
        **objective._ends,
    )


def check_supernet(
    objective: SearchObjective, settings: SupernetSettings, generator: torch.Generator
) -> None:
    """Use the supernet of a search once, so that what cannot work is said before training."""
    supernet = supernet_of(objective, settings, generator)
    method = optimum_method(settings)
    weights = method.architecture(method, supernet, generator).strengths()
    with torch.no_grad():
        supernet(torch.zeros(2, *objective.task.input_shape), weights)
    supernet.derive(weights)


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
