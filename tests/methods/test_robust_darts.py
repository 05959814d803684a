"""The dominant eigenvalue of a search, and what is done when it grows."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from optuna_nas.methods.bilevel import constant
from optuna_nas.methods.curvature import dominant_eigenvalue, hessian_product
from optuna_nas.methods.robust_darts import RECORD, AdaptiveDecay, SharpLoss, eigenvalue
from optuna_nas.supernets import frozen_statistics
from tests.methods.test_all_methods import engine, small


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def symmetric(size: int, seed: int) -> torch.Tensor:
    matrix = torch.randn(size, size, generator=generator(seed), dtype=torch.float64)
    return matrix + matrix.T


@pytest.mark.parametrize("size", [1, 2, 7, 20])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_largest_eigenvalue_not_the_largest_in_size(size: int, sign: float) -> None:
    matrix = symmetric(size, size) + sign * 5 * torch.eye(size, dtype=torch.float64)
    found = dominant_eigenvalue(lambda v: matrix @ v, size, steps=99, generator=generator())
    assert found == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]), rel=1e-9)


def test_few_steps_suffice_where_it_stands_apart() -> None:
    matrix = symmetric(40, 1)
    matrix += 100 * torch.ones(40, 40, dtype=torch.float64) / 40
    found = dominant_eigenvalue(lambda v: matrix @ v, 40, steps=8, generator=generator())
    assert found == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]), rel=1e-6)


@pytest.mark.parametrize("factor", [0.0, 3.0])
def test_all_eigenvalues_equal(factor: float) -> None:
    found = dominant_eigenvalue(lambda v: factor * v, 5, steps=5, generator=generator())
    assert found == pytest.approx(factor)


def test_of_a_supernet_it_is_that_of_the_whole_hessian() -> None:
    """Which is built column by column, from differences of gradients."""
    search = engine(small("robust_darts"), "cell")
    search.train_epoch()
    search.supernet.double()
    [logits] = search.alphas
    logits.data = 50 * logits.data.double()
    images, labels = search.draw_held_out()
    batch = images.double(), labels
    with frozen_statistics(search.supernet), constant(search.weights):
        product = hessian_product(search.loss(batch, search.sample(0)), search.alphas)
        found = dominant_eigenvalue(product, 9, steps=9, generator=generator())
        columns = []
        for place in range(9):
            ends = []
            for shift in (1e-5, -1e-5):
                logits.data.view(-1)[place] += shift
                loss = search.loss(batch, search.sample(0))
                ends.append(torch.autograd.grad(loss, [logits])[0].flatten())
                logits.data.view(-1)[place] -= shift
            columns.append((ends[0] - ends[1]) / 2e-5)
    hessian = torch.stack(columns)
    torch.testing.assert_close(hessian, hessian.T, rtol=1e-4, atol=1e-8)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-4)
    assert found > 0


def test_the_weight_decay_is_on_the_diagonal() -> None:
    first, second = (
        engine(small("robust_darts", architecture_weight_decay=decay), "cell")
        for decay in (0.0, 0.5)
    )
    assert eigenvalue(second) == pytest.approx(eigenvalue(first) + 0.5, rel=1e-6)


def series(*values: float, every: int = 2) -> dict[int, float]:
    return {every * (i + 1): value for i, value in enumerate(values)}


class TestStopping:
    """With records at epochs 2, 4, ...: a window's middle is 4 epochs before its last record."""

    def test_a_flat_series_never_stops(self) -> None:
        rule = SharpLoss()
        assert all(rule.back(series(*[1.0] * n)) is None for n in range(1, 30))

    def test_growth_by_a_tenth_with_each_record(self) -> None:
        """Averages grow by 1.1⁴ = 1.46 in four records: it stops as soon as it may go back."""
        values = [1.1**i for i in range(30)]
        stops = [n for n in range(1, 30) if SharpLoss().back(series(*values[:n])) is not None]
        assert stops[0] == 11  # epoch 22: the middle of the earlier window is 22 - 4 - 8 = 10
        assert SharpLoss().back(series(*values[:11])) == 10

    def test_a_rise_after_a_flat_part(self) -> None:
        """Records 1, ..., 1, 2, 2, ...: the average of five is 1.4 with the second 2."""
        values = [1.0] * 14 + [2.0] * 6
        found = {n: SharpLoss().back(series(*values[:n])) for n in range(1, 21)}
        assert next(n for n, back in found.items() if back is not None) == 16
        assert found[16] == 32 - 12

    def test_slow_growth_is_allowed(self) -> None:
        values = [1.06**i for i in range(30)]  # 1.06⁴ = 1.26
        assert SharpLoss().back(series(*values)) is None
        assert SharpLoss(stop_factor=1.25).back(series(*values)) is not None

    def test_the_first_averages_are_of_three_and_four(self) -> None:
        rule = SharpLoss(eigenvalue_every=1, earliest=0)
        assert rule.back(series(1, 1, 1, 2, 2, 2, every=1)) is None  # no average to compare with
        assert rule.back(series(1, 1, 1, 2, 2, 2, 2, every=1)) == 1  # 1 and 9/5

    def test_what_is_not_positive_is_not_compared(self) -> None:
        assert SharpLoss(earliest=0).back(series(-1, -1, -1, *[5.0] * 4)) is None


def test_a_search_stops_and_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([1.0] * 3 + [2.0] * 9)
    monkeypatch.setattr("optuna_nas.methods.robust_darts.eigenvalue", lambda search: next(values))
    method = small("robust_darts", epochs=20, eigenvalue_every=1, earliest=0)
    search = engine(method, "cell")
    while search.kept_epochs is None:
        search.train_epoch()
    assert (search.epochs, search.kept_epochs) == (7, 1)
    assert search.records == {RECORD: {i + 1: 1.0 if i < 3 else 2.0 for i in range(7)}}
    assert method.selection(search) == search.supernet.derive(search.trajectory[1])


def test_the_adaptive_variant_goes_back_and_decays_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, architecture and momentum are those of the epoch; twice, and then it stops."""
    grows = iter(([1.0] * 3 + [2.0] * 4) * 3)
    monkeypatch.setattr("optuna_nas.methods.robust_darts.eigenvalue", lambda search: next(grows))
    options = {"eigenvalue_every": 1, "earliest": 0, "weight_decay": 0.002}
    method = small("robust_darts_adaptive", epochs=99, **options)
    assert isinstance(method.stopping, AdaptiveDecay)
    search = engine(method, "cell")
    decays, states = [], {}
    while search.kept_epochs is None:
        search.train_epoch()
        [group] = search.weight_optimizer.param_groups
        decays.append(group["weight_decay"])
        states[search.epochs] = copy.deepcopy(search.state())
    assert decays == pytest.approx([0.002] * 6 + [0.006] * 7 + [0.018] * 8)
    assert search.kept_epochs == 15  # 0.054 would be too much
    assert search.epochs == 21 and len(search.trajectory) == 22
    for kind in ("supernet", "architecture"):
        for name, value in states[1][kind].items():
            assert torch.equal(states[7][kind][name], value)
            assert torch.equal(states[14][kind][name], states[8][kind][name])
    assert len(states[6]["snapshots"]) == 6 and not states[7]["snapshots"]


def test_the_adaptive_variant_resumes_with_its_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    def growing(search: object) -> float:
        return float(2**search.epochs)  # type: ignore[attr-defined]

    monkeypatch.setattr("optuna_nas.methods.robust_darts.eigenvalue", growing)
    options = {"eigenvalue_every": 1, "earliest": 0}
    method = small("robust_darts_adaptive", epochs=12, **options)
    whole, second = engine(method, "cell"), engine(method, "cell", seed=1)
    for _ in range(5):
        whole.train_epoch()
    second.load(copy.deepcopy(whole.state()))
    for _ in range(3):
        assert whole.train_epoch() == second.train_epoch()
    assert whole.memory == second.memory == {"restarted": 7}


def test_wrong_options() -> None:
    method = small("robust_darts")
    with pytest.raises(ValueError, match=r"^`eigenvalue_every` is 0; allowed is an integer of 1"):
        method.with_options(eigenvalue_every=0)
    with pytest.raises(ValueError, match=r"^`stop_factor` is 0.0; allowed are positive numbers"):
        replace(method, stopping=SharpLoss(stop_factor=0.0))
