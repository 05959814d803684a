"""Benchmarks of recorded trainings: a trial costs a table look-up instead of GPU hours."""

from __future__ import annotations

from optuna_nas.objectives.tabular.benchmark import TabularBenchmark
from optuna_nas.objectives.tabular.layer_drop_table import LayerDropTable
from optuna_nas.objectives.tabular.nasbench1shot1 import NASBench1Shot1
from optuna_nas.objectives.tabular.nasbench101 import NASBench101
from optuna_nas.objectives.tabular.nasbench201 import NASBench201
from optuna_nas.objectives.tabular.table import Metric, Table

__all__ = [
    "LayerDropTable",
    "Metric",
    "NASBench1Shot1",
    "NASBench101",
    "NASBench201",
    "Table",
    "TabularBenchmark",
]
