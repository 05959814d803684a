"""What a first-order step of DARTS costs with the batched supernet, and with the plain one.

A step is the gradient of the architecture on one batch and a step of the weights on another, 16
random images of 32x32 each. The plain supernet computes every operation of every edge by itself,
as the published code does; it runs in torch's default memory format and in channels-last. All
variants take turns, so that what else the machine does hits them alike; the fastest turn counts,
which is the one least disturbed. Memory is what the peak of a process rises by in three steps.

    python benchmarks/supernet_step.py [--turns 5] [--threads 1]     (memory: on Linux)

The plain architecture step asks for the gradient of the architecture alone, as the batched one
does. The published code also computes that of the weights there and throws it away: the column
"published" counts two full backward passes for the plain network.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from optuna_nas.methods import (  # noqa: E402
    architecture_gradient,
)
from optuna_nas.spaces import DARTSSpace, NASBench201Space, SearchSpace  # noqa: E402
from optuna_nas.supernets import (  # noqa: E402
    Supernet,
    build_supernet,
    frozen_statistics,
)
from tests.supernets.plain_supernet import evenly, plain_copy  # noqa: E402

BATCH = 16
SIZES: list[tuple[SearchSpace, int, int]] = [
    (DARTSSpace(), 8, 4),
    (DARTSSpace(), 16, 8),
    (NASBench201Space(), 16, 1),
]
VARIANTS = ("batched", "plain", "plain, channels-last")


class InFormat(nn.Module):
    """Bring images into a memory format."""

    def __init__(self, memory_format: torch.memory_format) -> None:
        super().__init__()
        self.memory_format = memory_format

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the images in the format."""
        return images.contiguous(memory_format=self.memory_format)


def make(space: SearchSpace, channels: int, cells: int, variant: str) -> Supernet:
    """Build one variant of a supernet, with the same weights each."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"channels": channels, "cells": cells}
    fast = build_supernet(space, num_classes=10, generator=generator, **sizes)
    if variant == "batched":
        return fast
    plain = plain_copy(fast, channels=channels)
    last = "last" in variant
    memory_format = torch.channels_last if last else torch.contiguous_format
    stem = plain.get_submodule("stem")
    assert isinstance(stem, nn.Sequential)
    stem.insert(0, InFormat(memory_format))
    return plain


class Step:
    """The two halves of a step of one supernet."""

    def __init__(self, supernet: Supernet) -> None:
        generator = torch.Generator().manual_seed(1)
        self.supernet = supernet
        self.parameters = list(supernet.parameters())
        self.weights = evenly(supernet)
        self.images = torch.randn(2, BATCH, 3, 32, 32, generator=generator)
        self.labels = torch.arange(BATCH) % 10
        self.optimizer = torch.optim.SGD(self.parameters, lr=1e-4, momentum=0.9)

    def architecture(self) -> None:
        """The gradient of the architecture."""
        with frozen_statistics(self.supernet):
            architecture_gradient(
                list(self.weights.values()),
                self.parameters,
                validation_loss=lambda: self._loss(0),
                training_loss=lambda: self._loss(1),
            )

    def published_architecture(self) -> None:
        """The same, with the gradient of the weights that the published code computes too."""
        self._loss(0).backward()  # type: ignore[no-untyped-call]

    def network(self) -> None:
        """A step of the weights."""
        self.optimizer.zero_grad()
        constant = {kind: weights.detach() for kind, weights in self.weights.items()}
        loss = F.cross_entropy(self.supernet(self.images[1], constant), self.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def _loss(self, batch: int) -> torch.Tensor:
        return F.cross_entropy(self.supernet(self.images[batch], self.weights), self.labels)


def seconds(function: Callable[[], None]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(space: SearchSpace, channels: int, cells: int, turns: int) -> list[str]:
    """Time all variants in turn, and return the rows of the table."""
    steps = {v: Step(make(space, channels, cells, v)) for v in VARIANTS}
    found: dict[str, list[tuple[float, float, float]]] = {v: [] for v in VARIANTS}
    for turn in range(turns + 1):
        for variant, step in steps.items():
            times = (
                seconds(step.architecture),
                seconds(step.network),
                seconds(step.published_architecture) if variant != "batched" else 0.0,
            )
            if turn:  # the first one allocates memory
                found[variant].append(times)
    fastest = {v: [min(part) for part in zip(*times, strict=True)] for v, times in found.items()}
    ours = sum(fastest["batched"][:2])
    memory = {v: peak(space, channels, cells, v) for v in VARIANTS}
    rows = []
    for variant, (architecture, network, published) in fastest.items():
        total = architecture + network
        ratios = ["", ""]
        if variant != "batched":
            ratios = [f"{ours / total:.2f}", f"{ours / (published + network):.2f}"]
        rows.append(
            f"| {space.name} C={channels} cells={cells} | {variant} | {1e3 * architecture:.0f} "
            f"| {1e3 * network:.0f} | {1e3 * total:.0f} | {ratios[0]} | {ratios[1]} "
            f"| {memory[variant]:.0f} |"
        )
    return rows


def peak(space: SearchSpace, channels: int, cells: int, variant: str) -> float:
    """How far the peak memory of a process rises in three steps, in MiB."""
    arguments = ["--memory", space.name, str(channels), str(cells), variant]
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def report_peak(name: str, channels: int, cells: int, variant: str) -> None:
    """Do three steps and print how far the peak rose."""
    space: SearchSpace = DARTSSpace() if name == "DARTSSpace" else NASBench201Space()
    before = _peak_kib()
    step = Step(make(space, channels, cells, variant))
    for _ in range(3):
        step.architecture()
        step.network()
    print((_peak_kib() - before) / 1024)


def _peak_kib() -> int:
    # Not of `resource.getrusage`, which starts at the memory of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", nargs=4, metavar=("SPACE", "CHANNELS", "CELLS", "VARIANT"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory:
        name, channels, cells, variant = arguments.memory
        report_peak(name, int(channels), int(cells), variant)
        return
    print(f"torch {torch.__version__}, {arguments.threads} thread(s), batch {BATCH} of 32x32\n")
    print(
        "| supernet | variant | architecture ms | weights ms | step ms | batched / this "
        "| batched / published | peak MiB |\n|---|---|---|---|---|---|---|---|"
    )
    for space, channels, cells in SIZES:
        print("\n".join(measure(space, channels, cells, arguments.turns)), flush=True)


if __name__ == "__main__":
    main()
