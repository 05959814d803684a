"""Every choice of the layers of a transformer, each fine-tuned once.

The table of the package is of the six-layer MiniLM (22.7 million parameters) on TREC, questions of
six classes: 63 masks. It is this project's own, made by `benchmarks/layer_drop_masks.py`, which
makes such a table of any model and texts. A table of this size shows how a search behaves, and is
soon searched through: compare samplers at a few dozen trials.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optuna_nas._checks import checked_share, user_path
from optuna_nas.objectives.tabular.benchmark import TabularBenchmark
from optuna_nas.objectives.tabular.table import Metric, Table
from optuna_nas.spaces import LayerDropSpace

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture

PACKAGED = "layer_drop_trec.csv"
"""The table of the package, beside this module."""

_SCORE = Metric("score", True, "score")
METRICS: dict[str, Metric] = {
    "score": _SCORE,
    "accuracy": Metric("validation_accuracy", True, "validation_accuracy"),
    "test_accuracy": Metric("test_accuracy", True, "test_accuracy"),
    "parameters": Metric("parameters", False, "parameters"),
    "latency": Metric("latency_ms", False, "latency"),
    "seconds": Metric("seconds", False, "seconds"),
}


class LayerDropTable(TabularBenchmark):
    """The recorded fine-tunings of every choice of layers.

    Args:
        path: A CSV file with the columns `mask` (such as `110100`), `validation_accuracy`,
            `test_accuracy` (from 0 to 1), `parameters`, `latency_ms` and `seconds`, and a row for
            every mask of at least one layer; None is the table of the package.
        metric: What is optimised: `"score"` (the validation accuracy less what the size costs),
            `"accuracy"` (validation), `"test_accuracy"`, `"parameters"`, `"latency"`
            (milliseconds), `"seconds"` (of the training); or a sequence of them.
        parameter_weight: What all parameters of the full model cost in the score.
        constraints: The most a metric may be, or the least an accuracy may be, by name.
        log: Whether trials get all that is recorded as user attributes; it costs time.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A metric is unknown, or the file is damaged or lacks masks.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> table = nas.objectives.LayerDropTable()
        >>> study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler(seed=0))
        >>> study.optimize(table, n_trials=30)
        >>> table.regret(study.best_value) < 0.01
        True
    """

    def __init__(
        self,
        path: str | Path | None = None,
        metric: str | Sequence[str] = "score",
        *,
        parameter_weight: float = 0.1,
        constraints: Mapping[str, float] | None = None,
        log: bool = False,
    ) -> None:
        self.parameter_weight = checked_share("parameter_weight", parameter_weight)
        if path is None:
            with as_file(files(__package__) / PACKAGED) as packaged:
                masks, columns = _read(packaged)
        else:
            masks, columns = _read(user_path(path))
        self._rows = {mask: row for row, mask in enumerate(masks)}
        share = columns["parameters"] / columns["parameters"].max()
        columns["score"] = columns["accuracy"] - self.parameter_weight * share
        super().__init__(
            LayerDropSpace(len(masks[0])),
            Table(str(path or PACKAGED), columns),
            METRICS,
            metric=metric,
            constraints=constraints,
            log=log,
        )

    @property
    def name(self) -> str:
        """What the benchmark is called in tables and figures."""
        return f"Layer drop, {Path(self.source).stem.removeprefix('layer_drop_')}"

    def row(self, architecture: Architecture) -> int:
        """Return the row of the layers that are kept."""
        return self._rows[str(architecture)]

    def settings(self) -> dict[str, Any]:
        """What decides the values of trials; JSON values."""
        return {**super().settings(), "parameter_weight": self.parameter_weight}


def _read(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read the masks and the columns of numbers, by the names of the metrics."""
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` is {str(path)!r}, which is no file; needed is a CSV file with a row for "
            "every choice of layers."
        )
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} is no CSV file ({error}).") from error
    measured = {name: metric for name, metric in METRICS.items() if metric is not _SCORE}
    needed = ["mask", *(metric.column for metric in measured.values())]
    there = list(rows[0]) if rows else []
    if missing := [column for column in needed if column not in there]:
        raise ValueError(
            f"{str(path)!r} lacks the columns {missing}; needed are {needed}, there are {there}."
        )
    masks = [str(row["mask"]) for row in rows]
    layers = len(masks[0])
    if any(len(mask) != layers or set(mask) - {"0", "1"} or "1" not in mask for mask in masks):
        raise ValueError(
            f"{str(path)!r} has masks that are none of {layers} layers; needed are texts such as "
            f"{'1' * layers!r} with one or more layers."
        )
    if len(masks) != 2**layers - 1 or len(set(masks)) != len(masks):
        raise ValueError(
            f"{str(path)!r} has {len(masks)} rows with {len(set(masks))} different masks; needed "
            f"is each of the {2**layers - 1} masks once."
        )
    columns = {}
    for name, metric in measured.items():
        try:
            columns[name] = np.array([float(row[metric.column]) for row in rows])
        except (TypeError, ValueError) as error:
            raise ValueError(f"Column {metric.column!r} of {str(path)!r}: {error}.") from error
        if not np.isfinite(columns[name]).all():
            raise ValueError(f"Column {metric.column!r} of {str(path)!r} is not always finite.")
    return masks, columns
