"""Neural architecture search on Optuna: spaces, samplers and objectives for any study."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from optuna_nas._version import __version__

if TYPE_CHECKING:
    from optuna_nas import (
        artifacts,
        compare,
        data,
        ensembles,
        errors,
        export,
        meta,
        methods,
        networks,
        objectives,
        samplers,
        spaces,
        storages,
        supernets,
        surrogates,
        trials,
        visualization,
    )
    from optuna_nas.samplers import (
        BananasSampler,
        Deduplicated,
        LocalSearchSampler,
        QLearningSampler,
        RegularizedEvolutionSampler,
        ReinforceSampler,
    )

_MODULES = frozenset(
    {
        "artifacts",
        "compare",
        "data",
        "ensembles",
        "errors",
        "export",
        "meta",
        "methods",
        "networks",
        "objectives",
        "samplers",
        "spaces",
        "storages",
        "supernets",
        "surrogates",
        "trials",
        "visualization",
    }
)
_SAMPLERS = frozenset(
    {
        "BananasSampler",
        "Deduplicated",
        "LocalSearchSampler",
        "QLearningSampler",
        "RegularizedEvolutionSampler",
        "ReinforceSampler",
    }
)

__all__ = [
    "BananasSampler",
    "Deduplicated",
    "LocalSearchSampler",
    "QLearningSampler",
    "RegularizedEvolutionSampler",
    "ReinforceSampler",
    "__version__",
    "artifacts",
    "compare",
    "data",
    "ensembles",
    "errors",
    "export",
    "meta",
    "methods",
    "networks",
    "objectives",
    "samplers",
    "spaces",
    "storages",
    "supernets",
    "surrogates",
    "trials",
    "visualization",
]


def __getattr__(name: str) -> Any:
    # PEP 562: torch, datasets and plotly are loaded by the first use of what needs them.
    if name in _MODULES:
        return importlib.import_module(f"optuna_nas.{name}")
    if name in _SAMPLERS:
        return getattr(importlib.import_module("optuna_nas.samplers"), name)
    raise AttributeError(f"module 'optuna_nas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
