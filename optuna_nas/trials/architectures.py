"""The architectures of a trial: the one that it suggested, or those that its search derived."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from optuna_nas.spaces import Architecture, SearchSpace

__all__ = ["trial_architectures"]

_MOST = 20


def trial_architectures(trial: FrozenTrial, space: SearchSpace | None) -> list[Architecture]:
    """Read the architectures of a trial; none if it has none that the space knows.

    Args:
        trial: The trial. What it derived stands in its user attribute `members` (several texts)
            or `architecture` (one).
        space: The space they are of.
    """
    if space is None:
        return []
    suggested = space.read(trial.params)
    if suggested is not None:
        return [suggested]
    texts = trial.user_attrs.get("members", [trial.user_attrs.get("architecture")])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return []
    with suppress(ValueError):  # of another version, or not ours
        return [space.parse(text) for text in texts[:_MOST]]
    return []
