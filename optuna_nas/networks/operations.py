"""The named operations of the published cell spaces, and the registry for one's own.

A search space speaks of operations by name; a network asks the registry for the factory of that
name. A factory takes `(channels_in, channels_out, stride)` and returns a module that maps
`B channels_in H W` to `B channels_out H/stride W/stride` (rounded up). One's own operation is
added in the same way as the built-in ones below::

    @register_operation("ghost_conv")
    def ghost_conv(channels_in: int, channels_out: int, stride: int) -> nn.Module: ...

    space = CellSpace(4, ["none", "skip_connect", "ghost_conv"])

Operations on edges are ReLU-convolution-BN as in DARTS (Liu, Simonyan, Yang, 2019,
arXiv:1806.09055) and NAS-Bench-201 (Dong, Yang, 2020, arXiv:2001.00326); those on vertices are
convolution-BN-ReLU as in NAS-Bench-101 (Ying et al., 2019, arXiv:1902.09635). An operation that
is a `Zero` is no connection, and one that is an `nn.Identity` is never dropped by drop-path.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias, TypeVar

from torch import nn

from optuna_nas.networks.layers import (
    FactorizedReduce,
    Zero,
    conv_norm_relu,
    depthwise_norm_relu,
    dilated_conv,
    relu_conv_norm,
    separable_conv,
    separable_norm_relu,
)

OperationFactory: TypeAlias = Callable[[int, int, int], nn.Module]
"""Builds an operation from `(channels_in, channels_out, stride)`."""

_Factory = TypeVar("_Factory", bound=OperationFactory)

_FACTORIES: dict[str, OperationFactory] = {}


def register_operation(name: str) -> Callable[[_Factory], _Factory]:
    """Make an operation known under a name.

    The same definition may be registered again, as when a notebook cell is run twice; the later
    one counts.

    Args:
        name: The name that search spaces use.

    Returns:
        A decorator for a function, or a class of modules, that is called with
        `(channels_in, channels_out, stride)`.

    Raises:
        ValueError: The name is empty or belongs to another operation.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"`name` is {name!r}; allowed is a text that is not empty.")

    def register(factory: _Factory) -> _Factory:
        if name in _FACTORIES and _definition(_FACTORIES[name]) != _definition(factory):
            raise ValueError(
                f"`name` is {name!r}, which belongs to another operation; taken are "
                f"{list(_FACTORIES)}."
            )
        _FACTORIES[name] = factory
        return factory

    return register


def operation(name: str) -> OperationFactory:
    """Look up the factory of an operation.

    Args:
        name: The name it was registered under.

    Raises:
        ValueError: No operation has the name.
    """
    if name not in _FACTORIES:
        raise ValueError(
            f"`name` is {name!r}, which is no known operation; known are {list(_FACTORIES)}. "
            "Add your own with `optuna_nas.networks.register_operation`."
        )
    return _FACTORIES[name]


def known_operations() -> tuple[str, ...]:
    """The names of all registered operations, in the order of their registration."""
    return tuple(_FACTORIES)


def _definition(factory: OperationFactory) -> object:
    """What stays the same when the source of a factory is run again."""
    name = getattr(factory, "__qualname__", None)
    return factory if name is None else (factory.__module__, name)


def _with_channels(pool: nn.Module, channels_in: int, channels_out: int) -> nn.Module:
    if channels_in == channels_out:
        return pool
    return nn.Sequential(relu_conv_norm(channels_in, channels_out, kernel_size=1), pool)


@register_operation("skip_connect")
def _skip(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride not in (1, 2):
        raise ValueError(f"`stride` is {stride}; allowed for 'skip_connect' are 1 and 2.")
    if stride == 2:
        return FactorizedReduce(channels_in, channels_out)
    return _with_channels(nn.Identity(), channels_in, channels_out)


@register_operation("avg_pool_3x3")
def _avg_pool(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    pool = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    return _with_channels(pool, channels_in, channels_out)


def _max_pool(channels_in: int, channels_out: int, stride: int, *, kernel_size: int) -> nn.Module:
    pool = nn.MaxPool2d(kernel_size, stride, padding=kernel_size // 2)
    return _with_channels(pool, channels_in, channels_out)


def _conv_in_two(channels_in: int, channels_out: int, stride: int, *, length: int) -> nn.Module:
    rest = length // 2
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, (1, length), (1, stride), (0, rest), bias=False),
        nn.Conv2d(channels_out, channels_out, (length, 1), (stride, 1), (rest, 0), bias=False),
        nn.BatchNorm2d(channels_out),
    )


register_operation("none")(Zero)
register_operation("max_pool_3x3")(partial(_max_pool, kernel_size=3))
register_operation("maxpool3x3")(partial(_max_pool, kernel_size=3))
register_operation("max_pool_5x5")(partial(_max_pool, kernel_size=5))
register_operation("max_pool_7x7")(partial(_max_pool, kernel_size=7))
register_operation("conv_3x1_1x3")(partial(_conv_in_two, length=3))
register_operation("conv_7x1_1x7")(partial(_conv_in_two, length=7))
register_operation("nor_conv_1x1")(partial(relu_conv_norm, kernel_size=1))
register_operation("nor_conv_3x3")(partial(relu_conv_norm, kernel_size=3))
register_operation("sep_conv_3x3")(partial(separable_conv, kernel_size=3))
register_operation("sep_conv_5x5")(partial(separable_conv, kernel_size=5))
register_operation("sep_conv_7x7")(partial(separable_conv, kernel_size=7))
register_operation("dil_conv_3x3")(partial(dilated_conv, kernel_size=3))
register_operation("dil_conv_5x5")(partial(dilated_conv, kernel_size=5))
register_operation("depthwise3x3-bn-relu")(partial(depthwise_norm_relu, kernel_size=3))
register_operation("separable3x3-bn-relu")(partial(separable_norm_relu, kernel_size=3))
register_operation("conv3x3-bn-relu")(partial(conv_norm_relu, kernel_size=3))
register_operation("conv1x1-bn-relu")(partial(conv_norm_relu, kernel_size=1))
