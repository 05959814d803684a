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
    """The architecture that would be derived and the accuracy after each epoch, as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["epochs", "validation accuracy", "architecture"])
    for epochs in range(len(engine.trajectory)):
        architecture = engine.supernet.derive(engine.trajectory[epochs])
        writer.writerow([epochs, curve.get(epochs - 1, ""), str(architecture)])
    return file.getvalue()
