"""The scorer: what candidate generators ask how good an architecture looks.

It remembers every architecture it was asked for together with its predictions, and applies the
criterion to all of them in the order in which they came, each time with the same seed. As random
numbers are drawn one architecture after the other, the same architecture gets the same draw every
time, and Thompson sampling stays with one member. So a generator can climb on the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optuna_nas.spaces import Architecture
from optuna_nas.surrogates.constraints import drawn_violations, feasible_first
from optuna_nas.surrogates.criteria import Criterion


@dataclass(frozen=True)
class Predictions:
    """What is predicted of `n` architectures.

    Attributes:
        objectives: For each objective the predictions of its members, `e x n`.
        constraints: For each constraint the same.
    """

    objectives: Sequence[np.ndarray]
    constraints: Sequence[np.ndarray]

    def joined(self, other: Predictions) -> Predictions:
        """Return the predictions of these architectures and of the others."""
        return Predictions(
            [np.hstack(both) for both in zip(self.objectives, other.objectives, strict=True)],
            [np.hstack(both) for both in zip(self.constraints, other.constraints, strict=True)],
        )


class Scorer:
    """Scores architectures, each always the same; lower is better.

    Args:
        predict: Predicts a list of architectures, each from its own encoding only.
        criterion: Scores the objectives.
        seed: Seed of the draws of the constraints.
    """

    def __init__(
        self,
        predict: Callable[[Sequence[Architecture]], Predictions],
        criterion: Criterion,
        seed: Sequence[int],
    ) -> None:
        self._predict = predict
        self._criterion = criterion
        self._seed = seed
        self._places: dict[Architecture, int] = {}
        self._known: Predictions | None = None

    def __call__(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return the scores of `n` architectures.

        An infeasible draw of a constraint puts an architecture behind all that are feasible.
        """
        places = self._remember(architectures)
        return self._scores()[places]

    def order(self, architectures: Sequence[Architecture], batch: int) -> list[Architecture]:
        """Return the architectures, the best first.

        Args:
            architectures: Different architectures.
            batch: With several objectives, the first so many are chosen one after the other, each
                in view of those before it.
        """
        places = self._remember(architectures)
        chosen: list[int] = []
        if self._known is not None and len(self._known.objectives) > 1:
            for _ in range(min(batch, len(places))):
                scores = self._scores(chosen)[places]
                scores[[place in chosen for place in places]] = np.inf
                chosen.append(places[int(scores.argmin())])
        ranked = [places[index] for index in np.argsort(self._scores()[places], kind="stable")]
        known = list(self._places)
        return [known[place] for place in dict.fromkeys([*chosen, *ranked])]

    def _remember(self, architectures: Sequence[Architecture]) -> list[int]:
        fresh = [a for a in dict.fromkeys(architectures) if a not in self._places]
        if fresh:
            found = self._predict(fresh)
            self._known = found if self._known is None else self._known.joined(found)
            start = len(self._places)
            self._places.update((a, start + n) for n, a in enumerate(fresh))
        return [self._places[a] for a in architectures]

    def _scores(self, chosen: Sequence[int] = ()) -> np.ndarray:
        """The scores of all architectures known."""
        if self._known is None:
            return np.empty(0)
        scores = self._criterion.scores(self._known.objectives, chosen)
        if self._known.constraints:
            violations = drawn_violations(self._known.constraints, self._seed)
            scores = feasible_first(scores, violations, self._criterion.scale)
        return scores
