"""Agreement of a GPU with the CPU; skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from optuna_nas.methods import METHODS, Engine
from optuna_nas.spaces import DARTSSpace, NASBench201Space, SearchSpace
from optuna_nas.supernets import build_supernet
from tests.methods.test_all_methods import engine, images, small
from tests.supernets.plain_supernet import evenly

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


@pytest.mark.parametrize("space", [NASBench201Space(), DARTSSpace()])
@pytest.mark.parametrize("plain", [False, True])
def test_logits_and_gradients(space: SearchSpace, plain: bool) -> None:
    """In double precision, where the order of sums hardly counts."""
    cells = 1 if isinstance(space, NASBench201Space) else 3
    found = []
    for device in ("cpu", "cuda"):
        supernet = build_supernet(
            space,
            num_classes=3,
            channels=4,
            cells=cells,
            generator=torch.Generator().manual_seed(0),
        )
        supernet = supernet.double().to(device)
        supernet.plain = plain
        torch.manual_seed(0)
        weights = {
            kind: w.detach().to(device).requires_grad_()
            for kind, w in evenly(supernet, dtype=torch.float64).items()
        }
        x = torch.randn(
            4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
        )
        logits = supernet(x.to(device), weights)
        gradients = torch.autograd.grad(logits.square().sum(), list(weights.values()))
        found.append([tensor.detach().cpu() for tensor in (logits, *gradients)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def on_gpu(name: str, **options: object) -> Engine:
    search = engine(small(name, **options), "nasbench201")
    return Engine(
        search.method,
        search.supernet.to("cuda"),
        search.architecture.to("cuda"),
        images(24).to("cuda"),
        images(9).to("cuda"),
        task=search.task,
        generator=search.generator,
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_and_derives(name: str) -> None:
    """The first epoch's loss is that on the CPU, but for the rounding of some steps."""
    search = on_gpu(name)
    found = search.train_epoch()
    assert found == pytest.approx(engine(small(name), "nasbench201").train_epoch(), rel=0.05)
    assert search.method.selection(search).space == NASBench201Space()


@pytest.mark.parametrize("name", ["darts", "gdas"])
def test_half_precision(name: str) -> None:
    found = on_gpu(name, precision="bfloat16").train_epoch()
    assert found == pytest.approx(on_gpu(name).train_epoch(), rel=0.1)


def test_it_repeats_itself_to_the_bit_if_told() -> None:
    searches = [on_gpu("darts", deterministic=True) for _ in range(2)]
    assert searches[0].train_epoch() == searches[1].train_epoch()
