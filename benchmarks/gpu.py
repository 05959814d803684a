"""What a GPU makes of it: times of a step, throughput of a training, agreement with the CPU.

    python benchmarks/gpu.py [--device cuda] [--tiny]

1. Agreement: logits, and gradients of the weights of operations, of both executions of a supernet
   on the device against the CPU, in float32: the largest difference, as a share of
   the largest number.
2. Steps: of the network's weights and of the architecture, on one batch, by both executions and by
   one sampled path, in each precision.
3. Training: images per second of a network of one cell, with augmentation.

Times are medians of repeats after a warm-up; the device is waited for. On a GPU it takes a few
minutes, and `--seconds` is the most: what is left then is left out. With `--tiny` everything is as
small as can be, for a look at whether it runs; it runs on CPUs too.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from optuna_nas._numerics import autocast, numerics
from optuna_nas.data import ImageSplit
from optuna_nas.data.augmentation import Augmentation
from optuna_nas.networks import build_network
from optuna_nas.spaces import DARTSSpace, NASBench201Space, SearchSpace
from optuna_nas.supernets import Supernet, Weights, build_supernet, frozen_statistics

MODES = ("float32", "tf32", "bfloat16")


@dataclass(frozen=True)
class Size:
    """How large a supernet and its batches are."""

    space: SearchSpace
    channels: int
    cells: int
    batch: int
    side: int

    def __str__(self) -> str:
        return (
            f"{self.space.name}, {self.channels} channels, {self.cells} cells, "
            f"{self.batch} images of {self.side}x{self.side}"
        )


SIZES = (Size(NASBench201Space(), 16, 5, 64, 32), Size(DARTSSpace(), 16, 8, 64, 32))
TINY = (Size(NASBench201Space(), 4, 1, 4, 8), Size(DARTSSpace(), 4, 3, 4, 8))


def make(size: Size, device: torch.device) -> Supernet:
    """The supernet, with the same weights on every device."""
    supernet = build_supernet(
        size.space,
        num_classes=10,
        channels=size.channels,
        cells=size.cells,
        generator=torch.Generator().manual_seed(0),
    )
    return supernet.to(device)


def even(supernet: Supernet, device: torch.device) -> Weights:
    """Weights of operations that are all alike."""
    columns = len(supernet.operations)
    return {
        kind: torch.full((len(edges), columns), 1 / columns, device=device)
        for kind, edges in supernet.edges.items()
    }


def path(supernet: Supernet, device: torch.device) -> Weights:
    """One operation on each edge, each in turn."""
    found = {}
    for kind, edges in supernet.edges.items():
        columns = torch.arange(len(edges)) % (len(supernet.operations) - 1) + 1  # not `none`
        found[kind] = F.one_hot(columns, len(supernet.operations)).float().to(device)
    return found


def batch(size: Size, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images and labels, the same on every device."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size.batch, 3, size.side, size.side, generator=generator)
    return images.to(device), (torch.arange(size.batch) % 10).to(device)


def agreement(size: Size, device: torch.device) -> Iterator[str]:
    """The rows of one supernet: how far the device is from the CPU."""
    cpu = torch.device("cpu")
    for plain in (False, True):
        found = []
        for place in (cpu, device):
            supernet = make(size, place)
            supernet.plain = plain
            images, labels = batch(size, place)
            weights = {k: w.requires_grad_() for k, w in even(supernet, place).items()}
            logits = supernet(images, weights)
            gradients = torch.autograd.grad(
                F.cross_entropy(logits, labels), list(weights.values())
            )
            found.append([logits.detach().cpu(), *(g.cpu() for g in gradients)])
        differences = [
            float((ours - theirs).abs().max() / theirs.abs().max())
            for theirs, ours in zip(*found, strict=True)
        ]
        name = "plain" if plain else "fused"
        yield f"| {size} | {name} | {differences[0]:.1e} | {max(differences[1:]):.1e} |"


def milliseconds(function: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The median time of a call."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    times = []
    for repeat in range(repeats + 2):
        wait()
        started = time.perf_counter()
        function()
        wait()
        if repeat > 1:
            times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def steps(size: Size, device: torch.device, mode: str, repeats: int) -> Iterator[str]:
    """The rows of one supernet and precision: a step of the weights, and of the architecture."""
    images, labels = batch(size, device)
    for name in ("fused", "plain", "sampled path"):
        supernet = make(size, device)
        supernet.plain = name != "fused"
        supernet.sampled = name == "sampled path"
        weights = path(supernet, device) if supernet.sampled else even(supernet, device)
        parameters = list(supernet.parameters())
        optimizer = torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, foreach=True)
        alphas = {kind: w.clone().requires_grad_() for kind, w in weights.items()}

        def loss(weights: Weights, supernet: Supernet = supernet) -> torch.Tensor:
            with autocast(mode, device):
                logits = supernet(images, weights)
            return F.cross_entropy(logits.float(), labels)

        def network(weights: Weights = weights, optimizer: torch.optim.SGD = optimizer) -> None:
            optimizer.zero_grad()
            loss(weights).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        def architecture(alphas: Weights = alphas, supernet: Supernet = supernet) -> None:
            with frozen_statistics(supernet):
                torch.autograd.grad(loss(alphas), list(alphas.values()))

        times = [milliseconds(f, device, repeats) for f in (network, architecture)]
        yield f"| {size} | {mode} | {name} | {times[0]:.1f} | {times[1]:.1f} |"


def training(size: Size, device: torch.device, mode: str, repeats: int) -> str:
    """The row of one precision: images per second of a network of one cell."""
    space = NASBench201Space()
    cell = space.parse(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
        "|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    network = build_network(
        cell,
        num_classes=10,
        channels=size.channels,
        cells=size.cells,
        generator=torch.Generator().manual_seed(0),
    ).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, foreach=True)
    images, labels = batch(size, device)
    split = ImageSplit(images, labels)
    augment = Augmentation(flip=True, crop_padding=1, cutout=2)
    generator = torch.Generator().manual_seed(2)

    def step() -> None:
        with autocast(mode, device):
            logits = network(augment(split.inputs, generator))
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), split.targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return f"| {mode} | {1e3 * size.batch / milliseconds(step, device, repeats):.0f} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=420.0)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args(argv)
    device = torch.device(arguments.device)
    sizes = TINY if arguments.tiny else SIZES
    started = time.perf_counter()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"torch {torch.__version__}, {device.type}: {name}\n")

    print("| supernet | execution | logits differ by | gradients differ by |\n|---|---|---|---|")
    with numerics("float32", deterministic=False):
        for size in TINY if device.type == "cpu" else sizes:
            for row in agreement(size, device):
                print(row, flush=True)

    print("\n| supernet | precision | execution | weights ms | architecture ms |")
    print("|---|---|---|---|---|")
    jobs = [(size, mode) for size in sizes for mode in MODES]
    for size, mode in jobs:
        if time.perf_counter() - started > arguments.seconds:
            print(f"| {size} | {mode} | left out: no time left | | |")
            continue
        with numerics(mode, deterministic=False):
            for row in steps(size, device, mode, arguments.repeats):
                print(row, flush=True)

    print("\n| precision | images per second of a training |\n|---|---|")
    for mode in MODES:
        with numerics(mode, deterministic=False):
            print(training(sizes[0], device, mode, arguments.repeats), flush=True)
    print(f"\n{time.perf_counter() - started:.0f} seconds.")


if __name__ == "__main__":
    main()
