"""What is exported is loaded back from its bytes and measured again before it is written.

An export says how good its network is. That was measured when the network was trained; between
then and now lie files, databases, data and versions, any of which may have changed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from optuna_nas.errors import UserError

if TYPE_CHECKING:
    from optuna_nas.data import ImageData

__all__ = ["Accuracies", "check_measured", "loaded_back", "measured_images", "share_correct"]

Accuracies = dict[str, tuple[float, int]]
"""Accuracies by the names of their metrics, each with the number of inputs it is of."""

_TOLERANCE = 1e-4
_BATCH = 256
_SHARE = 0.01
"""By which an accuracy may differ: other devices and versions compute other last bits, which turn
a prediction or two. An image or text is always allowed."""

_SPLITS = {"validation accuracy": "validation", "test_accuracy": "test"}


def loaded_back(program: bytes, network: nn.Module, images: torch.Tensor) -> nn.Module:
    """Load a program from its bytes, and compare it with the network that it was made from.

    Args:
        program: What `torch.export.save` wrote.
        network: The network, in evaluation mode.
        images: What both are compared on.

    Raises:
        UserError: It computes something else.
    """
    loaded = torch.export.load(io.BytesIO(program)).module()
    with torch.no_grad():
        expected, found = network(images), loaded(images)
    difference = float((expected - found).abs().max())
    if not difference <= _TOLERANCE * max(1.0, float(expected.abs().max())):  # nor NaN
        raise UserError(
            f"Nothing is written: read back, the network's outputs differ by {difference:.2g}."
        )
    return loaded


def measured_images(network: nn.Module, metrics: Mapping[str, Any], data: ImageData) -> Accuracies:
    """Measure a network on the images that its metrics are of.

    Args:
        network: Maps images `B C H W` to logits, on the CPU.
        metrics: What was measured, by name.
        data: The images.

    Raises:
        UserError: An output is not finite.
    """
    found = {}
    for name in metrics:
        for beginning, split_name in _SPLITS.items():
            if name.startswith(beginning):
                split = getattr(data, split_name)
                batches = zip(split.images.split(_BATCH), split.labels.split(_BATCH), strict=True)
                found[name] = share_correct(network, batches), len(split)
    return found


def share_correct(
    logits: Callable[[Any], torch.Tensor], batches: Iterable[tuple[Any, torch.Tensor]]
) -> float:
    """The share of inputs whose class is predicted, from 0 to 1.

    Raises:
        UserError: An output is not finite.
    """
    correct = number = 0
    with torch.no_grad():
        for inputs, labels in batches:
            outputs = logits(inputs)
            if not bool(outputs.isfinite().all()):
                raise UserError("Nothing is written: the network's outputs are not finite.")
            correct += int((outputs.argmax(1) == labels).sum())
            number += len(labels)
    return correct / number


def check_measured(metrics: Mapping[str, Any], found: Accuracies) -> dict[str, float]:
    """Compare what was measured when the network was trained with what it has now.

    Args:
        metrics: What the export would say, by name.
        found: What was measured again, and on how many inputs.

    Returns:
        What was measured again, by name.

    Raises:
        UserError: An accuracy is another one.
    """
    for name, (value, number) in found.items():
        told = metrics[name]
        allowed = max(_SHARE, 1.5 / number)
        if not isinstance(told, (int, float)) or not abs(told - value) <= allowed:
            shown = f"{told:.4f}" if isinstance(told, (int, float)) else repr(told)
            raise UserError(
                f"Nothing is written: the {name.replace('_', ' ')} was {shown} when the network "
                f"was trained, and is {value:.4f} now, on {number:,} inputs. Its weights, the "
                "study or the data have changed since."
            )
    return {name: value for name, (value, _) in found.items()}
