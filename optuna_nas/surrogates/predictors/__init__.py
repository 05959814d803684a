"""Predictors: what a model-based sampler believes about architectures it has not seen.

Those that need torch or scipy are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from optuna_nas._extras import require
from optuna_nas.surrogates.predictors.base import Predictor
from optuna_nas.surrogates.predictors.mlp import MLPEnsemble

if TYPE_CHECKING:
    from optuna_nas.surrogates.predictors.bayesian_network import BayesianNetwork
    from optuna_nas.surrogates.predictors.gaussian_process import GaussianProcess
    from optuna_nas.surrogates.predictors.gcn import GCNEnsemble
    from optuna_nas.surrogates.predictors.vae import VAEPredictor

__all__ = [
    "BayesianNetwork",
    "GCNEnsemble",
    "GaussianProcess",
    "MLPEnsemble",
    "Predictor",
    "VAEPredictor",
]

_MODULES = {
    "BayesianNetwork": "bayesian_network",
    "GCNEnsemble": "gcn",
    "GaussianProcess": "gaussian_process",
    "VAEPredictor": "vae",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "GaussianProcess":
        require(f"The predictor {name}", "train", "torch")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
