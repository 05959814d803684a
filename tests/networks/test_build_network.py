from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
import torch
from torch import nn

from optuna_nas.networks import (
    CellNetwork,
    DARTSNetwork,
    NASBench101Network,
    NetworkOptions,
    _build,
    build_network,
    register_network,
)
from optuna_nas.spaces import (
    Architecture,
    CellSpace,
    DARTSSpace,
    FlatSpace,
    NASBench101Space,
    NASBench201Space,
    SearchSpace,
)

SPACES: list[SearchSpace] = [NASBench201Space(), NASBench101Space(), DARTSSpace()]


def any_of(space: SearchSpace, seed: int = 0) -> Architecture:
    return space.random(np.random.default_rng(seed))


def flat() -> Architecture:
    return any_of(FlatSpace({"x": optuna.distributions.FloatDistribution(0, 1)}))


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        (NASBench201Space(), CellNetwork),
        (CellSpace(3, ["none", "skip_connect"]), CellNetwork),
        (NASBench101Space(5, 6), NASBench101Network),
        (DARTSSpace(), DARTSNetwork),
    ],
)
def test_the_space_decides_the_network(space: SearchSpace, kind: type[nn.Module]) -> None:
    network = build_network(any_of(space), num_classes=3, channels=8, cells=3)
    assert type(network) is kind
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("name", ["num_classes", "in_channels", "channels", "cells"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3"])
def test_numbers_are_checked(space: SearchSpace, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` is .*; allowed is an integer"):
        build_network(any_of(space), **{"num_classes": 2, name: value})


def test_numpy_integers_are_integers() -> None:
    network = build_network(
        any_of(SPACES[0]),
        num_classes=np.int64(3),
        channels=2,
        cells=1,
    )
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize("space", SPACES[:2], ids=lambda space: space.name)
def test_no_auxiliary_head(space: SearchSpace) -> None:
    with pytest.raises(ValueError, match=r"`auxiliary` is True.*no auxiliary head.*DARTSSpace"):
        build_network(any_of(space), num_classes=2, auxiliary=True)


def test_a_space_without_network() -> None:
    with pytest.raises(TypeError, match=r"FlatSpace.*register_network"):
        build_network(flat(), num_classes=2)


def test_a_network_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_build, "_RECIPES", dict(_build._RECIPES))
    received: list[NetworkOptions] = []

    @register_network(FlatSpace, channels=7, cells=2, auxiliary=True)
    def _perceptron(architecture: Architecture, options: NetworkOptions) -> nn.Module:
        received.append(options)
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(options.num_classes))

    build_network(flat(), num_classes=3, auxiliary=True)
    build_network(flat(), num_classes=4, in_channels=1, channels=5, cells=6)
    assert received == [
        NetworkOptions(3, 3, 7, 2, True, None),
        NetworkOptions(4, 1, 5, 6, False, None),
    ]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_meta_device(space: SearchSpace) -> None:
    with torch.device("meta"):
        network = build_network(any_of(space), num_classes=10)
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert network.eval()(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_a_generator_decides_the_weights(space: SearchSpace) -> None:
    def weights(seed: int) -> torch.Tensor:
        network = build_network(
            any_of(space),
            num_classes=2,
            channels=8,
            cells=3,
            generator=torch.Generator().manual_seed(seed),
        )
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    state = torch.get_rng_state()
    first = weights(0)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(5)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_memory_formats_agree(space: SearchSpace) -> None:
    network = build_network(any_of(space, seed=4), num_classes=3, channels=8, cells=3)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.weight.is_contiguous(memory_format=torch.channels_last) for m in convolutions)
    images = torch.randn(4, 3, 16, 16)
    last = network(images.contiguous(memory_format=torch.channels_last))
    for module in convolutions:
        module.weight.data = module.weight.data.contiguous()
    torch.testing.assert_close(network(images), last, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_activations_stay_channels_last(space: SearchSpace) -> None:
    network = build_network(any_of(space, seed=4), num_classes=3, channels=8, cells=3)
    formats = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda m, args, out: formats.append(
                    out.is_contiguous(memory_format=torch.channels_last)
                )
            )
    network(torch.randn(4, 3, 16, 16))  # also from images that are not
    assert formats
    assert all(formats)


def test_networks_learn() -> None:
    # Which half of the image is bright: every network must fit it in a few steps.
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (32,), generator=generator)
    images = 0.3 * torch.randn(32, 1, 8, 8, generator=generator)
    images[labels == 0, :, :4] += 1.0
    images[labels == 1, :, 4:] += 1.0
    for space in SPACES:
        architecture = next(
            a for a in (any_of(space, seed) for seed in range(9)) if a.key not in ("none",)
        )
        network = build_network(
            architecture,
            num_classes=2,
            in_channels=1,
            channels=8,
            cells=3 if isinstance(space, DARTSSpace) else 1,
            generator=generator,
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(25):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(images), labels)
            torch.autograd.backward(loss)
            optimizer.step()
        assert float(loss.detach()) < 0.2, architecture
