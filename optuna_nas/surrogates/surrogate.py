"""The surrogate: a predictor for each objective and for each constraint, all of one kind."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.surrogates.encodings import Encoding
from optuna_nas.surrogates.predictors import Predictor
from optuna_nas.surrogates.scorer import Predictions

Data = tuple[Sequence[Architecture], np.ndarray]
"""Architectures and a target for each."""


class Surrogate:
    """Learns several targets of the same architectures.

    Args:
        predictor: Learns the first target; copies of it, made once, learn the others.
        encoding: How architectures are encoded.
    """

    def __init__(self, predictor: Predictor, encoding: Encoding) -> None:
        self._predictors = [predictor]
        self._encoding = encoding
        self._space: SearchSpace | None = None
        self._num_objectives = 0
        self._known: list[bool] = []
        self._rows: dict[Architecture, np.ndarray] = {}
        self._earlier_rows: dict[Architecture, np.ndarray] = {}

    def prepare(self, space: SearchSpace) -> None:
        """Get ready for architectures of a space.

        Raises:
            ValueError: The encoding or the predictor does not fit the space.
        """
        if space == self._space:
            return
        self._predictors[0].prepare(space, self._encoding)
        self._encoding.dimension(space)
        del self._predictors[1:]
        self._rows, self._earlier_rows = {}, {}
        self._space = space

    def fit(
        self, objectives: Sequence[Data], constraints: Sequence[Data], seed: Sequence[int]
    ) -> None:
        """Learn, forgetting earlier fits.

        Args:
            objectives: What is known of each objective. Nothing is predicted of one of which
                nothing is known: its predictions are all zero.
            constraints: What is known of each constraint.
            seed: Seed of all randomness of the fits.
        """
        self._earlier_rows, self._rows = self._rows, {}
        self._known = [len(targets) > 0 for _, targets in (*objectives, *constraints)]
        self._num_objectives = len(objectives)
        while len(self._predictors) < len(self._known):
            self._predictors.append(copy.deepcopy(self._predictors[0]))
        for place, (architectures, targets) in enumerate((*objectives, *constraints)):
            if self._known[place]:
                rng = np.random.default_rng([*seed, place])
                self._predictors[place].fit(self._encode(architectures), targets, rng)

    def predict(self, architectures: Sequence[Architecture]) -> Predictions:
        """Predict all targets of architectures."""
        features = self._encode(architectures)
        members = [
            predictor.predict(features) if known else np.zeros((1, len(features)))
            for predictor, known in zip(self._predictors, self._known, strict=False)
        ]
        return Predictions(members[: self._num_objectives], members[self._num_objectives :])

    def _encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures, `n x d`; those of this fit and the one before only once."""
        assert self._space is not None
        fresh = []
        for architecture in dict.fromkeys(architectures):
            if architecture not in self._rows:
                if architecture in self._earlier_rows:
                    self._rows[architecture] = self._earlier_rows[architecture]
                else:
                    fresh.append(architecture)
        encoded = self._encoding.encode(self._space, fresh)
        self._rows.update((a, row.copy()) for a, row in zip(fresh, encoded, strict=True))
        return np.stack([self._rows[a] for a in architectures])
