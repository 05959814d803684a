"""Which layers of a pretrained transformer a text classifier needs."""

from __future__ import annotations

from optuna_nas._extras import require

require("LayerDropBert", "text", "transformers", "accelerate")  # the former's Trainer needs both

from optuna_nas.objectives.layer_drop_bert.objective import LayerDropBert  # noqa: E402 (after the check)

__all__ = ["LayerDropBert"]
