"""A fine-tuned classifier as a folder that plain transformers loads.

    AutoModelForSequenceClassification.from_pretrained(folder)
    AutoTokenizer.from_pretrained(folder)

Beside the files of transformers there is `optuna_nas.json`: architecture, classes, metrics.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from optuna_nas._version import __version__
from optuna_nas.artifacts.temporary import temporary_folder
from optuna_nas.errors import UserError
from optuna_nas.export.folder import check_folder, write_folder
from optuna_nas.export.onnx_file import ONNX_NAME, OnnxFile
from optuna_nas.export.seal import sealed_description
from optuna_nas.objectives.layer_drop_bert.isolation import quiet

DESCRIPTION = "optuna_nas.json"


def export_classifier(
    model: Any,
    tokenizer: Any,
    folder: str | Path,
    description: Mapping[str, Any],
    *,
    measure: Callable[[Any], Mapping[str, float]],
    onnx: OnnxFile | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a classifier and its tokenizer.

    Args:
        model: The classifier, on the CPU.
        tokenizer: Its tokenizer.
        folder: Where to; its parent folders are made.
        description: What the model is, as JSON values; numbers that are not finite become null.
        measure: Measures the classifier as it is read back from the files; raises `UserError` if
            it is another one than `description` says.
        onnx: The same as an ONNX file, if that is written too.
        overwrite: Whether an earlier export in `folder` is replaced.

    Returns:
        The folder, absolute.

    Raises:
        FileExistsError: There is something at `folder`: anything, or with `overwrite` anything
            but an export.
        UserError: What is read back is another classifier.
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
    with temporary_folder() as written, quiet():
        model.save_pretrained(written)
        tokenizer.save_pretrained(written)
        described["measured_again"] = measure(_loaded_back(model, written))
        files = {path.name: path.read_bytes() for path in sorted(written.iterdir())}
    if onnx is not None:
        files[ONNX_NAME] = onnx.content
    files[DESCRIPTION] = sealed_description(_finite(described), files)
    target = check_folder(folder, ours=files.keys(), overwrite=overwrite)
    write_folder(target, files)
    return target


def _loaded_back(model: Any, folder: Path) -> Any:
    """Load a classifier from its files, and compare its weights.

    Raises:
        UserError: One is another.
    """
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=False
    )
    read = loaded.state_dict()
    for name, weight in model.state_dict().items():
        if name not in read or not torch.equal(weight.cpu(), read[name]):
            raise UserError(f"Nothing is written: read back, the weight {name!r} is another one.")
    return loaded.eval()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
