"""Predictors: what a model-based sampler believes about architectures it has not seen."""

from __future__ import annotations

from optuna_nas.surrogates.predictors.base import Predictor
from optuna_nas.surrogates.predictors.mlp import MLPEnsemble

__all__ = ["MLPEnsemble", "Predictor"]
