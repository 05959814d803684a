"""The way of an architecture through a search, as a picture and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from optuna_nas.visualization.trajectories import trajectory_svg

if TYPE_CHECKING:
    from optuna_nas.methods import Engine


def path_svg(engine: Engine, title: str) -> str:
    """The picture of the strengths of all operations, epoch by epoch."""
    strengths = {kind: values.tolist() for kind, values in engine.trajectory.state().items()}
    supernet = engine.supernet
    return trajectory_svg(strengths, supernet.edges, supernet.operations, title=title)


def derived_csv(engine: Engine, curve: Mapping[int, float]) -> str:
    """The architecture that would be derived after each epoch, and what was measured, as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    records = engine.records
    writer.writerow(["epochs", "validation accuracy", *records, "architecture"])
    for epochs in range(len(engine.trajectory)):
        architecture = engine.supernet.derive(engine.trajectory[epochs])
        measured = [found.get(epochs, "") for found in records.values()]
        writer.writerow([epochs, curve.get(epochs - 1, ""), *measured, str(architecture)])
    return file.getvalue()
