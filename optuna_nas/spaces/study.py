"""Where a study keeps the description of its search space.

The first `SearchSpace.suggest` of a study writes the description to a user attribute; samplers
read it back. A search that is one trial, and derives architectures instead of suggesting their
parameters, writes the description of theirs to another attribute, which samplers leave alone.
All go through the storage, because some pruners hand samplers a restricted study without
`user_attrs`.

The description is read each time, and only what was built from it is kept: a database gives the
number of a deleted study to the next one, which may search another space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from optuna_nas import _optuna
from optuna_nas.spaces.registry import space_from_dict

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

    from optuna_nas.spaces.base import SearchSpace

SPACE_ATTRIBUTE = "optuna_nas:space"
"""Study user attribute with the description of the space that trials suggest from."""

DERIVED_ATTRIBUTE = "optuna_nas:derived_space"
"""Study user attribute with that of the architectures which trials derive."""

_Built = dict[tuple[int, str], tuple[object, "SearchSpace"]]

_built: WeakKeyDictionary[BaseStorage, _Built] = WeakKeyDictionary()
"""For a study and an attribute: the description, and the space that was built from it."""


def remember_space(
    trial: optuna.trial.BaseTrial, space: SearchSpace, *, derived: bool = False
) -> None:
    """Store the space on the trial's study, once.

    Trials without a study (`FixedTrial`, `FrozenTrial`) are left alone.

    Args:
        trial: The trial that is about to sample from the space, or to search in it.
        space: The space.
        derived: Whether the trial derives architectures of the space itself.

    Raises:
        ValueError: The study already searches another space.
    """
    study = getattr(trial, "study", None)
    if study is None:
        return
    stored = recall_space(study, derived=derived)
    if stored is None:
        key, description = _attribute(derived), space.to_dict()
        storage, study_id = _optuna.storage(study), _optuna.study_id(study)
        storage.set_study_user_attr(study_id, key, description)
        _built.setdefault(storage, {})[study_id, key] = description, space
    elif stored is not space and stored != space:
        raise ValueError(
            f"The study {study.study_name!r} searches {stored!r}, but this trial samples from "
            f"{space!r}. Use another `study_name` for another space."
        )


def recall_space(study: optuna.Study | Any, *, derived: bool = False) -> SearchSpace | None:
    """Return the space stored on a study, or None.

    Args:
        study: The study, or the restricted view of it that a pruner hands to a sampler.
        derived: Whether to return that of the architectures which the trials derive.

    Raises:
        ValueError: The description names a space class this process does not know, or is none.
    """
    key = _attribute(derived)
    description = _optuna.storage(study).get_study_user_attrs(_optuna.study_id(study)).get(key)
    if description is None:
        return None
    spaces = _built.setdefault(_optuna.storage(study), {})
    known = spaces.get((_optuna.study_id(study), key))
    if known is None or known[0] != description:
        known = spaces[_optuna.study_id(study), key] = description, space_from_dict(description)
    return known[1]


def _attribute(derived: bool) -> str:
    return DERIVED_ATTRIBUTE if derived else SPACE_ATTRIBUTE
