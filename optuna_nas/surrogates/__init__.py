"""What a model-based sampler believes: encodings, predictors, acquisition and candidates.

Predictors that need torch or scipy are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna_nas.surrogates import predictors
from optuna_nas.surrogates.acquisition import Acquisition, ei, its, pi, ts, ucb
from optuna_nas.surrogates.adaptive import AdaptiveEncoding
from optuna_nas.surrogates.adjacency import (
    CategoricalAdjacencyEncoding,
    ContinuousAdjacencyEncoding,
)
from optuna_nas.surrogates.candidate_search import (
    BeamCandidates,
    EvolutionCandidates,
    LocalSearchCandidates,
    MixedCandidates,
)
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
from optuna_nas.surrogates.connections import ConnectionEncoding
from optuna_nas.surrogates.criteria import (
    ChebyshevCriterion,
    Criterion,
    CriterionFactory,
    HypervolumeCriterion,
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
from optuna_nas.surrogates.graph_encoding import GraphEncoding
from optuna_nas.surrogates.losses import MAE, MAPE, MSE, Loss
from optuna_nas.surrogates.operation_counts import FoldedCountsEncoding, OperationCountEncoding
from optuna_nas.surrogates.predictors import MLPEnsemble, Predictor
from optuna_nas.surrogates.structure import StructureEncoding
from optuna_nas.surrogates.targets import TargetTransform, identity, log_regret

if TYPE_CHECKING:
    from optuna_nas.surrogates.predictors import (
        BayesianNetwork,
        GaussianProcess,
        GCNEnsemble,
        VAEPredictor,
    )

_LAZY = frozenset({"BayesianNetwork", "GCNEnsemble", "GaussianProcess", "VAEPredictor"})

__all__ = [
    "MAE",
    "MAPE",
    "MSE",
    "Acquisition",
    "AdaptiveEncoding",
    "AdjacencyEncoding",
    "BayesianNetwork",
    "BeamCandidates",
    "CandidateGenerator",
    "CategoricalAdjacencyEncoding",
    "ChebyshevCriterion",
    "ConnectionEncoding",
    "ContinuousAdjacencyEncoding",
    "Criterion",
    "CriterionFactory",
    "Encoding",
    "EvolutionCandidates",
    "FadingRandomCandidates",
    "FoldedCountsEncoding",
    "FoldedEncoding",
    "GCNEnsemble",
    "GaussianProcess",
    "GraphEncoding",
    "HypervolumeCriterion",
    "JoinedCandidates",
    "JoinedEncoding",
    "LocalSearchCandidates",
    "Loss",
    "MLPEnsemble",
    "MixedCandidates",
    "MutationCandidates",
    "NeighborCandidates",
    "OneHotEncoding",
    "OperationCountEncoding",
    "PathEncoding",
    "Pool",
    "Predictor",
    "RandomCandidates",
    "ScatteredCandidates",
    "StructureEncoding",
    "TargetTransform",
    "TruncatedPathEncoding",
    "VAEPredictor",
    "ei",
    "identity",
    "its",
    "log_regret",
    "pi",
    "ts",
    "ucb",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(predictors, name)


def __dir__() -> list[str]:
    return sorted(__all__)
