"""What to try next: Optuna samplers that know what architectures are."""

from __future__ import annotations

from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._history import History, Observation
from optuna_nas.samplers._policies import FactorizedPolicy, LSTMPolicy, Policy
from optuna_nas.samplers._policy_gradient import PPO, PolicyUpdate
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.samplers.bananas import BananasSampler
from optuna_nas.samplers.deduplicated import Deduplicated
from optuna_nas.samplers.evolution import RegularizedEvolutionSampler
from optuna_nas.samplers.local_search import LocalSearchSampler
from optuna_nas.samplers.q_learning import EpsilonSchedule, QLearningSampler
from optuna_nas.samplers.reinforce import ReinforceSampler
from optuna_nas.samplers.rnn import RNNSampler

__all__ = [
    "PPO",
    "ArchitectureSampler",
    "BananasSampler",
    "Deduplicated",
    "EpsilonSchedule",
    "FactorizedPolicy",
    "History",
    "LSTMPolicy",
    "LocalSearchSampler",
    "Observation",
    "Policy",
    "PolicyUpdate",
    "Proposal",
    "QLearningSampler",
    "RNNSampler",
    "RegularizedEvolutionSampler",
    "ReinforceSampler",
    "Request",
]
