"""Train operations, networks and supernets a little, in few channels and odd shapes.

Run by a test under an allocator that finds what was written past the end of an array.
"""

from __future__ import annotations

import sys
from itertools import product

import numpy as np
import torch
from torch import nn

from optuna_nas.networks import (
    NetworkOptions,
    build_network,
    known_operations,
    operation,
    register_network,
)
from optuna_nas.networks.layers import Classifier
from optuna_nas.spaces import (
    Architecture,
    CellSpace,
    DARTSSpace,
    EdgeNESSpace,
    NASBench101Space,
    SearchSpace,
)
from optuna_nas.supernets import build_supernet


def single_operations() -> None:
    keeping = {"none", "depthwise3x3-bn-relu"}  # one computes nothing, one keeps the channels
    names = [name for name in known_operations() if name not in keeping]
    for name, stride, channels in product(names, (1, 2), ((4, 4), (6, 16), (16, 2))):
        module = operation(name)(*channels, stride)
        for side in (1, 5, 16):
            x = torch.randn(6, channels[0], side, side, requires_grad=True)
            module(x.contiguous(memory_format=torch.channels_last)).sum().backward()


def networks() -> None:
    class UsersSpace(CellSpace):
        pass

    @register_network(UsersSpace, channels=4, cells=1)
    def build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
        reduction = nn.Conv2d(options.in_channels, options.channels, 1, stride=2)
        return nn.Sequential(reduction, Classifier(options.channels, options.num_classes))

    images = torch.randn(6, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    cells = CellSpace(3, ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "conv_7x1_1x7"])
    spaces: list[SearchSpace] = [DARTSSpace(), EdgeNESSpace(), cells]
    for space in (*spaces, NASBench101Space(), UsersSpace(3, ["none", "skip_connect"])):
        for seed in range(3):
            architecture = space.random(np.random.default_rng(seed))
            network = build_network(architecture, num_classes=3, channels=4, cells=3)
            network(images).sum().backward()
    for space in spaces:
        supernet = build_supernet(space, num_classes=3, channels=4, cells=3)
        weights = {
            kind: torch.rand(len(edges), len(supernet.operations))
            for kind, edges in supernet.edges.items()
        }
        supernet(images, weights).sum().backward()


if __name__ == "__main__":
    torch.set_num_threads(1)
    single_operations()
    networks()
    sys.stdout.write("survived")
