"""Whether the data are those of the study: a folder of one name may hold others by now."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import optuna

__all__ = ["DATA_ATTRIBUTE", "Data", "check_data", "remember_data"]

DATA_ATTRIBUTE = "optuna_nas:data"
"""Study user attribute with what the data are, and a digest of them."""

_FOLLOWING = {"digest", "mean", "std"}
"""What follows from the contents and tells nobody how they changed."""


class Data(Protocol):
    """Images or texts in memory."""

    @property
    def digest(self) -> str:
        """Changes with anything that is learnt from or measured on."""

    def describe(self) -> dict[str, Any]:
        """What the data are, the digest too, as JSON values."""


def remember_data(study: optuna.Study, data: Data) -> list[str]:
    """Store what the data of a study are, if it does not say yet.

    Returns:
        What has to be told of it, in words: that nobody knows on which data trials of an earlier
        version were trained.

    Raises:
        ValueError: The study has other data.
    """
    from optuna_nas.storages import say_once

    begun = bool(study.get_trials(deepcopy=False))
    unknown = begun and DATA_ATTRIBUTE not in study.user_attrs
    say_once(study, DATA_ATTRIBUTE, _about(data))
    check_data(study, data)
    if not unknown:
        return []
    return [
        "the data of its trials are not known, because an earlier version did not store their "
        "digest; from now on they must stay as they are"
    ]


def check_data(study: optuna.Study, data: Data) -> None:
    """Refuse other data than those of the study; one that does not say yet has any.

    Raises:
        ValueError: The data are others; the message says in what.
    """
    there = study.user_attrs.get(DATA_ATTRIBUTE)
    if there is None:
        return
    here = _about(data)
    if not isinstance(there, dict) or "digest" not in there:
        raise ValueError(
            f"The study {study.study_name!r} does not say what its data are: {reprlib.repr(there)}"
            " is no description of data. Use another --study."
        )
    if there["digest"] != here["digest"]:
        changed = "; ".join(
            f"{name} was {reprlib.repr(there.get(name))} and is {reprlib.repr(here[name])}"
            for name in here
            if name not in _FOLLOWING and there.get(name) != here[name]
        )
        raise ValueError(
            f"The data of the study {study.study_name!r} have changed, so its values cannot be "
            f"compared with new ones: {changed or 'the same numbers, but other contents'}. "
            "Restore the data or use another --study."
        )


def _about(data: Data) -> dict[str, Any]:
    """What the data are, wherever they lie."""
    return {name: value for name, value in data.describe().items() if name != "name"}
