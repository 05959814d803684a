"""What one trial does.

Names are loaded when they are first used: a benchmark of recorded trainings needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from optuna_nas._extras import require_training

if TYPE_CHECKING:
    from optuna_nas.objectives.cell_cnn import CellCNN
    from optuna_nas.objectives.darts import Darts
    from optuna_nas.objectives.edge_nes import EdgeNES, EnsembleSearch
    from optuna_nas.objectives.layer_drop_bert import LayerDropBert
    from optuna_nas.objectives.meta_optimization import MetaOptimization
    from optuna_nas.objectives.network_training import TaskTraining
    from optuna_nas.objectives.one_shot import OneShotSearch, derived_params
    from optuna_nas.objectives.surrogate_benchmark import SurrogateBenchmark
    from optuna_nas.objectives.tabular import (
        LayerDropTable,
        NASBench1Shot1,
        NASBench101,
        NASBench201,
        TabularBenchmark,
    )

__all__ = [
    "CellCNN",
    "Darts",
    "EdgeNES",
    "EnsembleSearch",
    "LayerDropBert",
    "LayerDropTable",
    "MetaOptimization",
    "NASBench1Shot1",
    "NASBench101",
    "NASBench201",
    "OneShotSearch",
    "SurrogateBenchmark",
    "TabularBenchmark",
    "TaskTraining",
    "derived_params",
]

_MODULES = {
    "CellCNN": "cell_cnn",
    "Darts": "darts",
    "EdgeNES": "edge_nes",
    "EnsembleSearch": "edge_nes",
    "LayerDropBert": "layer_drop_bert",
    "LayerDropTable": "tabular",
    "MetaOptimization": "meta_optimization",
    "NASBench1Shot1": "tabular",
    "NASBench101": "tabular",
    "NASBench201": "tabular",
    "OneShotSearch": "one_shot",
    "SurrogateBenchmark": "surrogate_benchmark",
    "TabularBenchmark": "tabular",
    "TaskTraining": "network_training",
    "derived_params": "one_shot",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _MODULES[name] not in ("tabular", "surrogate_benchmark"):
        require_training(name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
