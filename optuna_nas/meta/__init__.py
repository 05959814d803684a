"""Optimisation of the optimisation: its own settings, learnt by gradient or by experience.

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna_nas.meta.hypergradients import (
        HYPERGRADIENTS,
        ConjugateGradients,
        DrMAD,
        Hypergradient,
        HypergradientMethod,
        Implicit,
        Neumann,
        ReverseMode,
        Training,
        Unrolling,
    )
    from optuna_nas.meta.network_problem import NetworkProblem
    from optuna_nas.meta.problem import Problem, Tensors

_MODULES = {
    "hypergradients": (
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
    ),
    "network_problem": ("NetworkProblem",),
    "problem": ("Problem", "Tensors"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "HYPERGRADIENTS",
    "ConjugateGradients",
    "DrMAD",
    "Hypergradient",
    "HypergradientMethod",
    "Implicit",
    "NetworkProblem",
    "Neumann",
    "Problem",
    "ReverseMode",
    "Tensors",
    "Training",
    "Unrolling",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import optuna_nas._trains  # noqa: F401 (before torch is imported)

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
