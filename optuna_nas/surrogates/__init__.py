"""What a model-based sampler believes: encodings, predictors, acquisition and candidates."""

from __future__ import annotations

from optuna_nas.surrogates.acquisition import Acquisition, ei, its, pi, ts, ucb
from optuna_nas.surrogates.candidates import (
    CandidateGenerator,
    FadingRandomCandidates,
    JoinedCandidates,
    MutationCandidates,
    NeighborCandidates,
    Pool,
    RandomCandidates,
    ScatteredCandidates,
)
from optuna_nas.surrogates.encodings import (
    AdjacencyEncoding,
    Encoding,
    FoldedEncoding,
    JoinedEncoding,
    OneHotEncoding,
    PathEncoding,
    TruncatedPathEncoding,
)
from optuna_nas.surrogates.losses import MAE, MAPE, MSE, Loss
from optuna_nas.surrogates.predictors import MLPEnsemble, Predictor
from optuna_nas.surrogates.targets import TargetTransform, identity, log_regret

__all__ = [
    "MAE",
    "MAPE",
    "MSE",
    "Acquisition",
    "AdjacencyEncoding",
    "CandidateGenerator",
    "Encoding",
    "FadingRandomCandidates",
    "FoldedEncoding",
    "JoinedCandidates",
    "JoinedEncoding",
    "Loss",
    "MLPEnsemble",
    "MutationCandidates",
    "NeighborCandidates",
    "OneHotEncoding",
    "PathEncoding",
    "Pool",
    "Predictor",
    "RandomCandidates",
    "ScatteredCandidates",
    "TargetTransform",
    "TruncatedPathEncoding",
    "ei",
    "identity",
    "its",
    "log_regret",
    "pi",
    "ts",
    "ucb",
]
