"""The interface of a predictor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from optuna_nas.surrogates.adaptive import AdaptiveEncoding

if TYPE_CHECKING:
    import numpy as np

    from optuna_nas.spaces import SearchSpace
    from optuna_nas.surrogates.encodings import Encoding


class Predictor(ABC):
    """Learns errors from encoded architectures and predicts them with their uncertainty."""

    encoding: Encoding = AdaptiveEncoding()
    """What it learns from, unless the user chooses another encoding."""

    def prepare(self, space: SearchSpace, encoding: Encoding) -> None:  # noqa: B027 (optional)
        """Learn what the columns of the features mean.

        Called before :meth:`fit` whenever the space or the encoding is another one than before.

        Args:
            space: The space the architectures come from.
            encoding: How they are encoded.

        Raises:
            ValueError: The predictor cannot work with them.
        """

    @abstractmethod
    def fit(self, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        """Forget earlier fits and learn.

        Args:
            features: The encoded architectures, `n x d`.
            targets: Their errors, `n`, lower is better.
            rng: The source of all randomness of the fit.
        """

    @abstractmethod
    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict errors.

        Args:
            features: The encoded architectures, `m x d`.

        Returns:
            The prediction of each of `e` members, or samples of the posterior, `e x m`, in the
            unit of the targets.
        """
