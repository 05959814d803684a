"""A fine-tuned classifier as a folder that plain transformers loads.

    AutoModelForSequenceClassification.from_pretrained(folder)
    AutoTokenizer.from_pretrained(folder)

Beside the files of transformers there is `optuna_nas.json`: architecture, classes, metrics.
"""

from __future__ import annotations

import json
import math
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from optuna_nas._version import __version__
from optuna_nas.export.folder import check_folder, write_folder
from optuna_nas.export.onnx_file import ONNX_NAME, OnnxFile
from optuna_nas.objectives.layer_drop_bert.isolation import quiet

DESCRIPTION = "optuna_nas.json"


def export_classifier(
    model: Any,
    tokenizer: Any,
    folder: str | Path,
    description: Mapping[str, Any],
    *,
    onnx: OnnxFile | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a classifier and its tokenizer.

    Args:
        model: The classifier, on the CPU.
        tokenizer: Its tokenizer.
        folder: Where to; its parent folders are made.
        description: What the model is, as JSON values; numbers that are not finite become null.
        onnx: The same as an ONNX file, if that is written too.
        overwrite: Whether an earlier export in `folder` is replaced.

    Returns:
        The folder, absolute.

    Raises:
        FileExistsError: There is something at `folder`: anything, or with `overwrite` anything
            but an export.
    """
    versions = {
        "optuna_nas": __version__,
        "transformers": transformers.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
    described = {**description, "versions": versions}
    if onnx is not None:
        described["onnx"] = onnx.described
    text = json.dumps(_finite(described), indent=2, allow_nan=False)
    with tempfile.TemporaryDirectory(prefix="optuna-nas-") as written, quiet():
        model.save_pretrained(written)
        tokenizer.save_pretrained(written)
        files = {path.name: path.read_bytes() for path in sorted(Path(written).iterdir())}
    files[DESCRIPTION] = text.encode()
    if onnx is not None:
        files[ONNX_NAME] = onnx.content
    target = check_folder(folder, ours=files.keys(), overwrite=overwrite)
    write_folder(target, files)
    return target


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
