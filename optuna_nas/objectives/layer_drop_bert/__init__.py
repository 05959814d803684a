"""Which layers of a pretrained transformer a text classifier needs."""

from __future__ import annotations

import importlib.util

for _name in ("transformers", "accelerate"):  # the Trainer of the former needs the latter
    if importlib.util.find_spec(_name) is None:
        raise ImportError(
            f'LayerDropBert needs the package {_name!r}: pip install "optuna-nas[text]"'
        )

from optuna_nas.objectives.layer_drop_bert.objective import LayerDropBert  # noqa: E402 (after the check)

__all__ = ["LayerDropBert"]
