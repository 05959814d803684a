"""From an architecture to its network: the registry of networks by the type of space.

The network of a new space is one new file with a builder in it::

    @register_network(MySpace, channels=16, cells=5)
    def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module: ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import TypeAlias

import torch
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from optuna_nas.networks.initial_weights import weights_from
from optuna_nas.networks.strided_pointwise import without_strided_kernels
from optuna_nas.spaces import Architecture, SearchSpace


@dataclass(frozen=True)
class NetworkOptions:
    """What a builder needs to know besides the architecture; checked and complete.

    Attributes:
        num_classes: The number of logits, or of other outputs.
        in_channels: Channels of the images, or numbers in a row of a table.
        channels: The width, in the sense of the space's publication; 1 if it has none.
        cells: The depth, in the sense of the space's publication; 1 if it has none.
        auxiliary: Whether an auxiliary head is wanted; only set for spaces that have one.
        generator: Where random decisions of the forward pass come from; None means torch's
            default generator.
    """

    num_classes: int
    in_channels: int
    channels: int
    cells: int
    auxiliary: bool
    generator: torch.Generator | None


NetworkBuilder: TypeAlias = Callable[[Architecture, NetworkOptions], nn.Module]
"""Builds the network of an architecture."""


@dataclass(frozen=True)
class _Recipe:
    build: NetworkBuilder
    channels: int | None
    cells: int | None
    auxiliary: bool
    axes: int


_RECIPES: dict[type[SearchSpace], _Recipe] = {}


def register_network(
    space: type[SearchSpace],
    *,
    channels: int | None = None,
    cells: int | None = None,
    auxiliary: bool = False,
    axes: int = 3,
) -> Callable[[NetworkBuilder], NetworkBuilder]:
    """Say how the architectures of a space, and of its subclasses, become networks.

    Args:
        space: The class of the space.
        channels: The published width, used when `build_network` is given none. None: the
            architecture itself says how wide the network is.
        cells: The published depth, used when `build_network` is given none. None likewise.
        auxiliary: Whether the network can have an auxiliary head.
        axes: The axes of an input: 3 of an image `C H W`, 1 of a row of numbers.

    Returns:
        A decorator for the builder. A later builder of the same class replaces an earlier one.
    """

    def register(builder: NetworkBuilder) -> NetworkBuilder:
        _RECIPES[space] = _Recipe(builder, channels, cells, auxiliary, axes)
        return builder

    return register


def build_network(
    architecture: Architecture,
    *,
    num_classes: int,
    in_channels: int = 3,
    channels: int | None = None,
    cells: int | None = None,
    auxiliary: bool = False,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build the network of an architecture, by default in its published size.

    - `CellSpace`: `channels` (16) in the first of three stages, `cells` (5) in each stage.
    - `NASBench101Space`: `channels` (128) in the first of three stacks, `cells` (3) in each stack.
    - `DARTSSpace`: `channels` (36) in a node of the first cells, `cells` (20) in all.
    - `EdgeNESSpace`: `channels` (16) in a node of the first cell, `cells` (2) in all.
    - `NASNetSpace`: as `DARTSSpace`.
    - `HierarchicalSpace`: `channels` (16) in the first of three stages, `cells` (1) in each stage.
    - `GeneticCNNSpace`: `channels` (8) in the first stage, each stage `cells` (1) times.
    - `NASBench1Shot1Space`: as `NASBench101Space`.
    - `ChainSpace`: `channels` (16) is what 16 channels of the space become.
    - `MLPSpace`: the architecture says all.

    Weights are initialised as torch does by default. Those of convolutions lie in the memory
    format `torch.channels_last`, in which these networks train 1.2 to 2.2 times as fast on a CPU;
    call `contiguous()` on them before writing them with safetensors. Under
    `torch.device("meta")` the network has shapes only, which is the fast way to count parameters
    and multiply-accumulates.

    Args:
        architecture: What to build.
        num_classes: The number of logits, or of other outputs.
        in_channels: Channels of the images, `B in_channels H W`, or numbers in a row of a table.
        channels: The width; see the table.
        cells: The depth; see the table.
        auxiliary: Whether the network gets its auxiliary head (`DARTSSpace` only). In training
            mode it then returns a pair, the logits and the auxiliary logits.
        generator: A generator on the CPU that the initial weights, and later the paths that
            are dropped, are drawn with; None means torch's default generator. With one, build
            on the CPU (or `meta`) and move the network afterwards.

    Returns:
        A module that maps images `B in_channels H W`, or rows `B in_channels`, to logits
        `B num_classes`.

    Raises:
        TypeError: The space has no network.
        ValueError: A number is not a positive integer, an operation is unknown, or the space
            has no auxiliary head, or no such size.
    """
    space = architecture.space
    recipe = _recipe(space)
    if recipe is None:
        raise TypeError(
            f"`architecture` is of {space.name}, which has no network; networks are known for "
            f"{[t.__name__ for t in _RECIPES]}. Build the module in your own objective, or add a "
            "builder with `optuna_nas.networks.register_network`."
        )
    if auxiliary and not recipe.auxiliary:
        raise ValueError(
            f"`auxiliary` is {auxiliary!r}, but networks of {space.name} have no auxiliary head; "
            f"those of {[t.__name__ for t, r in _RECIPES.items() if r.auxiliary]} have one."
        )
    options = NetworkOptions(
        num_classes=_positive("num_classes", num_classes),
        in_channels=_positive("in_channels", in_channels),
        channels=_size("channels", channels, recipe.channels, space),
        cells=_size("cells", cells, recipe.cells, space),
        auxiliary=auxiliary,
        generator=generator,
    )
    with weights_from(generator):
        network = recipe.build(architecture, options)
    convert_conv2d_weight_memory_format(network, torch.channels_last)
    without_strided_kernels(network)
    return network


def has_network(space: SearchSpace) -> bool:
    """Whether networks of a space can be built."""
    return _recipe(space) is not None


def input_axes(space: SearchSpace) -> int | None:
    """The axes of what networks of a space read: 3 of an image, 1 of a row; None without any."""
    recipe = _recipe(space)
    return None if recipe is None else recipe.axes


def _recipe(space: SearchSpace) -> _Recipe | None:
    return next((_RECIPES[t] for t in type(space).__mro__ if t in _RECIPES), None)


def _size(name: str, given: int | None, published: int | None, space: SearchSpace) -> int:
    if published is None and given is not None:
        raise ValueError(
            f"`{name}` is {given!r}, but an architecture of {space.name} says itself how large "
            "its network is; allowed is None."
        )
    return _positive(name, (published or 1) if given is None else given)


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"`{name}` is {value!r}; allowed is an integer of 1 or more.")
    return int(value)
