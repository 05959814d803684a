"""The samplers by the names that the command line, and so also comparisons, know."""

from __future__ import annotations

__all__ = ["SAMPLERS"]

SAMPLERS: dict[str, str] = {
    "bananas": "optuna_nas.samplers:BananasSampler",
    "evolution": "optuna_nas.samplers:RegularizedEvolutionSampler",
    "local-search": "optuna_nas.samplers:LocalSearchSampler",
    "nsgaii": "optuna.samplers:NSGAIISampler",
    "q-learning": "optuna_nas.samplers:QLearningSampler",
    "random": "optuna.samplers:RandomSampler",
    "reinforce": "optuna_nas.samplers:ReinforceSampler",
    "tpe": "optuna.samplers:TPESampler",
}
"""`module:class` of each; the module is imported when it is used."""
