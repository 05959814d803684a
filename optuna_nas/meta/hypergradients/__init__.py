"""The gradient of a validation loss in the settings of the training that came before."""

from __future__ import annotations

from collections.abc import Mapping

from optuna_nas.meta.hypergradients.base import Hypergradient, HypergradientMethod, Training
from optuna_nas.meta.hypergradients.drmad import DrMAD
from optuna_nas.meta.hypergradients.implicit import Implicit
from optuna_nas.meta.hypergradients.reverse_mode import ReverseMode
from optuna_nas.meta.hypergradients.solvers import ConjugateGradients, Neumann
from optuna_nas.meta.hypergradients.unrolling import Unrolling

HYPERGRADIENTS: Mapping[str, HypergradientMethod] = {
    "drmad": DrMAD(),
    "greedy": Unrolling(window=1),
    "implicit": Implicit(),
    "rmad": ReverseMode(),
    "unrolling": Unrolling(),
}
"""The methods by name."""

__all__ = [
    "HYPERGRADIENTS",
    "ConjugateGradients",
    "DrMAD",
    "Hypergradient",
    "HypergradientMethod",
    "Implicit",
    "Neumann",
    "ReverseMode",
    "Training",
    "Unrolling",
]
