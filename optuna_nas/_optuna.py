"""Optuna's private API: all that the package uses of it, and nowhere else.

A sampler or a worker has to ask the storage itself for what Optuna's public API caches, filters
or does not show. `tests/test_optuna_api.py` names what a new Optuna has changed.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna._hypervolume import get_non_dominated_box_bounds
from optuna.artifacts._protocol import ArtifactStore
from optuna.distributions import BaseDistribution
from optuna.samplers import PartialFixedSampler
from optuna.storages import BaseStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb.models import StudyUserAttributeModel, TrialHeartbeatModel
from optuna.trial import FrozenTrial

__all__ = [
    "ArtifactStore",
    "StudyUserAttributeModel",
    "TrialHeartbeatModel",
    "backend",
    "contains",
    "fixed_params",
    "get_non_dominated_box_bounds",
    "storage",
    "study_id",
    "trial_id",
    "trials_now",
]


def storage(study: optuna.Study) -> BaseStorage:
    """The storage of a study."""
    return study._storage


def study_id(study: optuna.Study) -> int:
    """The number of a study in its storage, which gives that of a deleted one out again."""
    return study._study_id


def trial_id(trial: optuna.Trial | FrozenTrial) -> int:
    """The number of a trial in its storage."""
    return trial._trial_id


def trials_now(study: optuna.Study) -> list[FrozenTrial]:
    """All trials, as the storage has them at this moment; not to be changed.

    Unfiltered and uncached: under Hyperband `get_trials` shows one bracket only, and within a
    trial it does not show what others have begun since.
    """
    return study._get_trials(deepcopy=False, use_cache=False)


def backend(of: BaseStorage) -> BaseStorage:
    """The storage behind Optuna's cache."""
    return of._backend if isinstance(of, _CachedStorage) else of


def fixed_params(sampler: PartialFixedSampler) -> dict[str, Any]:
    """The parameters that a sampler holds fixed."""
    return dict(sampler._fixed_params)


def contains(distribution: BaseDistribution, internal: float) -> bool:
    """Whether a value, in the internal form, is one of a distribution's."""
    return distribution._contains(internal)
