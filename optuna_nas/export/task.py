"""Export the network of a trial on any task.

    <folder>/model.pt2            the network, for `torch.export.load(...).module()`
    <folder>/weights.safetensors  its weights, for `build_network` and `load_state_dict`
    <folder>/model.json           architecture, score, how inputs are encoded, metrics, checksums
    <folder>/predict.py           a script that reads a CSV file (of a network for tables)

What is written is loaded back and measured again first, as with images.
"""

from __future__ import annotations

import copy
import io
import math
import platform
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import nn

from optuna_nas._version import __version__
from optuna_nas.data import TableData, batches
from optuna_nas.errors import UserError
from optuna_nas.export.folder import check_folder, write_folder
from optuna_nas.export.measured import loaded_back
from optuna_nas.export.seal import sealed_description
from optuna_nas.export.trained import (
    TrainedObjective,
    chosen_architecture,
    load_trained,
    trained,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.data import Split
    from optuna_nas.spaces import Architecture
    from optuna_nas.tasks import Task

    class TaskObjective(TrainedObjective, Protocol):
        """What is needed of an objective such as `TaskTraining`."""

        @property
        def task(self) -> Task:
            """What is learnt."""

        def build(self, architecture: Architecture) -> nn.Module:
            """Build the network of an architecture, on the CPU."""


__all__ = ["FILES", "export_task"]

FILES = ("model.pt2", "weights.safetensors", "model.json", "predict.py")

_BATCH = 256
_TOLERANCE = 0.01
"""Of its standard error and its size, by which a score may differ: other devices and versions
compute other last bits."""


def export_task(
    objective: TaskObjective,
    study: optuna.Study,
    trial: FrozenTrial,
    folder: str | Path,
    *,
    overwrite: bool = False,
) -> Path:
    """Export the network of a trial; if its weights were not kept, it is trained again.

    Args:
        objective: The objective the trial ran, with the same settings.
        study: The study.
        trial: One of its trials, e.g. `study.best_trial`.
        folder: Where to; its parent folders are made.
        overwrite: Whether an earlier export in `folder` is replaced.

    Returns:
        The folder, absolute.

    Raises:
        FileExistsError: There is something at `folder`: anything, or with `overwrite` anything
            but an export.
        UserError: The trial's parameters are no architecture of the objective's space, the weights
            are of another network or have another score than the trial, or the training diverged.
    """
    target = check_folder(folder, ours=FILES, overwrite=overwrite)
    architecture = chosen_architecture(objective, trial)
    found = trained(objective, study, trial)
    network = objective.build(architecture)
    load_trained(network, found)
    network = copy.deepcopy(network).cpu().eval()
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = tensor.data.contiguous()
    task = objective.task
    program = _program(network, task.input_shape)
    loaded = loaded_back(program, network, task.splits.validation.inputs[:3].cpu())
    description = {
        "architecture": str(architecture),
        "params": architecture.params,
        "space": architecture.space.to_dict(),
        "input_shape": list(task.input_shape),
        "outputs": task.outputs,
        "metrics": found.metrics,
        "measured_again": _measured_again(loaded, task, found.metrics, objective.metric_names[0]),
        **_encoding(task.data),
        **found.about,
        "versions": {
            "optuna_nas": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }
    files = {
        "model.pt2": program,
        "weights.safetensors": save(dict(network.state_dict()), {"format": "pt"}),
    }
    if isinstance(task.data, TableData):
        script = resources.files("optuna_nas.export").joinpath("predict_table.py")
        files["predict.py"] = script.read_bytes()
    files["model.json"] = sealed_description(_finite(description), files)
    write_folder(target, files)
    return target


def _program(network: nn.Module, shape: tuple[int, ...]) -> bytes:
    """Trace the network for batches of any size."""
    inputs = torch.zeros(2, *shape)  # with one input torch would fix the size of batches
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        program = torch.export.export(
            network, (inputs,), dynamic_shapes=({0: batch},), strict=False
        )
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _measured_again(
    network: nn.Module, task: Task, metrics: Mapping[str, Any], value: str
) -> dict[str, float]:
    """The scores of what was read back.

    Raises:
        UserError: One is another than the trial's.
    """
    splits = task.splits
    names = {value: splits.validation, "test_accuracy": splits.test, "test_score": splits.test}
    again = {}
    for name, split in names.items():
        if name not in metrics:
            continue
        found = task.score.measure(_outputs(network, split))
        again[name] = found.value
        allowed = max(
            _TOLERANCE * max(abs(found.value), found.error),
            1.5 / found.examples * (task.score.name == "accuracy"),
        )
        told = metrics[name]
        if not isinstance(told, (int, float)) or not abs(told - found.value) <= allowed:
            raise UserError(
                f"Nothing is written: the {name.replace('_', ' ')} was {told!r} when the network "
                f"was trained, and is {found.value:.6g} now, on {found.examples:,} examples. Its "
                "weights, the study or the data have changed since."
            )
    return again


def _outputs(network: nn.Module, split: Split) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for inputs, targets in batches(split, _BATCH, device="cpu"):
        with torch.no_grad():
            yield network(inputs), targets


def _encoding(data: Any) -> dict[str, Any]:
    """How rows of a table become inputs, and what outputs stand for."""
    if not isinstance(data, TableData):
        return {}
    return {
        "target": data.target,
        "class_names": list(data.class_names),
        "target_mean": data.target_mean,
        "target_std": data.target_std,
        "columns": [column.describe() for column in data.columns],
        "missing": list(data.missing),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
