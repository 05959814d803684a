from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn

from optuna_nas.networks.strided_pointwise import StridedPointwise, without_strided_kernels

CHECKING_ALLOCATOR = "libc_malloc_debug.so.0"  # a part of glibc since 2.34


def has_checking_allocator() -> bool:
    with suppress(OSError):
        return bool(ctypes.CDLL(CHECKING_ALLOCATOR))
    return False


@pytest.mark.skipif(not has_checking_allocator(), reason="glibc's checking allocator is not here")
@pytest.mark.parametrize("processor", ["AVX2", pytest.param("DEFAULT", marks=pytest.mark.slow)])
def test_nothing_is_written_past_the_end_of_an_array(processor: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.networks.trained_a_little"],
        env=os.environ
        | {
            "LD_PRELOAD": CHECKING_ALLOCATOR,
            "GLIBC_TUNABLES": "glibc.malloc.check=3",
            "ONEDNN_MAX_CPU_ISA": processor,
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "survived"), done.stderr


@pytest.mark.parametrize("stride", [2, 3, (1, 2), (2, 1)])
@pytest.mark.parametrize("size", [(1, 1), (4, 5), (7, 6)])
@pytest.mark.parametrize("groups", [1, 2])
def test_results_are_those_of_a_strided_convolution(
    stride: int | tuple[int, int], size: tuple[int, int], groups: int
) -> None:
    strided = nn.Conv2d(4, 6, 1, stride, groups=groups).double()
    ours = StridedPointwise(4, 6, 1, stride, groups=groups).double()
    ours.load_state_dict(strided.state_dict())
    found = []
    for conv in (strided, ours):
        x = torch.arange(8.0 * size[0] * size[1], dtype=torch.double).reshape(2, 4, *size).sin()
        y = conv(x.requires_grad_())
        found.append([y, *torch.autograd.grad(y.square().sum(), [x, *conv.parameters()])])
    for reference, result in zip(*found, strict=True):
        torch.testing.assert_close(result, reference)


def test_which_convolutions_are_changed() -> None:
    class Own(nn.Conv2d):
        pass

    changed = [nn.Conv2d(2, 2, 1, 2), nn.Conv2d(2, 2, 1, (1, 2), padding="valid")]
    kept = [
        nn.Conv2d(2, 2, 1),
        nn.Conv2d(2, 2, 3, 2),
        nn.Conv2d(2, 2, 1, 2, padding=1),
        Own(2, 2, 1, 2),
        nn.Conv1d(2, 2, 1, 2),
    ]
    before = [type(conv) for conv in kept]
    without_strided_kernels(nn.Sequential(nn.Sequential(*changed), *kept))
    assert {type(conv) for conv in changed} == {StridedPointwise}
    assert [type(conv) for conv in kept] == before
