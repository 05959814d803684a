"""The network and the supernet of a chain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optuna_nas.networks import InvertedResidual, build_network, count_macs, count_parameters
from optuna_nas.spaces import ChainSpace
from optuna_nas.supernets import build_supernet

SPACE = ChainSpace([(16, 1), (24, 2), (24, 1)], head=32)


@pytest.mark.parametrize("groups", [1, 2])
def test_parameters_of_a_block(groups: int) -> None:
    block = InvertedResidual(8, 12, 2, kernel_size=5, expansion=3, groups=groups, dilation=2)
    inside = 3 * 8
    expected = 8 * inside // groups + 25 * inside + inside * 12 // groups
    assert count_parameters(block) == expected + 2 * (inside + inside + 12)
    assert block(torch.randn(2, 8, 9, 8)).shape == (2, 12, 5, 4)
    with pytest.raises(ValueError, match="of 2 groups has 3 and 8 channels"):
        InvertedResidual(3, 8, 1, kernel_size=3, expansion=1, groups=2)


def test_the_input_is_added_where_the_shape_stays() -> None:
    block = InvertedResidual(4, 4, 1, kernel_size=3, expansion=1).eval()
    torch.nn.init.zeros_(block.layers[-1].weight)  # type: ignore[arg-type]
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(block(x), x)


def test_size_of_a_published_network() -> None:
    """FBNet's layers by hand: every block k3, expansion 1."""
    space = ChainSpace.fbnet()
    with torch.device("meta"):
        network = build_network(space.from_operations(["mbconv_k3_e1"] * 22), num_classes=1000)
    expected = 9 * 3 * 16 + 2 * 16
    for width, out, _ in space.layers:
        expected += width * width + 9 * width + width * out + 2 * (2 * width + out)
    expected += 352 * 1504 + 2 * 1504 + 1504 * 1000 + 1000
    assert count_parameters(network) == expected
    # Halved five times: the last layers see 7 x 7 pixels.
    assert count_macs(network, (3, 224, 224)) > 352 * 1504 * 49


def test_one_hot_weights_are_the_discrete_network() -> None:
    """With the supernet's own modules, which have batch norm without weights."""
    supernet = build_supernet(SPACE, num_classes=3, channels=8).double().eval()
    rng, x = np.random.default_rng(0), torch.randn(4, 3, 8, 8, dtype=torch.float64)
    for _ in range(5):
        architecture = SPACE.random(rng)
        weights = {k: w.double() for k, w in supernet.encode(architecture).items()}
        assert supernet.derive(weights) == architecture
        value = supernet.network.stem(x)  # type: ignore[operator, union-attr]
        for layer, name in zip(
            supernet.network.layers,  # type: ignore[union-attr, arg-type]
            SPACE.chosen(architecture),
            strict=True,
        ):
            value = layer.operations[SPACE.operations.index(name)](value)
        expected = supernet.network.head(value)  # type: ignore[operator, union-attr]
        torch.testing.assert_close(supernet(x, weights), expected)


def test_what_has_no_weight_is_not_computed() -> None:
    supernet = build_supernet(SPACE, num_classes=3, channels=8)
    architecture = SPACE.from_operations(["mbconv_k3_e1", "mbconv_k5_e3", "mbconv_k3_e6"])
    weights = supernet.encode(architecture)
    before = [b.clone() for b in supernet.buffers()]
    supernet.train()(torch.randn(4, 3, 8, 8), weights).sum().backward()
    moved = sum(not torch.equal(b, a) for b, a in zip(before, supernet.buffers(), strict=True))
    assert moved == 3 * (1 + 3 * 3 + 1)  # stem, blocks, head; a norm has three buffers
    for number, layer in enumerate(supernet.network.layers):  # type: ignore[union-attr, arg-type]
        for name, module in zip(SPACE.operations, layer.operations, strict=True):
            touched = any(p.grad is not None for p in module.parameters())
            assert touched == (name == SPACE.chosen(architecture)[number])


def test_all_operations_and_weights_for_each_image() -> None:
    supernet = build_supernet(SPACE, num_classes=3, channels=8).double().eval()
    weights = {"chain": torch.rand(3, 9, dtype=torch.float64)}
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    logits = supernet(x, weights)
    supernet.plain = False
    torch.testing.assert_close(supernet(x, weights), logits)
    supernet.plain = True
    same = {"chain": weights["chain"].expand(4, 3, 9)}
    torch.testing.assert_close(supernet(x, same), logits)


def test_places_add_up_to_the_network() -> None:
    supernet = build_supernet(SPACE, num_classes=3, channels=8)
    architecture = SPACE.from_operations(["mbconv_k3_e3"] * 3)
    with torch.device("meta"):
        network = build_network(architecture, num_classes=3, channels=8)
    found = sum(
        count_macs(place.build("mbconv_k3_e3"), place.shape)
        for place in supernet.places((3, 8, 8))
    )
    ends = 9 * 3 * 8 * 64 + 12 * 16 * 16 + 16 * 3
    assert found + ends == count_macs(network, (3, 8, 8))


@pytest.mark.parametrize("name", ["cells", "partial_channels"])
def test_wrong_sizes(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is 2, but ChainSpace says itself"):
        build_supernet(SPACE, num_classes=3, **{name: 2})  # type: ignore[arg-type]
