"""Finished trials in the order they ended, and what is learnt from them one after the other.

What a policy or a table has learnt is a fold over the finished trials. It is kept between two
trials and continued with those that ended since. In another process, or if an earlier trial turns
out to be another one than was thought, it is computed again from the first one on. So it is the
same after a restart, and for any number of workers whose trials ended in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from optuna_nas.samplers._history import History
from optuna_nas.spaces import Architecture

S = TypeVar("S")


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        architecture: What it evaluated.
        scores: Its values, higher is better; None if it did not complete.
        violation: The sum of what its constraints exceed zero by.
    """

    architecture: Architecture
    scores: tuple[float, ...] | None
    violation: float


def outcomes(history: History) -> list[Outcome]:
    """The finished trials of a history in the order they ended."""
    ended = sorted(history.observations, key=lambda o: (o.completed, o.number))
    return [
        Outcome(
            o.architecture,
            None if o.pruned else tuple(-value for value in o.values),
            sum(max(value, 0.0) for value in o.constraints.values()),
        )
        for o in ended
    ]


class Fold(Generic[S]):
    """What has been learnt from outcomes, kept as long as it can be continued."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._seen: list[Outcome] = []
        self._state: S | None = None

    def after(
        self,
        key: Hashable,
        found: list[Outcome],
        start: Callable[[], S],
        learn: Callable[[S, Outcome], None],
    ) -> S:
        """What is known after some outcomes; not to be changed.

        Args:
            key: What else decides it. With another one it is learnt anew.
            found: The outcomes in order.
            start: Makes what is known before the first one.
            learn: Learns from one more, in place.
        """
        if self._state is None or key != self._key or found[: len(self._seen)] != self._seen:
            self._key, self._seen, self._state = key, [], start()
        for outcome in found[len(self._seen) :]:
            learn(self._state, outcome)
        self._seen = found
        return self._state

    def __getstate__(self) -> dict[str, Any]:
        return Fold().__dict__
