"""What an architecture is made of, in few columns."""

from __future__ import annotations

from optuna_nas.surrogates.connections import ConnectionEncoding
from optuna_nas.surrogates.encodings import JoinedEncoding
from optuna_nas.surrogates.operation_counts import OperationCountEncoding


class StructureEncoding(JoinedEncoding):
    """The counts of the operations, which operation feeds which, and the shape of the graph.

    35 columns for NAS-Bench-101, where positions and paths are 400: it says nothing about where
    in a cell an operation stands.
    """

    def __init__(self) -> None:
        super().__init__(OperationCountEncoding(), ConnectionEncoding())
