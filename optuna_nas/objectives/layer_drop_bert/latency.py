"""How long a classifier takes for one text."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_WARM_UP = 3
_REPETITIONS = 15


def latency(model: Any, example: Mapping[str, Tensor], device: torch.device) -> float:
    """Measure the time of a forward pass in evaluation mode.

    Args:
        model: The classifier; it is moved to the device.
        example: One text, tensors `1 L`.
        device: Where to measure.

    Returns:
        Milliseconds: the median of fifteen passes, after three that are not counted.
    """
    model.to(device)
    training = model.training
    model.eval()
    inputs = {name: tensor.to(device) for name, tensor in example.items()}
    seconds = []
    with torch.inference_mode():
        for _ in range(_WARM_UP + _REPETITIONS):
            _wait(device)
            started = time.perf_counter()
            model(**inputs)
            _wait(device)
            seconds.append(time.perf_counter() - started)
    model.train(training)
    return 1000 * statistics.median(seconds[_WARM_UP:])


def _wait(device: torch.device) -> None:
    """Wait for what was started on a device: GPUs return before they are done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
