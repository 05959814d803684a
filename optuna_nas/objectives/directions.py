"""Whether a study optimises what an objective returns, said before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.study import StudyDirection
    from optuna.trial import BaseTrial


def check_directions(
    trial: BaseTrial, names: Sequence[str], directions: tuple[StudyDirection, ...]
) -> None:
    """Refuse a study that goes other ways than the values of a trial.

    Args:
        trial: The trial; one without a study is in order.
        names: The names of its values.
        directions: Where they are to go.

    Raises:
        ValueError: The study has other directions.
    """
    study = getattr(trial, "study", None)
    if study is None or tuple(study.directions) == directions:
        return
    wanted = [direction.name.lower() for direction in directions]
    option = f"direction={wanted[0]!r}" if len(wanted) == 1 else f"directions={wanted}"
    raise ValueError(
        f"The study {study.study_name!r} has the directions "
        f"{[direction.name.lower() for direction in study.directions]}; the objectives "
        f"{list(names)} need {wanted}: `create_study({option})`."
    )
