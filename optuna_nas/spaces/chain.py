"""Chains of layers: in each one an operation is chosen; widths and strides are given.

Such are the spaces of FBNet, ProxylessNAS and SqueezeNAS: layers of inverted residual blocks whose
kernel, expansion, groups and dilation are chosen, or which are skipped. Where a skipped layer
changes the width or the resolution, a convolution stands in its place.

References: B. Wu et al., *FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural
Architecture Search*, CVPR 2019, arXiv 1812.03443; H. Cai, L. Zhu, S. Han, *ProxylessNAS: Direct
Neural Architecture Search on Target Task and Hardware*, ICLR 2019, arXiv 1812.00332; A. Shaw,
D. Hunter, F. Iandola, S. Sidhu, *SqueezeNAS: Fast Neural Architecture Search for Faster Semantic
Segmentation*, ICCV Workshops 2019, arXiv 1908.01748.

*Departures*: the first block of ProxylessNAS, which is not searched, is a part of the stem. Its
layers that change the width can be skipped too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import networkx as nx
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer
from optuna_nas.spaces.architecture import Architecture, PathBlock
from optuna_nas.spaces.cell import checked_operations
from optuna_nas.spaces.folding import IDENTITY
from optuna_nas.spaces.graph import GraphSpace

FBNET_OPERATIONS = (
    "mbconv_k3_e1",
    "mbconv_k3_e1_g2",
    "mbconv_k3_e3",
    "mbconv_k3_e6",
    "mbconv_k5_e1",
    "mbconv_k5_e1_g2",
    "mbconv_k5_e3",
    "mbconv_k5_e6",
    "skip_connect",
)
"""The nine of FBNet: kernel, expansion and groups of an inverted residual block, or none."""

PROXYLESS_OPERATIONS = (*(f"mbconv_k{k}_e{e}" for k in (3, 5, 7) for e in (3, 6)), "skip_connect")
"""The seven of ProxylessNAS."""

SQUEEZENAS_OPERATIONS = (
    *FBNET_OPERATIONS[:-1],
    "mbconv_k3_e1_d2",
    "mbconv_k3_e1_g2_d2",
    "mbconv_k3_e3_d2",
    "mbconv_k3_e6_d2",
    "skip_connect",
)
"""The thirteen of SqueezeNAS: those of FBNet, and blocks of 3x3 kernels with dilation 2."""

_MOST_LAYERS, _MOST_CHANNELS = 200, 100_000


class Layer(NamedTuple):
    """What is given of a layer.

    Attributes:
        channels_in: The width of its input.
        channels: Its width.
        stride: 1 or 2.
    """

    channels_in: int
    channels: int
    stride: int

    @property
    def keeps_shape(self) -> bool:
        """Whether a skipped layer is nothing at all."""
        return self.stride == 1 and self.channels_in == self.channels


class ChainSpace(GraphSpace):
    """All choices of an operation for each layer.

    Args:
        layers: The width and the stride (1 or 2) of each layer, up to 200. The default of eight
            layers is for images of 32 pixels.
        operations: What a layer may be, by default the nine of FBNet. One of your own is a name
            here and a module registered under it with
            :func:`optuna_nas.networks.register_operation`.
        stem: The width and the stride of the convolution before the layers.
        head: The width of the 1x1 convolution behind them; 0 leaves it out.

    Attributes:
        layers: The layers.

    Raises:
        ValueError: There is no layer, a width or a stride is out of range, there are fewer than
            two operations, or a name is repeated or malformed.
    """

    def __init__(
        self,
        layers: Sequence[Sequence[int]] = (
            (16, 1),
            (24, 2),
            (24, 1),
            (40, 2),
            (40, 1),
            (40, 1),
            (80, 2),
            (80, 1),
        ),
        operations: Sequence[str] = FBNET_OPERATIONS,
        *,
        stem: Sequence[int] = (16, 1),
        head: int = 320,
    ) -> None:
        self.operations = checked_operations(operations)
        checked_integer("the number of `layers`", len(layers), 1, _MOST_LAYERS)
        self.stem = _checked_layer("stem", stem)
        self.head = checked_integer("head", head, 0, _MOST_CHANNELS)
        pairs = [_checked_layer(f"layers[{n}]", layer) for n, layer in enumerate(layers)]
        widths = [self.stem[0], *(channels for channels, _ in pairs)]
        self.layers = tuple(
            Layer(width, *pair) for width, pair in zip(widths, pairs, strict=False)
        )
        digits = max(2, len(str(len(pairs) - 1)))
        self._names = [f"layer_{number:0{digits}d}" for number in range(len(pairs))]
        super().__init__(dict.fromkeys(self._names, CategoricalDistribution(self.operations)))

    @classmethod
    def fbnet(cls) -> ChainSpace:
        """FBNet's 22 layers of nine operations, for images of 224 pixels."""
        stages = ((24, "2111"), (32, "2111"), (64, "2111"), (112, "1111"), (184, "2111"))
        layers = [(16, 1), *_stages(stages), (352, 1)]
        return cls(layers, FBNET_OPERATIONS, stem=(16, 2), head=1504)

    @classmethod
    def proxyless(cls) -> ChainSpace:
        """ProxylessNAS's 21 layers of seven operations, for images of 224 pixels."""
        stages = ((24, "2111"), (40, "2111"), (80, "2111"), (96, "1111"), (192, "2111"))
        layers = [*_stages(stages), (320, 1)]
        return cls(layers, PROXYLESS_OPERATIONS, stem=(16, 2), head=1280)

    @classmethod
    def squeezenas(cls) -> ChainSpace:
        """The small encoder of SqueezeNAS: 20 layers of thirteen operations."""
        stages = ((16, "2111"), (24, "2111"), (40, "2111"), (48, "1111"), (96, "1111"))
        return cls(_stages(stages), SQUEEZENAS_OPERATIONS, stem=(16, 2), head=256)

    def chosen(self, architecture: Architecture) -> tuple[str, ...]:
        """The operation of each layer."""
        return tuple(architecture[name] for name in self._names)

    def from_operations(self, operations: Sequence[str]) -> Architecture:
        """Build the architecture with these operations, one for each layer.

        Raises:
            ValueError: There is another number of them, or one is unknown.
        """
        if len(operations) != len(self.layers):
            raise ValueError(
                f"`operations` is {list(operations)}; {self.name} needs {len(self.layers)}."
            )
        return self.architecture(dict(zip(self._names, operations, strict=True)))

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """One block: an operation for each layer."""
        count = len(self.layers)
        identity = IDENTITY if IDENTITY in self.operations else None
        return {"cell": PathBlock(self.operations, count, count, None, identity)}

    def key(self, architecture: Architecture) -> str:
        """Return the layers that are left, with their shapes.

        Where a skipped layer is nothing, it does not matter which of several alike is skipped.
        """
        return "|".join(
            f"{name}@{layer.channels_in}>{layer.channels}/{layer.stride}"
            for name, layer in zip(self.chosen(architecture), self.layers, strict=True)
            if name != IDENTITY or not layer.keeps_shape
        )

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the chain, with an operation on each edge."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node(0, label="input")
        for node, layer in enumerate(self.layers, start=1):
            graph.add_node(node, label=str(layer.channels))
        graph.nodes[len(self.layers)]["label"] = "output"
        for node, operation in enumerate(self.chosen(architecture)):
            strided = {} if self.layers[node].keeps_shape else {"strided": True}
            graph.add_edge(node, node + 1, operation=operation, **strided)
        return graph

    def format(self, architecture: Architecture) -> str:
        """Write the operations in their order: `mbconv_k3_e6|skip_connect|...`."""
        return "|".join(self.chosen(architecture))

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` wrote.

        Raises:
            ValueError: The text has another number of operations, or an unknown one.
        """
        names = text.strip().split("|")
        if len(names) != len(self.layers):
            raise ValueError(
                f"`text` is {text!r}; {self.name} needs {len(self.layers)} operations, separated "
                "by '|'."
            )
        return self.from_operations(names)

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {
            "space": self.name,
            "layers": [[layer.channels, layer.stride] for layer in self.layers],
            "operations": list(self.operations),
            "stem": list(self.stem),
            "head": self.head,
        }


def _stages(stages: Sequence[tuple[int, str]]) -> list[tuple[int, int]]:
    """The layers of stages, each with its width and the strides of its layers."""
    return [(channels, int(stride)) for channels, strides in stages for stride in strides]


def _checked_layer(name: str, layer: Sequence[int]) -> tuple[int, int]:
    if not isinstance(layer, (tuple, list)) or len(layer) != 2:
        raise ValueError(f"`{name}` is {layer!r}; allowed is a width and a stride.")
    channels = checked_integer(f"{name}[0]", layer[0], 1, _MOST_CHANNELS)
    return channels, checked_integer(f"{name}[1]", layer[1], 1, 2)


FBNET, PROXYLESS, SQUEEZENAS = ChainSpace.fbnet(), ChainSpace.proxyless(), ChainSpace.squeezenas()
"""The published spaces, for those who look them up by name."""
