"""Which layers of a stack are kept: the space of "the same model with fewer layers".

One flag for each layer; a mask is valid if it keeps from `min_layers` to `max_layers` layers.
A sampler that does not know the space may propose any flags, so a mask outside of the bounds is
repaired rather than refused: every setting of the parameters stands for a valid mask, the trial
keeps the flags as they were proposed, and the key, the text and the encoding are of the mask that
is built. The repair

1. changes as few flags as possible: it keeps or drops just as many layers as are missing or too
   many, so the mask it finds is one of the nearest;
2. spreads them evenly: with `m` layers to choose from and `k` to change, one of every `m / k` in
   order is changed;
3. starts to count at a place that is computed from the mask. So it always repairs a mask alike,
   but over all masks no layer is preferred, neither the first nor the last.

Reference: the mutation, 30 per cent for each layer, is that of BANANAS applied to BERT.

*Departures*: random masks have a uniform number of layers. Of uniform masks of twelve layers six
in ten keep five to seven, and one in a hundred keeps two, where a search for small models looks.
"""

from __future__ import annotations

import re
from itertools import pairwise
from math import comb
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture
from optuna_nas.spaces.graph import GraphSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

FLIP_PROBABILITY = 0.3
"""The probability that a mutation flips a layer."""

Mask = tuple[bool, ...]

_MOST_LAYERS = 1000


class LayerDropSpace(GraphSpace):
    """All choices of `min_layers` to `max_layers` out of `num_layers` layers, in their order.

    Args:
        num_layers: The layers of the full model, up to 1,000.
        min_layers: The fewest layers that are kept.
        max_layers: The most layers that are kept; None is all.

    Raises:
        ValueError: A number is out of range, or `min_layers` is larger than `max_layers`.
    """

    def __init__(
        self, num_layers: int, min_layers: int = 1, max_layers: int | None = None
    ) -> None:
        self.num_layers = checked_integer("num_layers", num_layers, 1, _MOST_LAYERS)
        most = self.num_layers if max_layers is None else max_layers
        self.max_layers = checked_integer("max_layers", most, 1, self.num_layers)
        self.min_layers = checked_integer("min_layers", min_layers, 1, self.max_layers)
        digits = max(2, len(str(self.num_layers - 1)))
        self._names = [f"layer_{index:0{digits}d}" for index in range(self.num_layers)]
        super().__init__({name: CategoricalDistribution((False, True)) for name in self._names})

    @property
    def size(self) -> int:
        """How many valid masks there are."""
        counts = range(self.min_layers, self.max_layers + 1)
        return sum(comb(self.num_layers, count) for count in counts)

    def mask(self, architecture: Architecture) -> Mask:
        """Which layers are kept, after the repair."""
        mask: Mask | None = architecture.memo.get("mask")
        if mask is None:
            flags = [bool(architecture[name]) for name in self._names]
            mask = architecture.memo["mask"] = self._repaired(flags)
        return mask

    def kept(self, architecture: Architecture) -> tuple[int, ...]:
        """The numbers of the layers that are kept, counted from 0."""
        return tuple(index for index, keep in enumerate(self.mask(architecture)) if keep)

    def simplify(self, architecture: Architecture) -> Architecture:
        """Return the architecture with the flags of the mask that is built."""
        return self._of(self.mask(architecture))

    def random(self, rng: np.random.Generator) -> Architecture:
        """Draw the number of layers uniformly, then the layers."""
        count = int(rng.integers(self.min_layers, self.max_layers + 1))
        kept = set(rng.permutation(self.num_layers)[:count].tolist())
        return self._of([index in kept for index in range(self.num_layers)])

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Flip each layer with a probability of 30 per cent, and repair.

        Drawn again until the mask is another one; in a space of a single mask nothing changes.
        """
        mask = self.mask(architecture)
        while self.size > 1:
            flips = rng.random(self.num_layers) < FLIP_PROBABILITY
            mutant = self._repaired([keep != flip for keep, flip in zip(mask, flips, strict=True)])
            if mutant != mask:
                return self._of(mutant)
        return architecture

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return the masks with one layer more or less; at a bound also those with one swapped.

        A swap drops one layer and keeps another instead. Without it the masks of the largest
        size could only be left through smaller ones, which are worse in the first place.
        """
        mask = self.mask(architecture)
        count = sum(mask)
        flips = [
            _flipped(mask, index)
            for index, keep in enumerate(mask)
            if (count > self.min_layers if keep else count < self.max_layers)
        ]
        swaps = [
            _flipped(mask, drop, keep)
            for drop in range(self.num_layers)
            for keep in range(self.num_layers)
            if count in (self.min_layers, self.max_layers) and mask[drop] and not mask[keep]
        ]
        return [self._of(neighbor) for neighbor in flips + swaps]

    def key(self, architecture: Architecture) -> str:
        """Return the repaired mask: each one is a function of its own."""
        return self.format(architecture)

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the chain of all layers, and the way past the dropped ones.

        Edges to and from a dropped layer have the operation `none`. Nodes are `input`, the
        numbers of the layers, and `output`; those of layers have the attribute `kept`.
        """
        mask = self.mask(architecture)
        chain: list[str | int] = ["input", *range(self.num_layers), "output"]
        alive: list[str | int] = ["input", *self.kept(architecture), "output"]
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("input", label="input")
        for index, keep in enumerate(mask):
            graph.add_node(index, label=f"layer {index}", kept=keep)
        graph.add_node("output", label="output")
        graph.add_edges_from(pairwise(chain), operation="none")
        for edge in pairwise(alive):
            if graph.has_edge(*edge):
                del graph.edges[edge]["operation"]
            graph.add_edge(*edge)
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write one digit for each layer, `1` if it is kept: `110100`."""
        return "".join("01"[keep] for keep in self.mask(architecture))

    def parse(self, text: str) -> Architecture:
        """Read a mask such as `110100`.

        Raises:
            ValueError: The text has another form, or keeps too few or too many layers.
        """
        stripped = text.strip()
        wanted = self.min_layers <= stripped.count("1") <= self.max_layers
        if not wanted or not re.fullmatch(f"[01]{{{self.num_layers}}}", stripped):
            raise ValueError(
                f"`text` is {text!r}; needed are {self.num_layers} digits 0 (dropped) and 1 "
                f"(kept), {self.min_layers} to {self.max_layers} of them 1."
            )
        return self._of([digit == "1" for digit in stripped])

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "num_layers": self.num_layers,
            "min_layers": self.min_layers,
            "max_layers": self.max_layers,
        }

    def _of(self, mask: Sequence[bool]) -> Architecture:
        return Architecture(self, dict(zip(self._names, mask, strict=True)))

    def _repaired(self, mask: Sequence[bool]) -> Mask:
        return repair(mask, self.min_layers, self.max_layers)


def repair(mask: Sequence[bool], min_layers: int, max_layers: int) -> Mask:
    """Return a nearest mask within the bounds (see the module's description).

    Args:
        mask: Which layers are kept.
        min_layers: The fewest layers to keep.
        max_layers: The most layers to keep.
    """
    mask = tuple(bool(keep) for keep in mask)
    excess, lack = sum(mask) - max_layers, min_layers - sum(mask)
    changes = max(excess, lack)
    if changes <= 0:
        return mask
    places = [index for index, keep in enumerate(mask) if keep == (excess > 0)]
    start = _scattered(mask)
    # Floor of (number + start / 2**64) * places / changes, exactly: rising by one at least.
    chosen = (
        places[((number << 64) + start) * len(places) // (changes << 64)]
        for number in range(changes)
    )
    return _flipped(mask, *chosen)


def _scattered(mask: Mask) -> int:
    """A whole number below 2**64 for a mask: multiples of the golden ratio spread evenly."""
    number = sum(1 << index for index, keep in enumerate(mask) if keep)
    return (number + 1) * 0x9E3779B97F4A7C15 % (1 << 64)


def _flipped(mask: Mask, *indices: int) -> Mask:
    return tuple(keep != (index in indices) for index, keep in enumerate(mask))
