"""What a trial inherits: the architecture and the weights of the trial it was made from.

1. A sampler that changed the architecture of a finished trial has stored the number of that trial,
   the *parent* (:mod:`optuna_nas._proposals`). Nothing else is known of the sampler.
2. The parent's architecture is read from its parameters, its weights from where the study keeps
   its files: by any worker, on any machine that sees them.
3. If they are gone, or cannot be read, the trial starts from scratch, and says why.

The weights of a parent are kept as long as a trial that was made from it is not finished
(:mod:`optuna_nas.trials.weights`), besides those of the best trials. A worker that removes them at
the same moment as another one proposes a child may be faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import optuna
from optuna.trial import TrialState

from optuna_nas import _optuna
from optuna_nas._proposals import parent_of
from optuna_nas.spaces import recall_space
from optuna_nas.trials.states import CorruptStateError
from optuna_nas.trials.weights import load_weights

if TYPE_CHECKING:
    import torch

    from optuna_nas.artifacts import ArtifactPlace
    from optuna_nas.spaces import Architecture

__all__ = ["PARENT_ATTR", "WHY_NOT_ATTR", "Inheritance", "inheritance"]

PARENT_ATTR = "inherited_from"
"""Trial user attribute with the number of the parent whose weights were taken."""

WHY_NOT_ATTR = "not_inherited"
"""Trial user attribute that says why those of the parent were not."""

_logger = optuna.logging.get_logger("optuna_nas")


@dataclass(frozen=True)
class Inheritance:
    """What a trial inherits.

    Attributes:
        parent: The number of the parent.
        architecture: Its architecture.
        weights: Its final state dict, on the CPU.
    """

    parent: int
    architecture: Architecture
    weights: dict[str, torch.Tensor]


def inheritance(place: ArtifactPlace | None, trial: optuna.Trial) -> Inheritance | None:
    """Read what a trial inherits; None if it has no parent, or not what it would inherit.

    The trial says so in a user attribute.

    Args:
        place: Where the study keeps its files; None if nowhere.
        trial: The trial, after its architecture was suggested.
    """
    study = trial.study
    parent = parent_of(trial.storage.get_trial(_optuna.trial_id(trial)))
    if parent is None:
        return None
    try:
        found = Inheritance(parent, _architecture(study, parent), _weights(place, study, parent))
    except (OSError, CorruptStateError, LookupError) as error:
        why = f"from scratch, not from trial {parent}: {error}"
        _logger.warning(f"Trial {trial.number} starts {why}")
        trial.set_user_attr(WHY_NOT_ATTR, why)
        return None
    trial.set_user_attr(PARENT_ATTR, parent)
    return found


def _architecture(study: optuna.Study, parent: int) -> Architecture:
    space, known = recall_space(study), study.get_trials(deepcopy=False)[parent]
    if space is None or known.state != TrialState.COMPLETE:
        raise LookupError("it is no complete trial with an architecture.")
    architecture = space.read(known.params)
    if architecture is None:
        raise LookupError(f"its parameters are no architecture of {space.name}.")
    return architecture


def _weights(
    place: ArtifactPlace | None, study: optuna.Study, parent: int
) -> dict[str, torch.Tensor]:
    if place is None:
        raise LookupError("no files are kept.")
    return load_weights(place, study, parent)
