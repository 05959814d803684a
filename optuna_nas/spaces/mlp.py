"""Multilayer perceptrons: how deep, how wide, with which activation, normalisation and skips.

The parameters, in their order:

1. `layers`: how many hidden layers there are;
2. `activation`, `normalisation` and `dropout`, the same in all of them;
3. `skip`, if there are two or more: whether each layer from the second on adds its input to what
   it computes;
4. `width_1`, ..., one for each layer that there is.

So widths are conditional parameters: a trial has those of its layers only. A mutant, or a
neighbour, with a layer more than its parent gets a width for it: a mutant draws it, a neighbour
has that of the layer before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import networkx as nx
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture
from optuna_nas.spaces.base import SearchSpace
from optuna_nas.spaces.values import adjacent, can_change, draw, perturb

if TYPE_CHECKING:
    import numpy as np
    from optuna.distributions import BaseDistribution

__all__ = ["ACTIVATIONS", "NORMALISATIONS", "MLPSpace"]

ACTIVATIONS = ("relu", "gelu", "silu", "tanh")
NORMALISATIONS = ("none", "batch", "layer")

_MOST_LAYERS = 100
_MOST_DROPOUT = 0.5
_DROPOUT_STEP = 0.125  # exact in binary: a text says which number it is
_WIDTH = "width_"
_TEXT = re.compile(r"(\d+(?:-\d+)*) (\w+) (\w+) ([0-9.]+)( skip)?")


class MLPSpace(SearchSpace):
    """All multilayer perceptrons of `min_layers` to `max_layers` hidden layers.

    Args:
        max_layers: The most hidden layers, up to 100.
        min_layers: The fewest.
        min_width: The fewest neurons of a hidden layer.
        max_width: The most.
        activations: The activations, of `relu`, `gelu`, `silu` and `tanh`.
        normalisations: What normalises the input of an activation, of `none`, `batch` and `layer`.

    Raises:
        ValueError: A number is out of range, or a name is not known, or given twice.
    """

    def __init__(
        self,
        max_layers: int = 4,
        *,
        min_layers: int = 1,
        min_width: int = 8,
        max_width: int = 256,
        activations: Sequence[str] = ACTIVATIONS,
        normalisations: Sequence[str] = NORMALISATIONS,
    ) -> None:
        self.max_layers = checked_integer("max_layers", max_layers, 1, _MOST_LAYERS)
        self.min_layers = checked_integer("min_layers", min_layers, 1, self.max_layers)
        self.max_width = checked_integer("max_width", max_width)
        self.min_width = checked_integer("min_width", min_width, 1, self.max_width)
        self.activations = _checked_names("activations", activations, ACTIVATIONS)
        self.normalisations = _checked_names("normalisations", normalisations, NORMALISATIONS)
        distributions: dict[str, BaseDistribution] = {
            "layers": IntDistribution(self.min_layers, self.max_layers),
            "activation": CategoricalDistribution(self.activations),
            "normalisation": CategoricalDistribution(self.normalisations),
            "dropout": FloatDistribution(0.0, _MOST_DROPOUT, step=_DROPOUT_STEP),
            "skip": CategoricalDistribution((False, True)),
        }
        for layer in range(1, self.max_layers + 1):
            width = IntDistribution(self.min_width, self.max_width, log=True)
            distributions[f"{_WIDTH}{layer}"] = width
        if self.max_layers == 1:
            del distributions["skip"]
        super().__init__(distributions)

    @property
    def size(self) -> int:
        """How many perceptrons there are."""
        widths: int = self.max_width - self.min_width + 1
        dropouts = round(_MOST_DROPOUT / _DROPOUT_STEP) + 1
        depths = range(self.min_layers, self.max_layers + 1)
        shapes = sum(int(widths**depth) * (1 if depth == 1 else 2) for depth in depths)
        return len(self.activations) * len(self.normalisations) * dropouts * shapes

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether a perceptron of so many layers has a parameter."""
        if name == "skip":
            return bool(params["layers"] > 1)
        if name.startswith(_WIDTH):
            return int(name.removeprefix(_WIDTH)) <= int(params["layers"])
        return True

    def widths(self, architecture: Architecture) -> tuple[int, ...]:
        """The neurons of each hidden layer, from the input on."""
        return tuple(
            architecture[f"{_WIDTH}{layer}"] for layer in range(1, architecture["layers"] + 1)
        )

    def has_skips(self, architecture: Architecture) -> bool:
        """Whether layers from the second on add their input."""
        return "skip" in architecture and bool(architecture["skip"])

    def random(self, rng: np.random.Generator) -> Architecture:
        """Draw every parameter uniformly, widths on the log scale."""
        return self._completed({}, rng)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Change one parameter: another category, or a number by a step of a tenth of its range.

        In a space of one perceptron nothing changes.
        """
        params = architecture.params
        names = [name for name in params if can_change(self._distributions[name])]
        if not names:
            return architecture
        name = names[rng.integers(len(names))]
        moved = perturb(params[name], self._distributions[name], rng)
        return self._completed({**params, name: moved}, rng)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return the perceptrons with one other category, or one number moved by a step."""
        params = architecture.params
        return [
            self._completed({**params, name: value})
            for name in params
            for value in adjacent(params[name], self._distributions[name])
        ]

    def key(self, architecture: Architecture) -> str:
        """Return the text: each perceptron is a function of its own."""
        return self.format(architecture)

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the chain of layers, and the skips past each from the second on.

        A hidden layer's node is its number; its operation is the activation and the width.
        """
        widths = self.widths(architecture)
        nodes: list[str | int] = ["input", *range(1, len(widths) + 1), "output"]
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("input", label="input")
        for layer, width in enumerate(widths, start=1):
            operation = f"{architecture['activation']}_{width}"
            graph.add_node(layer, label=str(layer), operation=operation)
        graph.add_node("output", label="output")
        graph.add_edges_from(pairwise(nodes))
        if self.has_skips(architecture):
            graph.add_edges_from(zip(nodes[1:], nodes[3:], strict=False))
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write it from the widths to the skips: `64-32 relu batch 0.125 skip`."""
        widths = "-".join(map(str, self.widths(architecture)))
        skip = " skip" * self.has_skips(architecture)
        names = f"{architecture['activation']} {architecture['normalisation']}"
        return f"{widths} {names} {architecture['dropout']:g}{skip}"

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` wrote.

        Raises:
            ValueError: The text has another form, or a value is not of this space.
        """
        read = _TEXT.fullmatch(text.strip())
        try:
            if read is None:
                raise ValueError("it has another form")
            widths, activation, normalisation, dropout, skip = read.groups()
            numbers = [int(width) for width in widths.split("-")]
            params = {
                "layers": len(numbers),
                "activation": activation,
                "normalisation": normalisation,
                "dropout": float(dropout),
                "skip": skip is not None,
                **{f"{_WIDTH}{layer}": width for layer, width in enumerate(numbers, start=1)},
            }
            if skip and len(numbers) == 1:
                raise ValueError("one layer has no skip")
            return self.architecture(params)
        except ValueError as error:
            raise ValueError(
                f"`text` is {text!r}, no perceptron of {self!r}: {error}. An example is "
                "'64-32 relu batch 0.125 skip': widths, activation, normalisation, dropout, skips."
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "max_layers": self.max_layers,
            "min_layers": self.min_layers,
            "min_width": self.min_width,
            "max_width": self.max_width,
            "activations": list(self.activations),
            "normalisations": list(self.normalisations),
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> SearchSpace:
        """Build the space that :meth:`to_dict` described."""
        return cls(**{name: value for name, value in description.items() if name != "space"})

    def _completed(
        self, params: Mapping[str, Any], rng: np.random.Generator | None = None
    ) -> Architecture:
        """The parameters that are active; those that lack a value get one."""
        chosen: dict[str, Any] = {}
        for name, distribution in self._distributions.items():
            if not self.is_active(name, chosen):
                continue
            if name in params:
                chosen[name] = params[name]
            elif rng is not None:
                chosen[name] = draw(distribution, rng)
            else:
                chosen[name] = False if name == "skip" else chosen[next(reversed(chosen))]
        return Architecture(self, chosen)


def _checked_names(argument: str, given: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given)
    if not names or len(set(names)) < len(names) or not set(names) <= set(allowed):
        raise ValueError(
            f"`{argument}` is {given!r}; allowed are different names of {list(allowed)}, one or "
            "more."
        )
    return names
