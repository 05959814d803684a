"""Search by a recurrent network that has learnt to search.

1. The first `n_startup_trials` are random.
2. The finished trials, the last `window` of them, are read in their order by the network
   (`_recurrent`), whose weights were trained on draws of Gaussian processes; trials that still
   run count as average, so that workers do not all try the same.
3. It writes where to look next, in about a millisecond. What was tried before is not tried again:
   a random point is, instead.

Reference: Y. Chen et al., "Learning to Learn without Gradient Descent by Gradient Descent", ICML
2017, arXiv:1611.03824.

*Departures*: see `_recurrent` and `optuna_nas.meta.observed_improvement`. Of parallel trials the
paper's network is told by a further input. It has a window, beyond which the paper stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState

from optuna_nas import _optuna
from optuna_nas._checks import checked_integer
from optuna_nas._ranking import direction_signs
from optuna_nas._threads import single_blas_thread
from optuna_nas.samplers._recurrent import SHAPES, nothing_yet, observe, propose
from optuna_nas.spaces.values import draw, from_unit, unit

if TYPE_CHECKING:
    from optuna.study import Study

Numeric = FloatDistribution | IntDistribution
Weights = Mapping[str, NDArray[np.float64]]

_WEIGHTS = Path(__file__).with_name("rnn_weights.npz")


class RNNSampler(BaseSampler):
    """Let a trained recurrent network propose numbers.

    It searches parameters that are floats or integers, log or not, and that all trials have; other
    parameters are drawn at random. It is for short searches: it was trained for 40 trials, in
    one to six dimensions.

    Args:
        n_startup_trials: The finished trials that are random.
        window: The finished trials that the network reads, the last ones.
        weights: A file of weights, as `benchmarks.rnn_sampler` writes it; None for those of the
            package.
        seed: Seed of the random points.

    Raises:
        ValueError: A number is out of range, or the file has no such weights.
    """

    def __init__(
        self,
        *,
        n_startup_trials: int = 3,
        window: int = 40,
        weights: str | Path | None = None,
        seed: int | None = None,
    ) -> None:
        self._n_startup_trials = checked_integer("n_startup_trials", n_startup_trials)
        self._window = checked_integer("window", window, 2)
        self._weights = _load(_WEIGHTS if weights is None else Path(weights))
        self._rng = np.random.default_rng(seed)

    def reseed_rng(self) -> None:
        """Draw other random points, in a process of parallel optimisation."""
        self._rng = np.random.default_rng()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the numeric parameters that all finished trials have."""
        found = intersection_search_space(study.get_trials(deepcopy=False))
        return {n: d for n, d in found.items() if isinstance(d, Numeric) and not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose numbers; nothing while the first trials are random.

        Raises:
            ValueError: The study has several objectives.
        """
        self._check(study)
        numeric = {n: d for n, d in sorted(search_space.items()) if isinstance(d, Numeric)}
        trials = [
            t
            for t in _optuna.trials_now(study)
            if t.number != trial.number and all(name in t.params for name in numeric)
        ]
        finished = [t for t in trials if t.state == TrialState.COMPLETE]
        if not search_space or len(finished) < self._n_startup_trials:
            return {}
        others = {n: draw(d, self._rng) for n, d in search_space.items() if n not in numeric}
        if not numeric:
            return others
        running = [t for t in trials if t.state == TrialState.RUNNING]
        [sign] = direction_signs(study.directions)
        with single_blas_thread():
            position = self._propose(numeric, finished, running, sign)
        found = {
            name: from_unit(float(p), d)
            for (name, d), p in zip(numeric.items(), position, strict=True)
        }
        if any(all(t.params[n] == v for n, v in found.items()) for t in trials):
            found = {name: draw(d, self._rng) for name, d in numeric.items()}
        return found | others

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw uniformly.

        Raises:
            ValueError: The study has several objectives.
        """
        self._check(study)
        return draw(param_distribution, self._rng)

    def _check(self, study: Study) -> None:
        if len(study.directions) > 1:
            raise ValueError(
                f"RNNSampler optimises one objective; the study {study.study_name!r} has "
                f"{len(study.directions)}."
            )

    def _propose(
        self,
        numeric: Mapping[str, Numeric],
        finished: Sequence[FrozenTrial],
        running: Sequence[FrozenTrial],
        sign: int,
    ) -> NDArray[np.float64]:
        """Where to look next, from 0 to 1 in each parameter."""
        values = _finite(sign * np.array([t.value for t in finished], dtype=float))
        chosen = _window(values, self._window)
        read = [finished[i] for i in chosen] + list(running)
        points = 2 * np.array([[unit(t.params[n], d) for n, d in numeric.items()] for t in read])
        points -= 1
        average = values[chosen].mean()
        heard = np.concatenate([values[chosen], np.full(len(running), average)])
        memory = nothing_yet(points[:1], np)
        for x, y in zip(points, heard, strict=True):
            memory = observe(self._weights, memory, x[None], y[None], np)
        proposed: NDArray[np.float64] = propose(self._weights, memory, np)[0]
        return (proposed + 1) / 2


def _window(values: NDArray[np.float64], size: int) -> NDArray[np.intp]:
    """The places of the last values, and in front of them of the best if it is older."""
    last = np.arange(max(len(values) - size, 0), len(values))
    best = int(values.argmin())
    return last if best >= last[0] else np.array([best, *last[1:]])


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values with the largest scaled to 1, so that squares are finite.

    What is not finite becomes as bad as the worst of the others.
    """
    known = values[np.isfinite(values)]
    worst = known.max() if known.size else 0.0
    largest = np.abs(known).max(initial=0.0) or 1.0
    return np.where(np.isfinite(values), values, worst) / largest


@cache
def _load(path: Path) -> Weights:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name].astype(float) for name in file.files}
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"`weights` is {str(path)!r}, which cannot be read: {error}") from error
    shapes = {name: array.shape for name, array in found.items()}
    if shapes != SHAPES or not all(np.isfinite(array).all() for array in found.values()):
        raise ValueError(
            f"`weights` is {str(path)!r} with the arrays {shapes}; allowed are finite ones of "
            f"{SHAPES}."
        )
    return found
