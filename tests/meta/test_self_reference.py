"""A network that reads and writes its own weights: addresses, one change, one short training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from optuna_nas.meta.self_reference import SelfReferentialNetwork, numbers


def network(seed: int = 0, **options: Any) -> SelfReferentialNetwork:
    generator = torch.Generator().manual_seed(seed)
    return SelfReferentialNetwork(
        **{"inputs": 2, "outputs": 1, "hidden": 3} | options, generator=generator
    )


@pytest.mark.parametrize("sizes", [(1, 1, 0), (2, 1, 3), (10, 4, 20)])
def test_every_weight_has_an_address_of_its_own(sizes: tuple[int, int, int]) -> None:
    whole, units, bits = numbers(*sizes)
    connections = (whole + units) * units
    assert 2**bits >= connections
    assert whole == sizes[0] + sizes[1] + 1 and units == sizes[1] + sizes[2] + 2 * bits + 1
    made = network(inputs=sizes[0], outputs=sizes[1], hidden=sizes[2])
    assert made.weights.numel() == connections
    rows = made.addresses.view(-1, bits).tolist()
    assert len(set(map(tuple, rows))) == connections


def test_a_write_changes_one_weight_and_a_read_returns_it() -> None:
    made = network()
    weights = made.weights.detach()
    for row, column in ((0, 0), (3, 7), (made.units - 1, made.whole + made.units - 1)):
        address = made.addresses[row, column]
        assert made.read(weights, address) == weights[row, column]
        changed = made.write(weights, address, 0.25)
        differs = changed != weights
        assert int(differs.sum()) == 1 and bool(differs[row, column])
        assert changed[row, column] == weights[row, column] + 0.25
        assert made.read(changed, address) == changed[row, column]


def test_addresses_are_soft_between() -> None:
    made = network()
    address = made.addresses[2, 3].clone()
    address[0] = 0.4
    address.requires_grad_()
    made.read(made.weights, address).backward()  # type: ignore[no-untyped-call]
    assert address.grad is not None and float(address.grad[0].abs()) > 0
    closeness = made.closeness(address.detach())
    assert 0 < float(closeness.max()) < 1
    assert 1 <= int((closeness > 0).sum()) <= 2


def episode(seed: int) -> tuple[Tensor, Tensor]:
    """A function that is another one in each episode: the sign of an input, or its opposite."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 2, (12, 2), generator=generator) * 2.0 - 1
    return x, 0.8 * x[:, :1] * (1 - 2 * (seed % 2))


def test_gradients_go_through_reading_and_writing() -> None:
    made = network().double()
    x, targets = (t.double() for t in episode(0))

    def loss() -> Tensor:
        off: Tensor = made(x, targets)
        return off.square().sum() / 2

    [gradient] = torch.autograd.grad(loss(), [made.weights])
    with torch.no_grad():
        for place in ((0, 1), (made.units - 1, 4), (made.units - 2, 0)):
            values = []
            for sign in (1, -1):
                made.weights[place] += sign * 1e-5
                values.append(float(loss()))
                made.weights[place] -= sign * 1e-5
            expected = (values[0] - values[1]) / 2e-5
            assert float(gradient[place]) == pytest.approx(expected, rel=1e-3, abs=1e-8)


def test_it_learns_its_small_task() -> None:
    """Better than any constant, on episodes that it has not seen."""
    made = network(hidden=4)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.02)

    def loss(seed: int) -> Tensor:
        off: Tensor = made(*episode(seed))
        return off.square().mean()

    for step in range(150):
        optimizer.zero_grad()
        torch.stack([loss(2 * step), loss(2 * step + 1)]).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        unseen = torch.stack([loss(seed) for seed in range(1000, 1020)]).mean()
    assert float(unseen) < 0.8 * 0.64  # which is the mean square of the targets


def test_wrong_arguments() -> None:
    for name in ("inputs", "outputs"):
        with pytest.raises(ValueError, match=rf"^`{name}` is 0; allowed is an integer of 1"):
            network(**{name: 0})
    with pytest.raises(ValueError, match=r"^`radius` is 0.0; allowed are positive"):
        network(radius=0.0)
    with pytest.raises(ValueError, match=r"shapes \(3, 1\) and \(3, 1\); allowed are \(T, 2\)"):
        network()(torch.zeros(3, 1), torch.zeros(3, 1))
