"""The full model, fine-tuned once: what thinned copies may inherit their weights from.

Layers that have learned the task already need less training to get along without the others. All
workers of a search share the one file

    <artifacts>/warm-starts/<digest of what is trained>.safetensors

and the first that needs it makes it, while a lock lets the others wait (in a bucket only those of
the same machine: each machine may make it once). An interrupted one goes on
from its checkpoint beside it. Without artifacts each process trains its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
import torch

from optuna_nas.artifacts import ArtifactPlace, StoredFile
from optuna_nas.objectives.layer_drop_bert.fine_tuning import FineTuning, Progress
from optuna_nas.trials.checkpoints import Checkpoint
from optuna_nas.trials.states import CorruptStateError, read_state, write_state

_KIND = "warm start"

_logger = optuna.logging.get_logger("optuna_nas")


@dataclass(frozen=True)
class WarmStart:
    """A fine-tuned full model.

    Attributes:
        weights: Its state dict, on the CPU.
        accuracy: The share of validation texts whose class it predicts.
    """

    weights: dict[str, torch.Tensor]
    accuracy: float


def warm_start(
    place: ArtifactPlace | None,
    settings: Mapping[str, Any],
    make: Callable[[], tuple[Any, FineTuning]],
) -> WarmStart:
    """Read the fine-tuned full model, or make it.

    Args:
        place: Where the search keeps its files; None to keep none.
        settings: All that decides the weights, as JSON values.
        make: Makes a copy of the full model, and what fine-tunes it.

    Raises:
        OSError: The file cannot be written.
    """
    if place is None:
        return _train(make, None)
    text = json.dumps(settings, sort_keys=True)
    name = f"warm-starts/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    file = place.file(f"{name}.safetensors")
    with file.lock():
        found = _read(file, settings)
        if found is None:
            unfinished = place.file(f"{name}.unfinished.safetensors")
            found = _train(make, Checkpoint(unfinished, _KIND, _KIND, settings))
            header = {"kind": _KIND, "settings": settings, "accuracy": found.accuracy}
            write_state(file, found.weights, header)
            unfinished.remove()
        return found


def _read(file: StoredFile, settings: Mapping[str, Any]) -> WarmStart | None:
    try:
        weights, header = read_state(file)
        if (header["kind"], header["settings"]) != (_KIND, json.loads(json.dumps(settings))):
            raise CorruptStateError(f"{file} is of other settings.")
        return WarmStart(weights, float(header["accuracy"]))
    except FileNotFoundError:
        return None
    except (CorruptStateError, LookupError, TypeError, ValueError) as error:
        _logger.warning(f"The warm start is made anew: {error}")
        return None


def _train(make: Callable[[], tuple[Any, FineTuning]], checkpoint: Checkpoint | None) -> WarmStart:
    model, tuning = make()
    _logger.info("The full model is fine-tuned once, for all trials to start from.")
    curve: dict[int, float] = {}

    def evaluated(progress: Progress) -> None:
        curve[progress.evaluation] = progress.accuracy
        if checkpoint is not None:
            checkpoint.save(progress.state(), curve)

    found = None if checkpoint is None else checkpoint.load()
    if found is not None:
        curve.update(found[1])
    accuracy = tuning.run(evaluated, None if found is None else found[0])
    weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    return WarmStart(weights, accuracy)
