"""A study that is deleted while it runs ends what works on it with one line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from optuna_nas.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna

__all__ = ["unless_deleted"]


@contextmanager
def unless_deleted(study: optuna.Study) -> Iterator[None]:
    """Say so if what fails inside does because the study is gone.

    Raises:
        UserError: It was deleted.
    """
    from optuna_nas import _optuna

    try:
        yield
    except Exception as error:  # a `KeyError`, or what Optuna or the database makes of it
        try:
            storage = _optuna.storage(study)
            storage.get_study_user_attrs(_optuna.study_id(study))  # which no cache answers
        except KeyError:
            raise UserError(f"The study {study.study_name!r} was deleted while it ran.") from error
        raise
