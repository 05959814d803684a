"""Random architectures that share a given number of edges with another one."""

from __future__ import annotations

import numpy as np

from optuna_nas.methods import common_edges
from optuna_nas.spaces import Architecture

_STEPS_PER_PARAMETER = 20
_PATIENCE = 10_000


def random_deviation(optimum: Architecture, shared: int, rng: np.random.Generator) -> Architecture:
    """Draw an architecture that shares exactly so many edges with another one.

    1. Mutations that lose a shared edge are made until no more than `shared` are left.
    2. Then a random walk of mutations that keep the number: where it ends has little to do any
       more with where it began.

    A mutation changes one edge, each as likely as any other. So every set of `shared` edges is
    equally likely to be kept, and so is, given the set, every way to replace the others: the walk
    is symmetric, and long. Architectures that share so many edges are not equally likely, where
    edges differ in the number of their alternatives: in EdgeNESSpace a late node has more inputs
    to choose from, and the architectures that keep it are fewer, each of them likelier.

    Args:
        optimum: The other architecture.
        shared: How many edges to share.
        rng: The source of randomness.

    Raises:
        ValueError: The optimum has fewer edges than that, or so few cannot be shared.
    """
    space, present = optimum.space, common_edges(optimum, optimum)
    if not 0 <= shared <= present:
        raise ValueError(f"`shared` is {shared!r}; allowed is an integer from 0 to {present}.")
    current, count = optimum, present
    for _ in range(_PATIENCE):
        if count == shared:
            break
        mutant = space.mutate(current, rng)
        common = common_edges(optimum, mutant)
        if shared <= common < count:
            current, count = mutant, common
    else:
        raise ValueError(
            f"`shared` is {shared!r}; no mutant of {optimum} with less than {count} was found."
        )
    if shared == present:
        return optimum
    for _ in range(_STEPS_PER_PARAMETER * len(space.distributions)):
        mutant = space.mutate(current, rng)
        if common_edges(optimum, mutant) == shared:
            current = mutant
    return current
