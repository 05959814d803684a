"""What a study of dropped layers optimises: one score, or several measurements side by side.

- `score`: the accuracy minus `weight` times the share of parameters that is left, so that a layer
  is dropped if it brings less accuracy than that. With a weight of 0.1, a layer of BERT (6.5 per
  cent of its parameters) must bring 0.65 points of accuracy;
- `accuracy`: the share of validation texts whose class is predicted; higher is better;
- `parameters`: the number of trainable parameters; lower is better;
- `latency`: milliseconds for one text; lower is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optuna.study import StudyDirection


@dataclass(frozen=True)
class Measured:
    """What is known about a fine-tuned model.

    Attributes:
        accuracy: The share of validation texts whose class is predicted.
        parameters: The number of trainable parameters.
        share: The same, as a share of those of the full model.
        latency: Milliseconds for one text.
    """

    accuracy: float
    parameters: int
    share: float
    latency: float


@dataclass(frozen=True)
class Goal:
    """One objective of a study.

    Attributes:
        name: What it is called.
        direction: Whether higher or lower is better.
        value: The value of a model.
        learned: Whether it changes during the training, so that a pruner can go by it.
    """

    name: str
    direction: StudyDirection
    value: Callable[[Measured], float]
    learned: bool


def known_goals(weight: float) -> dict[str, Goal]:
    """All goals by name.

    Args:
        weight: What all parameters together cost in the score, as a share of accuracy.
    """
    higher, lower = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    goals = [
        Goal("score", higher, lambda found: found.accuracy - weight * found.share, True),
        Goal("accuracy", higher, lambda found: found.accuracy, True),
        Goal("parameters", lower, lambda found: float(found.parameters), False),
        Goal("latency", lower, lambda found: found.latency, False),
    ]
    return {goal.name: goal for goal in goals}


def chosen_goals(names: str | Sequence[str], weight: float) -> tuple[Goal, ...]:
    """Look goals up by name.

    Args:
        names: A name or several.
        weight: As in :func:`known_goals`.

    Raises:
        ValueError: A name is unknown or repeated, or the first is not learned: it is what the
            trial reports while it is trained.
    """
    known = known_goals(weight)
    chosen = (names,) if isinstance(names, str) else tuple(names)
    if (
        not chosen
        or len(set(chosen)) < len(chosen)
        or not set(chosen) <= set(known)
        or not known[chosen[0]].learned
    ):
        raise ValueError(
            f"`objectives` is {names!r}; allowed are different names out of {list(known)}, the "
            "first of them 'score' or 'accuracy'."
        )
    return tuple(known[name] for name in chosen)
