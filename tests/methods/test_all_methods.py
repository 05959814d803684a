"""Every method on every space that has a supernet: a new one is tested by being named."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from optuna_nas.data import ImageSplit
from optuna_nas.data.augmentation import Augmentation
from optuna_nas.methods import METHODS, Engine, Method
from optuna_nas.spaces import (
    CellSpace,
    ChainSpace,
    DARTSSpace,
    EdgeNESSpace,
    NASBench201Space,
    SearchSpace,
)
from optuna_nas.supernets import build_supernet
from tests.classifying import classifying

SPACES: dict[str, tuple[SearchSpace, int]] = {  # and the cells of a supernet
    "nasbench201": (NASBench201Space(), 1),
    "darts": (DARTSSpace(["none", "skip_connect", "sep_conv_3x3"]), 3),
    "edge-nes": (EdgeNESSpace(["skip_connect", "dil_conv_3x3", "avg_pool_3x3"], 3), 1),
    "cell": (CellSpace(3, ["skip_connect", "nor_conv_1x1", "none"]), 1),
    "chain": (ChainSpace([(16, 1), (24, 2), (24, 1)], head=0), 1),
}
SMALL: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 8,
    "architecture_learning_rate": 0.05,
    "warm_up_epochs": 0,
    "architecture_every": 1,
    "eigenvalue_every": 1,
    "tuning_epochs": 0,
    "samples": 2,
    "attack_steps": 2,
    "candidates": 6,
    "finalists": 2,
    "evaluations": 6,
}


def small(name: str, **options: Any) -> Method:
    method = METHODS[name]
    return method.with_options(
        **{option: v for option, v in (SMALL | options).items() if option in method.options}
    )


def images(count: int) -> ImageSplit:
    generator = torch.Generator().manual_seed(count)
    return ImageSplit(torch.randn(count, 2, 8, 8, generator=generator), torch.arange(count) % 3)


def engine(method: Method, space: str, seed: int = 0) -> Engine:
    found, cells = SPACES[space]
    generator = torch.Generator().manual_seed(seed)
    supernet = build_supernet(
        found,
        num_classes=3,
        in_channels=2,
        channels=4,
        cells=cells,
        partial_channels=method.execution.partial_channels,
        generator=generator,
    )
    return Engine(
        method,
        supernet,
        method.architecture(method, supernet, generator),
        images(24),
        images(9),
        task=classifying(Augmentation(flip=True, crop_padding=1, cutout=2)),
        generator=generator,
    )


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, torch.Tensor):
        assert torch.equal(ours, theirs)
    elif isinstance(theirs, Mapping):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert_same(ours[key], value)
    else:
        assert ours == theirs


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", METHODS)
def test_it_trains_resumes_and_derives(name: str, space: str) -> None:
    """An epoch, the second one from the state of the first, and the architecture in the end."""
    method = small(name)
    if space == "chain" and method.execution.partial_channels > 1:
        pytest.skip("All channels of a chain are computed.")
    whole, second = engine(method, space), engine(method, space, seed=1)
    assert np.isfinite(whole.train_epoch())
    second.load(copy.deepcopy(whole.state()))
    assert whole.train_epoch() == second.train_epoch()
    assert_same(second.state(), whole.state())

    architecture = method.selection(whole)
    assert architecture == method.selection(second)
    assert SPACES[space][0].architecture(architecture.params) == architecture
    assert len(whole.trajectory) == 3
    with np.load(io.BytesIO(whole.trajectory.npz())) as arrays:
        for kind, edges in whole.supernet.edges.items():
            assert arrays[kind].shape == (3, len(edges), len(whole.supernet.operations))
            assert np.isfinite(arrays[kind]).all()
    with torch.no_grad():
        for network in whole.networks():
            assert bool(network.eval()(images(6).images).isfinite().all())


@pytest.mark.parametrize("name", METHODS)
def test_only_what_is_learnt_moves(name: str) -> None:
    """Architectures move where the method has a step, and after the warm-up."""
    waiting = engine(small(name, warm_up_epochs=1), "nasbench201")
    before = [alpha.detach().clone() for alpha in waiting.alphas]
    waiting.train_epoch()
    assert all(torch.equal(a, b) for a, b in zip(waiting.alphas, before, strict=True))
    waiting.train_epoch()
    moved = [not torch.equal(a, b) for a, b in zip(waiting.alphas, before, strict=True)]
    assert all(moved) and bool(moved) == (METHODS[name].step is not None)


@pytest.mark.parametrize("name", METHODS)
def test_options(name: str) -> None:
    """Every option can be set to what it is, and says what it is."""
    method = METHODS[name]
    assert method.with_options(**method.values) == method
    for option in method.options.values():
        assert option.name.isidentifier() and option.help.endswith(".")
        assert option.default is None or type(option.default) is option.kind
    assert method.small.keys() <= method.options.keys()
    assert method.with_options(**method.small).values != method.values
    with pytest.raises(ValueError, match=rf"`foo` is no option of the method '{name}'; allowed"):
        method.with_options(foo=1)
    with pytest.raises(ValueError, match=r"^`epochs` is 0; allowed is an integer of 1 or more"):
        method.with_options(epochs=0)


def test_the_same_option_is_of_one_kind() -> None:
    kinds: dict[str, type] = {}
    for method in METHODS.values():
        for option in method.options.values():
            assert kinds.setdefault(option.name, option.kind) is option.kind


@pytest.mark.parametrize("name", METHODS)
def test_every_other_batch(name: str) -> None:
    """With `architecture_every=2` an epoch of three batches has two steps of the architecture."""
    method = small(name, architecture_every=2)
    if method.step is None:
        return
    search = engine(method, "cell")
    search.train_epoch()
    steps = search.state()["architecture_optimizer"]["state"][0]["step"]
    assert int(steps) == 2
