"""Predictions of values, with intervals that are measured on what was left out.

1. The values are put on the scale of their normal scores (see `normal_scores`).
2. A Gaussian process learns them from the encoded architectures, and its noise with them: what
   trainings of equal architectures differ by, and what the encoding does not tell.
3. Ten times a tenth is left out and predicted by the rest. By how much intervals have to be
   stretched to hold 90 % of what was left out is measured there, and so are the rank correlation
   of the predictions, and the coverage of the intervals, each tenth stretched as the other nine
   ask for.

Reference: V. Vovk, A. Gammerman, G. Shafer, *Algorithmic Learning in a Random World*, 2005 (the
quantile of the left-out errors); C. E. Rasmussen, C. K. I. Williams, *Gaussian Processes for
Machine Learning*, 2006.

*Departures*: the scale of scores is that of all values, also of those that are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optuna_nas._threads import single_blas_thread
from optuna_nas.surrogates.adaptive import AdaptiveEncoding
from optuna_nas.surrogates.normal_scores import NormalScores
from optuna_nas.surrogates.predictors import GaussianProcess
from optuna_nas.surrogates.validation import rank_correlation

if TYPE_CHECKING:
    from optuna_nas.spaces import Architecture
    from optuna_nas.surrogates.encodings import Encoding

_FOLDS = 10
_LEVEL = 0.9
_REACH = NormalDist().inv_cdf((1 + _LEVEL) / 2)
"""The half width of the central 90 % of a normal distribution."""
_ROWS = 1000
"""So many architectures are predicted at once."""


@dataclass(frozen=True)
class SurrogateQuality:
    """What predictions are worth, measured on trainings that were left out.

    Attributes:
        trainings: From how many trainings they are learnt.
        rank_correlation: Spearman's, of predictions and values.
        coverage: The share of values that their 90 % intervals hold.
        stretch: What intervals are stretched by.
    """

    trainings: int
    rank_correlation: float
    coverage: float
    stretch: float


@dataclass(frozen=True)
class Prediction:
    """What is predicted of one architecture.

    Attributes:
        score: The mean of its normal score.
        spread: The standard deviation of that, without the noise of a training.
        unlike: Whether less is known of it than of any training when that is left out.
    """

    score: float
    spread: float
    unlike: bool


class CalibratedPredictor:
    """Learns values of architectures once, and predicts others.

    Args:
        architectures: `n` of one space, at least as many as there are folds.
        values: Their values, finite and not all equal.
        rng: Draws the folds, and is the source of randomness of the fits.

    Attributes:
        quality: What the predictions are worth.
    """

    def __init__(
        self,
        architectures: Sequence[Architecture],
        values: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        self._space = architectures[0].space
        self._scale = NormalScores(values)
        self._known: dict[Architecture, Prediction] = {}
        scores = self._scale.score(values)

        def encoded(encoding: Encoding) -> np.ndarray:
            return encoding.encode(self._space, architectures)

        with single_blas_thread():
            self._encoding = AdaptiveEncoding().chosen(self._space, scores, encoded)
            features = encoded(self._encoding)
            folds = np.array_split(rng.permutation(len(scores)), _FOLDS)
            mean, spread, noise = (np.empty(len(scores)) for _ in range(3))
            for fold in folds:
                others = np.setdiff1d(np.arange(len(scores)), fold)
                process = self._fitted(features[others], scores[others], rng)
                mean[fold], spread[fold] = process.posterior(features[fold])
                noise[fold] = process.noise
            self._process = self._fitted(features, scores, rng)
        away = np.abs(scores - mean) / np.hypot(spread, noise)
        held = [away[fold] <= _REACH * _stretch(np.delete(away, fold)) for fold in folds]
        self._most_unsure = float(spread.max())
        self.quality = SurrogateQuality(
            trainings=len(scores),
            rank_correlation=rank_correlation(mean, scores),
            coverage=float(np.concatenate(held).mean()),
            stretch=_stretch(away),
        )

    @property
    def noise(self) -> float:
        """The standard deviation of a training's score around its mean."""
        return self.quality.stretch * self._process.noise

    def predict(self, architectures: Sequence[Architecture]) -> list[Prediction]:
        """Predict `n` architectures; what was predicted once is kept."""
        fresh = [a for a in dict.fromkeys(architectures) if a not in self._known]
        for start in range(0, len(fresh), _ROWS):
            part = fresh[start : start + _ROWS]
            with single_blas_thread():
                found = self._process.posterior(self._encoding.encode(self._space, part))
            for architecture, score, spread in zip(part, *found, strict=True):
                unlike = bool(spread > self._most_unsure)
                self._known[architecture] = Prediction(float(score), float(spread), unlike)
        return [self._known[architecture] for architecture in architectures]

    def values(self, scores: Sequence[float]) -> NDArray[np.float64]:
        """The values at `n` scores."""
        return self._scale.value(np.array(scores))

    def interval(self, predicted: Prediction) -> tuple[float, float]:
        """What a training's value lies between in nine of ten cases."""
        reach = self.quality.stretch * math.hypot(predicted.spread, self._process.noise) * _REACH
        low, high = self.values([predicted.score - reach, predicted.score + reach])
        return float(low), float(high)

    def _fitted(
        self, features: np.ndarray, scores: np.ndarray, rng: np.random.Generator
    ) -> GaussianProcess:
        process = GaussianProcess(encoding=self._encoding)
        process.prepare(self._space, self._encoding)
        process.fit(features, scores, rng)
        return process


def _stretch(away: np.ndarray) -> float:
    """What intervals are multiplied by, so that they hold 90 % of what is as far away."""
    level = min(1.0, math.ceil((len(away) + 1) * _LEVEL) / len(away))
    return float(np.quantile(away, level, method="higher")) / _REACH
