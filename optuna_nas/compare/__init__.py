"""An honest comparison of samplers on a benchmark.

Every sampler gets the same number of trainings and the same seeds; means come with their
uncertainty, differences with a paired test, and asking with its price in milliseconds.
"""

from __future__ import annotations

from optuna_nas.compare.comparison import Comparison, PairedTest, Summary
from optuna_nas.compare.execution import RunError, compare
from optuna_nas.compare.runs import Benchmark, Run
from optuna_nas.compare.tables import markdown, write_csv

__all__ = [
    "Benchmark",
    "Comparison",
    "PairedTest",
    "Run",
    "RunError",
    "Summary",
    "compare",
    "markdown",
    "write_csv",
]
