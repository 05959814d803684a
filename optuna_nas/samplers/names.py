"""The samplers by the names that the command line and comparisons know."""

from __future__ import annotations

__all__ = ["SAMPLERS"]

SAMPLERS: dict[str, str] = {
    "bananas": "optuna_nas.samplers:BananasSampler",
    "cmaes": "optuna.samplers:CmaEsSampler",
    "evolution": "optuna_nas.samplers:RegularizedEvolutionSampler",
    "gp": "optuna.samplers:GPSampler",
    "local-search": "optuna_nas.samplers:LocalSearchSampler",
    "nsgaii": "optuna.samplers:NSGAIISampler",
    "nsgaiii": "optuna.samplers:NSGAIIISampler",
    "q-learning": "optuna_nas.samplers:QLearningSampler",
    "qmc": "optuna.samplers:QMCSampler",
    "random": "optuna.samplers:RandomSampler",
    "reinforce": "optuna_nas.samplers:ReinforceSampler",
    "tpe": "optuna.samplers:TPESampler",
}
"""`module:class` of each; the module is imported when it is used."""
