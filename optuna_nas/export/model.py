"""Write a trained network as a folder.

    <folder>/model.pt2            the network, for `torch.export.load(...).module()`
    <folder>/weights.safetensors  its weights, for `build_network` and `load_state_dict`
    <folder>/model.json           architecture, classes, normalisation, metrics, checksums
    <folder>/predict.py           a script that classifies image files
    <folder>/model.onnx           the network for onnxruntime and others, if it is asked for

`model.pt2` takes batches of any size, images `B C H W` normalised with the mean and standard
deviation of `model.json`, and returns logits `B classes`. It runs on the CPU, in evaluation mode.
"""

from __future__ import annotations

import copy
import io
import math
import platform
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from optuna_nas._version import __version__
from optuna_nas.export.folder import check_folder, write_folder
from optuna_nas.export.measured import check_measured, loaded_back, measured_images
from optuna_nas.export.onnx_file import ONNX_NAME, require_onnx
from optuna_nas.export.onnx_images import onnx_of_images
from optuna_nas.export.seal import sealed_description

if TYPE_CHECKING:
    from optuna_nas.data import ImageData
    from optuna_nas.spaces import Architecture

__all__ = ["FILES", "export_model"]

FILES = ("model.pt2", "weights.safetensors", "model.json", "predict.py", ONNX_NAME)
"""The files of an export."""


def export_model(
    network: nn.Module,
    folder: str | Path,
    *,
    architecture: Architecture | Sequence[Architecture],
    image_shape: Sequence[int],
    class_names: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
    metrics: Mapping[str, Any],
    about: Mapping[str, Any] | None = None,
    onnx_images: torch.Tensor | None = None,
    data: ImageData | None = None,
    overwrite: bool = False,
) -> Path:
    """Export a trained network.

    Args:
        network: Maps images `B C H W` to logits `B classes` in evaluation mode; it is not
            changed.
        folder: Where to; its parent folders are made.
        architecture: What the network was built from; several for an ensemble, one a member.
        image_shape: The shape `(C, H, W)` of an image.
        class_names: The classes by number.
        mean: The mean of each channel that images were normalised with, pixel values in 0..1.
        std: The standard deviation likewise.
        metrics: What was measured, as JSON values; those that are not finite become null.
        about: More to note down in `model.json`, as JSON values.
        onnx_images: Real images, normalised, `N C H W`, on which an ONNX file is compared with
            the network; None writes none.
        data: The images that the accuracies among `metrics` were measured on: they are measured
            again. None believes them.
        overwrite: Whether an earlier export in `folder` is replaced.

    Returns:
        The folder, absolute.

    Raises:
        FileExistsError: There is something at `folder`: anything, or with `overwrite` anything
            but an export.
        MissingPackageError: An ONNX file is asked for, and what writes it is not installed.
        UserError: The ONNX file would compute something else, or the network has another
            accuracy than `metrics` say.
        ValueError: The shapes do not fit each other or the network.
    """
    if onnx_images is not None:
        require_onnx()
    target = check_folder(folder, ours=FILES, overwrite=overwrite)
    shape = _checked_shape(image_shape, mean, std)
    network = _portable(network)
    program = _program(network, shape, len(class_names))
    images = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    loaded = loaded_back(program, network, images)
    again = {} if data is None else measured_images(loaded, metrics, data)
    description = {
        **_described(architecture),
        "image_shape": shape,
        "class_names": list(class_names),
        "mean": [float(value) for value in mean],
        "std": [float(value) for value in std],
        "metrics": {name: _finite(value) for name, value in metrics.items()},
        "measured_again": check_measured(metrics, again),
        **(about or {}),
        "versions": {
            "optuna_nas": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }
    files: dict[str, bytes] = {}
    if onnx_images is not None:
        about_file = {name: description[name] for name in ("class_names", "architecture")}
        made = onnx_of_images(network, onnx_images, mean=mean, std=std, metadata=about_file)
        files[ONNX_NAME] = made.content
        description["onnx"] = made.described
    files |= {
        "model.pt2": program,
        "weights.safetensors": save(dict(network.state_dict()), {"format": "pt"}),
        "predict.py": resources.files("optuna_nas.export").joinpath("predict.py").read_bytes(),
    }
    files["model.json"] = sealed_description(description, files)
    write_folder(target, files)
    return target


def _described(architecture: Architecture | Sequence[Architecture]) -> dict[str, Any]:
    if not isinstance(architecture, Sequence):
        return {
            "architecture": str(architecture),
            "params": architecture.params,
            "space": architecture.space.to_dict(),
        }
    return {
        "architecture": [str(member) for member in architecture],
        "params": [member.params for member in architecture],
        "space": architecture[0].space.to_dict(),
    }


def _portable(network: nn.Module) -> nn.Module:
    """Copy a network to the CPU, in evaluation mode and with contiguous weights.

    Contiguous, because safetensors and torch's archive write nothing else without a detour.
    """
    network = copy.deepcopy(network).cpu().eval()
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = tensor.data.contiguous()
    return network


def _program(network: nn.Module, shape: Sequence[int], num_classes: int) -> bytes:
    """Trace the network for batches of any size."""
    images = torch.zeros(2, *shape)  # with one image torch would fix the size of batches
    try:
        with torch.no_grad():
            logits = network(images)
    except RuntimeError as error:
        raise ValueError(f"`network` takes no images of `image_shape` {shape}: {error}") from error
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, num_classes):
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(
            f"`network` returns {got} for two images; needed are logits (2, {num_classes}) for "
            f"the {num_classes} `class_names`."
        )
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        program = torch.export.export(
            network, (images,), dynamic_shapes=({0: batch},), strict=False
        )
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _checked_shape(
    image_shape: Sequence[int], mean: Sequence[float], std: Sequence[float]
) -> list[int]:
    shape = [int(size) for size in image_shape]
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"`image_shape` is {image_shape!r}; allowed are three sizes (C, H, W).")
    if shape[0] not in (1, 3):
        raise ValueError(f"`image_shape` has {shape[0]} channels; allowed are 1 (grey), 3 (RGB).")
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != shape[0]:
            raise ValueError(f"`{name}` is {values!r}; needed is one number for each channel.")
    return shape


def _finite(value: Any) -> Any:
    if isinstance(value, (np.generic, torch.Tensor)):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
