"""The surrogate: a predictor for each objective and for each constraint, all of one kind."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import numpy as np

from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.surrogates.encodings import Encoding
from optuna_nas.surrogates.predictors import Predictor
from optuna_nas.surrogates.scorer import Predictions

Data = tuple[Sequence[Architecture], np.ndarray]
"""Architectures and a target for each."""

Rows = dict[Encoding, dict[Architecture, np.ndarray]]
"""For each encoding the rows of the architectures that were encoded."""


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
        self._chosen: list[Encoding] = []
        self._rows: Rows = {}
        self._earlier_rows: Rows = {}

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
        self._chosen = [self._encoding]
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
        assert self._space is not None
        self._earlier_rows, self._rows = self._rows, {}
        self._known = [len(targets) > 0 for _, targets in (*objectives, *constraints)]
        self._num_objectives = len(objectives)
        while len(self._predictors) < len(self._known):
            self._predictors.append(copy.deepcopy(self._predictors[0]))
            self._chosen.append(self._chosen[0])
        for place, (architectures, targets) in enumerate((*objectives, *constraints)):
            if self._known[place]:
                predictor = self._predictors[place]
                encoding = self._encoding.chosen(
                    self._space,
                    targets,
                    partial(self._encode, architectures),
                    detailed=len(objectives) > 1,
                )
                if encoding is not self._chosen[place]:
                    predictor.prepare(self._space, encoding)
                    self._chosen[place] = encoding
                rng = np.random.default_rng([*seed, place])
                predictor.fit(self._encode(architectures, encoding), targets, rng)

    def predict(self, architectures: Sequence[Architecture]) -> Predictions:
        """Predict all targets of architectures."""
        members = [
            predictor.predict(self._encode(architectures, encoding))
            if known
            else np.zeros((1, len(architectures)))
            for predictor, encoding, known in zip(
                self._predictors, self._chosen, self._known, strict=False
            )
        ]
        return Predictions(members[: self._num_objectives], members[self._num_objectives :])

    def _encode(self, architectures: Sequence[Architecture], encoding: Encoding) -> np.ndarray:
        """Encode architectures, `n x d`; those of this fit and the one before only once."""
        assert self._space is not None
        rows = self._rows.setdefault(encoding, {})
        earlier = self._earlier_rows.get(encoding, {})
        fresh = []
        for architecture in dict.fromkeys(architectures):
            if architecture not in rows:
                if architecture in earlier:
                    rows[architecture] = earlier[architecture]
                else:
                    fresh.append(architecture)
        encoded = encoding.encode(self._space, fresh)
        rows.update((a, row.copy()) for a, row in zip(fresh, encoded, strict=True))
        return np.stack([rows[a] for a in architectures])
