"""Benchmarks of made-up numbers for several objectives and for constraints."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import optuna
from optuna._hypervolume import compute_hypervolume

from optuna_nas.spaces import Architecture, NASBench201Space
from optuna_nas.surrogates.pareto import front_of, reference_point

SPACE = NASBench201Space()
_COSTS = {"none": 0.0, "skip_connect": 0.02, "avg_pool_3x3": 0.1, "nor_conv_1x1": 0.3}


def error(architecture: Architecture) -> float:
    """Costly operations are good where they matter, each edge with its own weight."""
    gains = (
        (i + 1) * _COSTS.get(operation, 1.0) ** 0.5 * (0.7 + 0.6 * chance(operation, i))
        for i, operation in enumerate(SPACE.simplify(architecture).params.values())
    )
    return float(20 - sum(gains))


def cost(architecture: Architecture) -> float:
    """The sum of the operations' costs, whether they matter or not."""
    return sum(_COSTS.get(operation, 1.0) for operation in architecture.params.values())


def delay(architecture: Architecture) -> float:
    """Pooling is slow and skipping is not free."""
    slow = {"avg_pool_3x3": 1.0, "nor_conv_3x3": 0.5, "nor_conv_1x1": 0.4, "skip_connect": 0.2}
    return sum(slow.get(operation, 0.0) for operation in architecture.params.values())


def chance(operation: str, edge: int) -> float:
    """A fixed number from 0 to 1."""
    return crc32(f"{operation}{edge}".encode()) / 2**32


OBJECTIVES = (error, cost, delay)


def losses(study: optuna.Study) -> np.ndarray:
    """The values of all complete trials, lower is better."""
    signs = [-1 if d == optuna.study.StudyDirection.MAXIMIZE else 1 for d in study.directions]
    done = [t.values for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    return np.array(done) * signs


def hypervolume(values: np.ndarray, k: int) -> float:
    """The hypervolume of the first `k` objectives, as a share of the best possible one."""
    best = _front(k)
    reference = reference_point(best)
    inside = values[(values <= reference).all(axis=1)]
    return compute_hypervolume(inside, reference) / compute_hypervolume(best, reference)


_FRONTS: dict[int, np.ndarray] = {}


def _front(k: int) -> np.ndarray:
    if k not in _FRONTS:
        values = np.array([[o(a) for o in OBJECTIVES[:k]] for a in everything()])
        kept = np.empty((0, k))
        for part in np.array_split(values, 32):  # all pairs at once take too much memory
            kept = front_of(np.concatenate([kept, part]))
        _FRONTS[k] = kept
    return _FRONTS[k]


def everything() -> Sequence[Architecture]:
    """All cells of the space."""
    names, operations = list(SPACE.distributions), SPACE.operations
    grid = np.stack(np.meshgrid(*[np.arange(5)] * 6, indexing="ij"), axis=-1).reshape(-1, 6)
    return [
        Architecture(SPACE, {n: operations[i] for n, i in zip(names, row, strict=True)})
        for row in grid
    ]
