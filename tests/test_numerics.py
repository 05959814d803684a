"""The precision of trainings."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from optuna_nas._numerics import autocast, numerics
from optuna_nas.objectives.options import TrainingOptions
from optuna_nas.objectives.training import Trainer
from optuna_nas.spaces import NASBench201Space
from optuna_nas.supernets import build_supernet
from tests.methods.test_all_methods import engine, images, small
from tests.supernets.plain_supernet import evenly

CPU = torch.device("cpu")


def flags() -> tuple[bool, ...]:
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize(("precision", "tf32"), [("float32", False), ("tf32", True)])
def test_flags_are_set_and_put_back_even_after_an_error(precision: str, tf32: bool) -> None:
    before = flags()
    with (
        pytest.raises(RuntimeError, match="broken"),
        numerics(precision, deterministic=True),
    ):
        assert flags() == (tf32, tf32, True, False, True)
        raise RuntimeError("broken")
    assert flags() == before
    with numerics(precision, deterministic=False):
        assert flags() == (tf32, tf32, *before[2:])


@pytest.mark.parametrize(
    ("precision", "kind"),
    [
        ("float32", torch.float32),
        ("tf32", torch.float32),
        ("bfloat16", torch.bfloat16),
        ("float16", torch.float16),
    ],
)
def test_the_precision_of_products(precision: str, kind: torch.dtype) -> None:
    layer = torch.nn.Linear(3, 3)
    with autocast(precision, CPU):
        assert layer(torch.ones(1, 3)).dtype == kind
    assert layer.weight.dtype == torch.float32


@pytest.mark.parametrize("name", ["darts", "gdas"])
def test_a_search_in_half_precision(name: str) -> None:
    """Its weights and its architecture are not; its loss is near to that in single precision."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        search = engine(small(name, precision=precision), "nasbench201")
        losses[precision] = search.train_epoch()
        assert {p.dtype for p in (*search.weights, *search.alphas)} == {torch.float32}
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bfloat16"] != losses["float32"]


class _Task:
    """What a trainer needs of a task."""

    loss = staticmethod(torch.nn.functional.cross_entropy)

    @staticmethod
    def augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return inputs


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_training_resumes_in_any_precision(precision: str) -> None:
    """With float16 the scale of the loss is a part of the state."""

    def trainer() -> Trainer:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(128, 3))
        options = TrainingOptions(epochs=2, batch_size=8, precision=precision)
        task: Any = _Task()
        return Trainer(network, images(24), task, options, torch.Generator().manual_seed(0))

    first, second = trainer(), trainer()
    first.train_epoch()
    assert bool(first.state()["scaler"]) is (precision == "float16")
    second.load(copy.deepcopy(first.state()))
    assert first.train_epoch() == second.train_epoch()


def test_a_dense_plan_does_not_look_at_weights() -> None:
    """The result is the same, but operations of no weight are computed, and so get gradients."""
    supernet = build_supernet(NASBench201Space(), num_classes=3, channels=4, cells=1)
    supernet.plain = True
    x = torch.randn(4, 3, 8, 8)
    weights = evenly(supernet)
    weights = {"cell": weights["cell"].detach().clone()}
    weights["cell"][:, 2] = 0.0
    found, touched = [], []
    for sampled in (True, False):
        supernet.sampled = sampled
        supernet.zero_grad()
        out = supernet(x, weights)
        out.sum().backward()
        found.append(out.detach())
        touched.append(sum(p.grad is not None for p in supernet.parameters()))
    torch.testing.assert_close(found[0], found[1])
    assert touched[1] > touched[0]


@pytest.mark.parametrize("options", [{"precision": "float64"}, {"precision": "float16"}])
def test_precisions_that_a_search_has_not(options: dict[str, str]) -> None:
    """Gradients of the architecture are not scaled, as float16 needs it."""
    with pytest.raises(ValueError, match=r"^`precision` is '.*'; allowed are \['bfloat16'"):
        small("darts", **options)
