"""The names by which the components of a model-based sampler are chosen.

Names are for constructors, the command line and the scripts of comparisons; each stands for an
object with its defaults.
"""

from __future__ import annotations

from collections.abc import Callable

from optuna_nas.surrogates import acquisition as acquisitions
from optuna_nas.surrogates import predictors
from optuna_nas.surrogates.acquisition import Acquisition
from optuna_nas.surrogates.adaptive import AdaptiveEncoding
from optuna_nas.surrogates.adjacency import (
    CategoricalAdjacencyEncoding,
    ContinuousAdjacencyEncoding,
)
from optuna_nas.surrogates.candidate_search import (
    EvolutionCandidates,
    LocalSearchCandidates,
    MixedCandidates,
)
from optuna_nas.surrogates.candidates import (
    CandidateGenerator,
    JoinedCandidates,
    MutationCandidates,
    RandomCandidates,
    surroundings,
)
from optuna_nas.surrogates.connections import ConnectionEncoding
from optuna_nas.surrogates.criteria import (
    ChebyshevCriterion,
    CriterionFactory,
    HypervolumeCriterion,
)
from optuna_nas.surrogates.encodings import (
    AdjacencyEncoding,
    Encoding,
    FoldedEncoding,
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

ENCODINGS: dict[str, type[Encoding]] = {
    "adaptive": AdaptiveEncoding,
    "adjacency": AdjacencyEncoding,
    "adjacency_categorical": CategoricalAdjacencyEncoding,
    "adjacency_continuous": ContinuousAdjacencyEncoding,
    "adjacency_one_hot": OneHotEncoding,
    "connections": ConnectionEncoding,
    "folded": FoldedEncoding,
    "folded_counts": FoldedCountsEncoding,
    "graph": GraphEncoding,
    "one_hot": OneHotEncoding,
    "operation_counts": OperationCountEncoding,
    "path": PathEncoding,
    "structure": StructureEncoding,
    "truncated_path": TruncatedPathEncoding,
}
PREDICTORS: dict[str, Callable[[], Predictor]] = {  # torch is loaded by the first two only
    "gcn": lambda: predictors.GCNEnsemble(),
    "vae": lambda: predictors.VAEPredictor(),
    "bnn": lambda: predictors.BayesianNetwork(),
    "gp": lambda: predictors.GaussianProcess(),
    "mlp": MLPEnsemble,
}
LOSSES: dict[str, type[Loss]] = {"mae": MAE, "mape": MAPE, "mse": MSE}
ACQUISITIONS: dict[str, Acquisition] = {
    "ei": acquisitions.ei,
    "its": acquisitions.its,
    "pi": acquisitions.pi,
    "ts": acquisitions.ts,
    "ucb": acquisitions.ucb,
}
TARGETS: dict[str, TargetTransform] = {"identity": identity, "log_regret": log_regret}
CANDIDATES: dict[str, Callable[[], CandidateGenerator]] = {
    "evolution": EvolutionCandidates,
    "local_search": LocalSearchCandidates,
    "mixed": MixedCandidates,
    "mutation": MutationCandidates,
    "mutation_random": lambda: JoinedCandidates(MutationCandidates(), RandomCandidates()),
    "random": RandomCandidates,
    "surroundings": surroundings,
}
CRITERIA: dict[str, CriterionFactory] = {
    "chebyshev": ChebyshevCriterion,
    "hypervolume": HypervolumeCriterion,
}
