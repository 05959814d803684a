"""A sampler's answer: an architecture, what it was made from, and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna_nas.spaces import Architecture


@dataclass(frozen=True)
class Proposal:
    """What to evaluate next.

    Attributes:
        architecture: The architecture.
        parent: The number of the finished trial whose architecture was changed into this one; None
            if it was made from nothing. It is stored on the trial, so that an objective may go on
            from the parent's weights (:meth:`optuna_nas.trials.TrialRun.inherit`).
        notes: What else the sampler wants to be known of it; JSON values, stored on the trial.
    """

    architecture: Architecture
    parent: int | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
