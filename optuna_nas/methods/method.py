"""A method: how an architecture is learnt on shared weights, as a composition of small choices.

A new method is one file with a :class:`Method` in it and a line that names it in
:mod:`optuna_nas.methods.presets`; choices of its own are small objects in the same file. The
modules of methods and choices import torch in functions only, so that `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from optuna_nas._options import Option, option, options_of
from optuna_nas.methods.execution import AllOperations, Execution
from optuna_nas.methods.relaxation import Relaxation, Softmax
from optuna_nas.methods.schedule import Schedule
from optuna_nas.methods.selection import Selection, Strongest
from optuna_nas.methods.steps import Bilevel

if TYPE_CHECKING:
    import torch

    from optuna_nas.methods.engine import Batch, Engine
    from optuna_nas.methods.parameters import ArchitectureParameters
    from optuna_nas.supernets import Supernet, Weights


class Architectures(Protocol):
    """What gives the weights of the operations: a module, on the device of the supernet.

    Free parameters under a relaxation, a hypernetwork, or a draw of architectures.
    """

    def __call__(self, generator: torch.Generator, progress: float) -> Weights:
        """The weights for one step, at a share of the training from 0 to 1."""

    def strengths(self) -> Weights:
        """The weights to choose by: without chance, and without gradients."""

    def evaluated(self) -> list[Weights]:
        """The weights to evaluate the supernet with; their mean accuracy counts."""


class Step(Protocol):
    """How the architecture moves."""

    def __call__(self, search: Engine, batch: Batch) -> None:
        """Move it (see `Engine.move`), given the batch of training images that comes next."""


class Regulariser(Protocol):
    """What is added to, or multiplies, the loss of the architecture."""

    def __call__(
        self,
        loss: torch.Tensor,
        weights: Weights,
        search: Engine,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """The loss to minimise.

        Args:
            loss: The loss on held-out images.
            weights: The weights that it was computed with; gradients flow through them.
            search: The search, with `architecture`, `supernet` and `progress`.
            generator: In the state in which the weights were drawn.
        """


class Perturbation(Protocol):
    """What is done to the weights of the operations in the step of the network's weights."""

    def __call__(
        self,
        weights: Weights,
        loss: Callable[[Weights], torch.Tensor],
        generator: torch.Generator,
        progress: float,
    ) -> Weights:
        """The weights to learn with.

        Args:
            weights: Those that were drawn.
            loss: The loss of the batch at any weights; gradients flow to these only.
            generator: In the state in which the weights were drawn.
            progress: The share of the training that is over.
        """


class Stopping(Protocol):
    """When a search is over early, and which epoch it goes back to."""

    def __call__(self, search: Engine) -> int | None:
        """Called after each epoch: how many epochs to keep, or None to go on."""


ArchitectureFactory: TypeAlias = Callable[["Method", "Supernet", "torch.Generator"], Any]
"""Builds what gives the weights of the operations, on the CPU."""


def free_parameters(
    method: Method, supernet: Supernet, generator: torch.Generator
) -> ArchitectureParameters:
    """A free parameter for each operation on each edge, under the method's relaxation."""
    from optuna_nas.methods.parameters import ArchitectureParameters

    return ArchitectureParameters(
        supernet.edges,
        supernet.operations,
        relaxation=method.relaxation,
        generator=generator,
        edge_weights=method.edge_weights,
    )


@dataclass(frozen=True, kw_only=True)
class Method:
    """How an architecture is learnt on shared weights.

    Attributes:
        name: The name it is chosen by.
        summary: What it is, in a few words.
        architecture: What gives the weights of the operations.
        relaxation: How free parameters become weights of operations.
        edge_weights: Whether the edges into a node have weights too.
        step: How the architecture moves; None if it does not.
        execution: What is computed.
        regulariser: What is added to the loss of the architecture.
        perturbation: What is done to the weights of operations in the step of the weights.
        stopping: When to stop early.
        selection: How the architecture is chosen in the end.
        schedule: How long, in which steps and at which rates; the published ones.
        small: The options that fit small data and short searches.
    """

    name: str
    summary: str
    step: Step | None = field(default_factory=Bilevel)
    relaxation: Relaxation = field(default_factory=Softmax)
    edge_weights: bool = option(False, "Learn weights of the edges into a node too.")
    schedule: Schedule = field(default_factory=Schedule)
    execution: Execution = field(default_factory=AllOperations)
    architecture: ArchitectureFactory = free_parameters
    regulariser: Regulariser | None = None
    perturbation: Perturbation | None = None
    stopping: Stopping | None = None
    selection: Selection = field(default_factory=Strongest)
    small: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Option]:
        """All options by name: its own and those of its choices."""
        found = dict(options_of(self))
        for choice in self._choices.values():
            found |= options_of(choice)
        return found

    @property
    def values(self) -> dict[str, Any]:
        """The value of each option."""
        return {name: declared.default for name, declared in self.options.items()}

    def with_options(self, **values: Any) -> Method:
        """The same method with other values of some options.

        Raises:
            ValueError: The method has no such option, or the value is not allowed.
        """
        if unknown := sorted(values.keys() - self.options.keys()):
            raise ValueError(
                f"`{unknown[0]}` is no option of the method {self.name!r}; allowed are "
                f"{sorted(self.options)}."
            )
        changed: dict[str, Any] = {n: values[n] for n in options_of(self) if n in values}
        for name, choice in self._choices.items():
            own = {n: values[n] for n in options_of(choice) if n in values}
            if own:
                changed[name] = replace(choice, **own)
        return replace(self, **changed)

    def describe(self) -> dict[str, Any]:
        """What it is made of, as JSON values: options by name, and choices in words."""
        parts = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _UNTOLD}
        words = {name: getattr(part, "__qualname__", repr(part)) for name, part in parts.items()}
        return {**words, **self.values}

    @property
    def _choices(self) -> dict[str, Any]:
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {n: c for n, c in found.items() if is_dataclass(c) and not isinstance(c, type)}


_UNTOLD = ("summary", "small", "schedule")
"""What does not decide the outcome, or is told option by option."""
