"""What a model-based sampler believes: encodings, predictors, acquisition and candidates."""

from __future__ import annotations

from optuna_nas.surrogates.acquisition import Acquisition, ei, its, pi, ts, ucb
from optuna_nas.surrogates.candidates import (
    CandidateGenerator,
    JoinedCandidates,
    MutationCandidates,
    Pool,
    RandomCandidates,
)
from optuna_nas.surrogates.encodings import (
    AdjacencyEncoding,
    Encoding,
    OneHotEncoding,
    PathEncoding,
    TruncatedPathEncoding,
)
from optuna_nas.surrogates.losses import MAE, MAPE, MSE, Loss
from optuna_nas.surrogates.predictors import MLPEnsemble, Predictor

__all__ = [
    "MAE",
    "MAPE",
    "MSE",
    "Acquisition",
    "AdjacencyEncoding",
    "CandidateGenerator",
    "Encoding",
    "JoinedCandidates",
    "Loss",
    "MLPEnsemble",
    "MutationCandidates",
    "OneHotEncoding",
    "PathEncoding",
    "Pool",
    "Predictor",
    "RandomCandidates",
    "TruncatedPathEncoding",
    "ei",
    "its",
    "pi",
    "ts",
    "ucb",
]
