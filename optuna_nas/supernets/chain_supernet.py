"""The supernet of a chain of layers: each layer is the sum of all operations, times their weights.

There is no fused execution: the operations of a layer differ in their shapes inside, so they are
computed one by one, those without a weight not at all. As in the other supernets no batch norm has
weights.

References: those of :mod:`optuna_nas.spaces.chain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import nn

from optuna_nas.networks import operation
from optuna_nas.networks.chain import ChainNetwork, scaled_layers
from optuna_nas.networks.layers import zeros
from optuna_nas.spaces import Architecture, ChainSpace, SearchSpace
from optuna_nas.spaces.chain import Layer
from optuna_nas.supernets.derivation import strongest_operations
from optuna_nas.supernets.operations import without_norm_weights
from optuna_nas.supernets.places import Place
from optuna_nas.supernets.supernet import Supernet, SupernetSize, Weights, register_supernet

_KIND = "chain"


class MixedLayer(nn.Module):
    """All operations of one layer.

    Args:
        operations: The names of the operations.
        shape: What is given of the layer.
    """

    def __init__(self, operations: Sequence[str], shape: Layer) -> None:
        super().__init__()
        self.shape = shape
        self.operations = nn.ModuleList(
            without_norm_weights(operation(name)(*shape)) for name in operations
        )

    def forward(
        self, x: torch.Tensor, weights: torch.Tensor, columns: Sequence[int]
    ) -> torch.Tensor:
        """Compute some of the operations.

        Args:
            x: `B channels_in H W`.
            weights: The weight of each operation, `operations` or `B operations`.
            columns: The operations to compute.

        Returns:
            `B channels H/stride W/stride`; zeros if nothing is computed.
        """
        axes = (-1, 1, 1, 1) if weights.ndim == 2 else ()
        terms = [
            self.operations[column](x) * weights[..., column].reshape(axes) for column in columns
        ]
        return (
            reduce(torch.add, terms) if terms else zeros(x, self.shape.channels, self.shape.stride)
        )


@register_supernet(ChainSpace, channels=16, cells=1)
class ChainSupernet(Supernet):
    """All chains of a space in one network.

    Args:
        space: The space.
        size: `channels` is what 16 channels of the space become; `cells` is 1.

    Attributes:
        edges: The layers, under the name `"chain"`: from the input of each to its output.
        operations: The operations of the space.

    Raises:
        ValueError: The size has several cells, or channels that pass the operations.
    """

    space: ChainSpace

    def __init__(self, space: SearchSpace, size: SupernetSize) -> None:
        super().__init__(space, size)
        assert isinstance(space, ChainSpace)
        for name, value in (("cells", size.cells), ("partial_channels", size.partial_channels)):
            if value != 1:
                raise ValueError(
                    f"`{name}` is {value}, but {space.name} says itself how many layers there "
                    "are, and all of their channels are computed; allowed is 1."
                )
        self.space = space
        self.operations = space.operations
        self.edges = {_KIND: tuple((n, n + 1) for n in range(len(space.layers)))}
        self._shapes = scaled_layers(space, size.channels)
        self.network = ChainNetwork(
            space,
            lambda _, shape: MixedLayer(space.operations, shape),
            num_classes=size.num_classes,
            in_channels=size.in_channels,
            channels=size.channels,
        )

    def forward(
        self, images: torch.Tensor, weights: Weights, computed: Weights | None = None
    ) -> torch.Tensor:
        """Map images `B in_channels H W` to logits `B num_classes`."""
        own = weights[_KIND]
        wanted = own.detach() != 0 if computed is None else computed[_KIND]
        if self.plain is False:
            wanted = torch.ones_like(wanted)
        if wanted.ndim == 3:
            wanted = wanted.any(dim=0)
        x = self.network.stem(images.contiguous(memory_format=torch.channels_last))
        for number, (layer, chosen) in enumerate(
            zip(self.network.layers, wanted.tolist(), strict=True)
        ):
            columns = [column for column, want in enumerate(chosen) if want]
            x = layer(x, own[..., number, :], columns)
        logits: torch.Tensor = self.network.head(x)
        return logits

    def derive(self, weights: Weights) -> Architecture:
        """Keep the strongest operation of each layer."""
        return self.space.from_operations(strongest_operations(weights[_KIND], self.operations))

    def places(self, image_shape: Sequence[int]) -> list[Place]:
        """Where operations stand in the network: in each layer, once."""
        height, width = (-(-side // self.space.stem[1]) for side in image_shape[1:])
        found = []
        for row, shape in enumerate(self._shapes):
            found.append(Place(_KIND, row, (shape.channels_in, height, width), _Build(shape)))
            height, width = (-(-side // shape.stride) for side in (height, width))
        return found


class _Build:
    """Builds an operation in the shape of its layer."""

    def __init__(self, shape: Layer) -> None:
        self._shape = shape

    def __call__(self, name: str) -> nn.Module:
        return operation(name)(*self._shape)

    def __repr__(self) -> str:
        return repr(self._shape)
