"""How an architecture is learnt on shared weights: methods, and the choices they are made of.

Names are loaded when they are first used: the options of methods, in `presets`, are known without
torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna_nas._options import option
    from optuna_nas.methods.bilevel import Unrolled, architecture_gradient
    from optuna_nas.methods.costs import ExpectedCost, PricedCost
    from optuna_nas.methods.edge_nes import (
        ArchitectureHypernetwork,
        EdgePenalty,
        PiecewiseLinear,
        SharedEdges,
        common_edges,
    )
    from optuna_nas.methods.engine import Engine
    from optuna_nas.methods.execution import (
        AllOperations,
        EachImage,
        PartialChannels,
        SampledOperations,
    )
    from optuna_nas.methods.method import Method, free_parameters
    from optuna_nas.methods.parameters import ArchitectureParameters
    from optuna_nas.methods.presets import METHODS
    from optuna_nas.methods.reinforce import Reinforce
    from optuna_nas.methods.relaxation import (
        AnnealedGumbel,
        GumbelSoftmax,
        HardGumbel,
        Relaxation,
        Sigmoid,
        Softmax,
    )
    from optuna_nas.methods.schedule import Schedule
    from optuna_nas.methods.selection import Strongest
    from optuna_nas.methods.steps import Bilevel, SameBatch
    from optuna_nas.methods.trajectory import Trajectory

_MODULES = {
    "bilevel": ("Unrolled", "architecture_gradient"),
    "costs": ("ExpectedCost", "PricedCost"),
    "edge_nes": (
        "ArchitectureHypernetwork",
        "EdgePenalty",
        "PiecewiseLinear",
        "SharedEdges",
        "common_edges",
    ),
    "engine": ("Engine",),
    "execution": ("AllOperations", "EachImage", "PartialChannels", "SampledOperations"),
    "method": ("Method", "free_parameters"),
    "parameters": ("ArchitectureParameters",),
    "presets": ("METHODS",),
    "reinforce": ("Reinforce",),
    "relaxation": (
        "AnnealedGumbel",
        "GumbelSoftmax",
        "HardGumbel",
        "Relaxation",
        "Sigmoid",
        "Softmax",
    ),
    "schedule": ("Schedule",),
    "selection": ("Strongest",),
    "steps": ("Bilevel", "SameBatch"),
    "trajectory": ("Trajectory",),
}
_HOME = {n: f"optuna_nas.methods.{module}" for module, names in _MODULES.items() for n in names}
_HOME["option"] = "optuna_nas._options"

__all__ = [
    "METHODS",
    "AllOperations",
    "AnnealedGumbel",
    "ArchitectureHypernetwork",
    "ArchitectureParameters",
    "Bilevel",
    "EachImage",
    "EdgePenalty",
    "Engine",
    "ExpectedCost",
    "GumbelSoftmax",
    "HardGumbel",
    "Method",
    "PartialChannels",
    "PiecewiseLinear",
    "PricedCost",
    "Reinforce",
    "Relaxation",
    "SameBatch",
    "SampledOperations",
    "Schedule",
    "SharedEdges",
    "Sigmoid",
    "Softmax",
    "Strongest",
    "Trajectory",
    "Unrolled",
    "architecture_gradient",
    "common_edges",
    "free_parameters",
    "option",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import optuna_nas._trains  # noqa: F401 (before torch is imported)

    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
