"""The ONNX file of an image network, which normalises its images itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from optuna_nas.export.onnx_file import OnnxFile, onnx_file

__all__ = ["onnx_of_images"]

_COMPARED = 64


class _Normalised(nn.Module):
    """Normalises pixel values in 0..1, and passes them on to a network."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network((images - self.mean) / self.std)
        return logits


def onnx_of_images(
    network: nn.Module,
    images: torch.Tensor,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    metadata: Mapping[str, Any],
) -> OnnxFile:
    """Translate an image network, with its normalisation.

    The file has one input, `images`: `B C H W`, float32, pixel values in 0..1, for any B.

    Args:
        network: Maps normalised images to logits; on the CPU, in evaluation mode.
        images: Real images to compare on, normalised, `N C H W`; the first 64 are taken.
        mean: The mean of each channel that they were normalised with.
        std: The standard deviation likewise.
        metadata: What the file says of itself, as JSON values by name.

    Raises:
        MissingPackageError: onnx, onnxruntime or onnxscript is not installed.
        UserError: torch cannot translate the network, or the file computes something else.
    """
    whole = _Normalised(network, mean, std).eval()
    images = images[:_COMPARED].cpu()
    if len(images) == 1:
        images = images.expand(2, -1, -1, -1)  # torch would trace for one image only
    pixels = images * whole.get_buffer("std") + whole.get_buffer("mean")
    about = {"input": "float32, B C H W, pixel values in 0..1, not normalised", **metadata}
    return onnx_file(
        whole,
        [(pixels,), (pixels[: (len(pixels) + 1) // 2],), (pixels[:1],)],
        names=["images"],
        axes={0: "batch"},
        metadata=about,
    )
