"""How often the edges of the final members were trained during the search of EdgeNES.

A model of the search: at each training step the supernet trains an architecture that shares μ of
the Λ edges of the optimum, and each of the N members of the final ensemble shares ν of them. Both
are drawn independently and uniformly from 1 to Λ. Of the ν edges of a member then m are trained
in the step, a hypergeometric number with the mean μν/Λ. So all members together have

    E[m] = N (Λ + 1)² / (4 Λ)

edges trained in a step. A search of one architecture trains its Λ edges in a step, and N such
searches take N times as many steps; the ratio N (Λ + 1)² / (4 Λ²) compares the speeds.

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.

*Departures*: none; but the objective of the method draws λ from the interval from 0 to Λ, not
from 1 ... Λ. With that the mean is N Λ / 4. The number counts only edges of the optimum, and so is
a lower bound of all that is trained for the members.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optuna_nas._checks import checked_integer


def expected_edge_updates(members: int, edges: int) -> float:
    """The mean number of edges of the members that one training step trains.

    Args:
        members: The number of members N.
        edges: The number of edges of an architecture Λ.
    """
    count, total = checked_integer("members", members), checked_integer("edges", edges)
    return count * (total + 1) ** 2 / (4 * total)


def relative_speed(members: int, edges: int) -> float:
    """That number, against the Λ edges that a step of a search of one architecture trains.

    Above 1 a step of EdgeNES trains more of what the ensemble consists of.

    Args:
        members: The number of members N.
        edges: The number of edges of an architecture Λ.
    """
    return expected_edge_updates(members, edges) / edges


def simulated_edge_updates(
    members: int, edges: int, repeats: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the number of edges of the members that one training step trains.

    A μ is drawn for each member anew; the mean would be the same with one for all.

    Args:
        members: The number of members N.
        edges: The number of edges of an architecture Λ.
        repeats: How many numbers to draw.
        rng: The source of randomness.

    Returns:
        The numbers, `repeats`.
    """
    count, total = checked_integer("members", members), checked_integer("edges", edges)
    shape = (checked_integer("repeats", repeats), count)
    trained = rng.integers(1, total + 1, size=shape)  # μ
    owned = rng.integers(1, total + 1, size=shape)  # ν
    found: NDArray[np.int64] = rng.hypergeometric(trained, total - trained, owned).sum(axis=1)
    return found
