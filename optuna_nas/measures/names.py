"""The measures by name: a new one is one file, and a line here."""

from __future__ import annotations

from optuna_nas.measures.energy import ENERGY
from optuna_nas.measures.latency import LATENCY
from optuna_nas.measures.macs import MACS
from optuna_nas.measures.measure import Measure
from optuna_nas.measures.memory import MEMORY
from optuna_nas.measures.parameters import PARAMETERS

MEASURES: dict[str, Measure] = {
    measure.name: measure for measure in (PARAMETERS, MACS, MEMORY, LATENCY, ENERGY)
}
"""The measures by the names that objectives and the command line know."""
