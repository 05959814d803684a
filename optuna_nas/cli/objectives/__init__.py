"""The objectives that `optuna-nas search` knows."""

from __future__ import annotations

from optuna_nas.cli.objectives.cell_cnn import CELL_CNN
from optuna_nas.cli.objectives.edge_nes import EDGE_NES
from optuna_nas.cli.objectives.layer_drop_bert import LAYER_DROP_BERT
from optuna_nas.cli.objectives.one_shot import DARTS, ONE_SHOT
from optuna_nas.cli.objectives.recipe import Option, Options, Recipe
from optuna_nas.cli.objectives.tasks import MLP, TRAIN

__all__ = ["DEFAULT_OBJECTIVE", "RECIPES", "Option", "Options", "Recipe"]

_ALL = (CELL_CNN, LAYER_DROP_BERT, DARTS, ONE_SHOT, EDGE_NES, MLP, TRAIN)

RECIPES = {recipe.name: recipe for recipe in _ALL}
"""The recipes by the names of their objectives."""

DEFAULT_OBJECTIVE = CELL_CNN.name
