"""The default encoding: which one it chooses, and the error by which it chooses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from zlib import crc32

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from optuna_nas.samplers import BananasSampler
from optuna_nas.spaces import (
    Architecture,
    DARTSSpace,
    FlatSpace,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.surrogates import AdaptiveEncoding, Encoding, MLPEnsemble
from optuna_nas.surrogates.adaptive import _STRENGTHS, leave_one_out_error
from optuna_nas.surrogates.surrogate import Surrogate

S201 = NASBench201Space()
FLAT = FlatSpace({"kind": CategoricalDistribution(("a", "b", "c")), "x": FloatDistribution(0, 1)})


def by_position(rng: np.random.Generator) -> Callable[[Architecture], float]:
    """An error to which each operation adds another amount on each edge."""
    costs = {(name, o): rng.random() for name in S201.distributions for o in S201.operations}
    return lambda cell: sum(costs[name, value] for name, value in cell.params.items())


def by_structure(cell: Architecture) -> float:
    """An error that depends on the operations that are used, wherever they stand, and on luck."""
    used = list(S201.simplify(cell).params.values())
    luck = crc32(cell.key.encode()) / 2**32
    return 5 - used.count("nor_conv_3x3") - 0.5 * used.count("nor_conv_1x1") + luck


def rows(space: SearchSpace, cells: list[Architecture], encoding: Encoding) -> np.ndarray:
    return encoding.encode(space, cells)


def choices(error: Callable[[Architecture], float], number: int) -> list[bool]:
    """For ten samples, whether the positions were chosen."""
    encoding = AdaptiveEncoding()
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        cells = [S201.random(rng) for _ in range(number)]
        targets = np.array([error(cell) for cell in cells])
        chosen = encoding.chosen(S201, targets, partial(rows, S201, cells))
        found.append(chosen is encoding.positions)
    return found


def test_positions_are_chosen_where_they_decide(rng: np.random.Generator) -> None:
    assert all(choices(by_position(rng), 60))


@pytest.mark.parametrize("number", [10, 60, 300])
def test_structure_is_chosen_where_it_decides(number: int) -> None:
    assert not any(choices(by_structure, number))


def test_constant_targets_leave_the_structure() -> None:
    assert not any(choices(lambda _: 1.0, 12))


def test_the_error_is_that_of_leaving_one_out(rng: np.random.Generator) -> None:
    features = rng.normal(size=(30, 12)) + 5
    targets = 3 * features[:, 0] + features[:, 1] + rng.normal(size=30)
    centred = features - features.mean(axis=0)
    unit = np.linalg.eigvalsh(centred @ centred.T).mean()
    standardised = (targets - targets.mean()) / targets.std()
    errors = []
    for strength in _STRENGTHS * unit:
        held_out = cross_val_predict(Ridge(strength), features, standardised, cv=LeaveOneOut())
        errors.append(np.mean((held_out - standardised) ** 2))
    assert leave_one_out_error(features, targets) == pytest.approx(min(errors), rel=1e-6)
    assert min(errors) < 0.2


def test_without_operations_there_is_nothing_to_choose(rng: np.random.Generator) -> None:
    encoding = AdaptiveEncoding()
    settings = [FLAT.random(rng) for _ in range(20)]
    targets = np.array([setting["x"] for setting in settings])
    assert encoding.chosen(FLAT, targets, partial(rows, FLAT, settings)) is encoding.positions
    assert encoding.dimension(FLAT) == 4
    assert encoding.encode(FLAT, settings).shape == (20, 4)


@pytest.mark.parametrize("space", [NASBench101Space(), S201, DARTSSpace()])
def test_as_an_encoding_it_has_the_columns_of_both(
    space: SearchSpace, rng: np.random.Generator
) -> None:
    encoding = AdaptiveEncoding()
    cells = [space.random(rng) for _ in range(3)]
    both = [encoding.structure.encode(space, cells), encoding.positions.encode(space, cells)]
    assert np.array_equal(encoding.encode(space, cells), np.hstack(both))
    assert encoding.dimension(space) == sum(columns.shape[1] for columns in both)
    parts = encoding.parts(space)
    assert np.array_equal(encoding.encode(space, cells)[:, parts["positions"]], both[1])


def test_each_target_has_the_encoding_that_explains_it(rng: np.random.Generator) -> None:
    """The predictor is prepared for the encoding from which it learns, and predicts from it."""

    class Spy(MLPEnsemble):
        columns = 0

        def predict(self, features: np.ndarray) -> np.ndarray:
            self.columns = features.shape[1]
            return super().predict(features)

    encoding = AdaptiveEncoding()
    cells = [S201.random(rng) for _ in range(80)]
    errors = by_position(rng), by_structure
    widths = {errors[0]: encoding.positions, errors[1]: encoding.structure}
    surrogate = Surrogate(Spy(), encoding)
    surrogate.prepare(S201)
    for objective, constraint in (errors, errors[::-1]):
        both = [
            [(cells[:60], np.array([error(cell) for cell in cells[:60]]))]
            for error in (objective, constraint)
        ]
        surrogate.fit(both[0], both[1], [0])
        predicted = surrogate.predict(cells[60:])
        for error, members, predictor in zip(
            (objective, constraint),
            (*predicted.objectives, *predicted.constraints),
            surrogate._predictors,
            strict=True,
        ):
            assert isinstance(predictor, Spy)
            assert predictor.columns == widths[error].dimension(S201)
            seen = np.corrcoef(members.mean(axis=0), [error(cell) for cell in cells[60:]])[0, 1]
            assert seen > 0.7
    surrogate.fit(both[0] * 2, [], [0])
    surrogate.predict(cells[60:])
    columns = [
        predictor.columns for predictor in surrogate._predictors if isinstance(predictor, Spy)
    ]
    assert columns == [encoding.positions.dimension(S201)] * 2


def test_it_is_the_default() -> None:
    assert isinstance(BananasSampler()._encoding, AdaptiveEncoding)
    assert isinstance(BananasSampler(predictor="gp")._encoding, AdaptiveEncoding)
