"""What a trial remembers of how it was proposed: the one place that says so.

A sampler that knows architectures writes two system attributes on a trial: the text of what it
proposed, and what it came from, which is the trial whose architecture was changed and notes of the
sampler's own. Whoever trains reads only the parent's number, and knows nothing of samplers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna_nas import _optuna
from optuna_nas._attributes import read_count, read_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna
    from optuna.trial import FrozenTrial

__all__ = ["PROPOSAL_ATTRIBUTE", "notes_of", "parent_of", "remember_origin", "remember_proposal"]

PROPOSAL_ATTRIBUTE = "optuna_nas:proposal"
"""Trial system attribute with the text of the architecture a sampler proposed."""

_ORIGIN = "optuna_nas:origin"
"""Trial system attribute with the number of the parent, and notes; absent if there are neither."""


def remember_proposal(study: optuna.Study, trial: FrozenTrial, text: str) -> None:
    """Store on a trial what is proposed for it, for the other workers to see."""
    _optuna.storage(study).set_trial_system_attr(_optuna.trial_id(trial), PROPOSAL_ATTRIBUTE, text)


def remember_origin(
    study: optuna.Study, trial: FrozenTrial, parent: int | None, notes: Mapping[str, Any]
) -> None:
    """Store on a trial what its proposal came from; nothing if it came from nothing."""
    if parent is None and not notes:
        return
    _optuna.storage(study).set_trial_system_attr(
        _optuna.trial_id(trial), _ORIGIN, {"parent": parent, "notes": dict(notes)}
    )


def parent_of(trial: FrozenTrial) -> int | None:
    """The number of the trial whose architecture was changed into this one's; None if none was."""
    parent = read_count(read_mapping(trial.system_attrs, _ORIGIN), "parent")
    return parent if parent is not None and parent < trial.number else None


def notes_of(trial: FrozenTrial) -> dict[str, Any]:
    """What the sampler noted of its proposal; empty if it noted nothing."""
    return read_mapping(read_mapping(trial.system_attrs, _ORIGIN), "notes")
