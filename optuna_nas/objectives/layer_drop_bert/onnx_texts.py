"""The ONNX file of a fine-tuned classifier of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from optuna_nas.export.onnx_file import OnnxFile, onnx_file

if TYPE_CHECKING:
    from optuna_nas.objectives.layer_drop_bert.tokens import TokenData

__all__ = ["onnx_of_texts"]

_COMPARED = 16


class _Logits(nn.Module):
    """A classifier of transformers whose inputs are positional, and which returns tensors."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self._names = tuple(names)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        named = dict(zip(self._names, inputs, strict=True))
        logits: torch.Tensor = self.model(**named).logits
        return logits


def onnx_of_texts(model: Any, tokens: TokenData, metadata: Mapping[str, Any]) -> OnnxFile:
    """Translate a classifier of texts.

    The inputs of the file are what the tokenizer returns, `B L` each, for any B and L.

    Args:
        model: The classifier, on the CPU, in evaluation mode.
        tokens: The texts; validation texts are compared.
        metadata: What the file says of itself, as JSON values by name.

    Raises:
        MissingPackageError: onnx, onnxruntime or onnxscript is not installed.
        UserError: torch cannot translate the model, or the file computes something else.
    """
    split = tokens.validation
    by_length = np.argsort(split.lengths, kind="stable")
    even = np.linspace(0, len(by_length) - 1, _COMPARED).astype(int)  # short ones and long ones
    rows = by_length[even]
    groups = [rows, rows[: _COMPARED // 3], rows[_COMPARED // 2 : _COMPARED // 2 + 1]]
    batches = list(tokens.batches(split, groups))
    names = [name for name in batches[0] if name != "labels"]
    return onnx_file(
        _Logits(model, names).eval(),
        [[batch[name] for name in names] for batch in batches],
        names=names,
        axes={0: "batch", 1: "length"},
        metadata={"input": "int64, B L, as the tokenizer returns them", **metadata},
    )
