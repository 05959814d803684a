"""The network that DARTS trains from scratch once its search is over.

1. Stem: 3x3 convolution to 3C channels and batch norm.
2. `cells` cells in a row, each reading the outputs of the two before it (see `pair_cell`).
3. The cells at one third and two thirds are reduction cells: they halve the resolution and
   double the channels.
4. Global average pooling and a linear layer.
5. In training, the auxiliary head classifies the output of the second reduction cell.

The published training adds `AUXILIARY_WEIGHT` times the loss of the auxiliary logits, and raises
`drop_path_probability` linearly from 0 to `DROP_PATH_PROBABILITY` over the epochs.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055.

Departures: edges that do not matter keep their parameters but are not computed (see `liveness`);
the auxiliary head averages what its convolutions leave, so that it takes images larger than
32x32 too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.networks.layers import Classifier, same_conv
from optuna_nas.networks.pair_cell import PairCell
from optuna_nas.spaces import Architecture, DARTSSpace, Genotype

AUXILIARY_WEIGHT = 0.4
"""The published weight of the auxiliary head's loss."""

DROP_PATH_PROBABILITY = 0.2
"""The published drop-path probability of the last epoch."""


class AuxiliaryHead(nn.Module):
    """A small classifier in the middle of the network, to train the cells before it.

    Args:
        channels: Channels of the feature map, of at least 8x8 pixels.
        num_classes: The number of logits.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(inplace=True),
        )
        self.classifier = Classifier(768, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B C H W` to logits `B num_classes`.

        Raises:
            ValueError: The feature map has fewer than 8 rows or columns.
        """
        height, width = x.shape[2:]
        if min(height, width) < 8:
            raise ValueError(
                f"`images` are too small for the auxiliary head: {height}x{width} pixels are left "
                "after the second reduction, and it needs 8x8 (images of 29x29). Use larger "
                "images or build without `auxiliary`."
            )
        logits: torch.Tensor = self.classifier(self.features(x))
        return logits


class DARTSNetwork(nn.Module):
    """A classifier of images built from a genotype.

    Args:
        genotype: The normal and the reduction cell. Besides those of `DARTSSpace`, cells of any
            number of nodes can be given here, such as NASNet's.
        num_classes: The number of logits.
        in_channels: Channels of the images.
        channels: Channels of a node before the first reduction.
        cells: The number of cells.
        auxiliary: Whether there is an auxiliary head.
        generator: The generator, on the CPU, that draws the paths to drop; None means torch's
            default generator.
        concatenating: The nodes of the normal and of the reduction cell that concatenate their
            two operations instead of adding them (see `PairCell`).

    Raises:
        ValueError: An operation is unknown.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        num_classes: int,
        in_channels: int = 3,
        channels: int = 36,
        cells: int = 20,
        auxiliary: bool = False,
        generator: torch.Generator | None = None,
        concatenating: Sequence[Collection[int]] = ((), ()),
    ) -> None:
        super().__init__()
        self.generator = generator
        self._drop_path_probability = 0.0
        width = 3 * channels
        self.stem = nn.Sequential(same_conv(in_channels, width, 3), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        self._auxiliary_position = 2 * cells // 3
        self.auxiliary_head: AuxiliaryHead | None = None
        channels_in = (width, width)
        after_reduction = False
        for position in range(cells):
            reduction = position in (cells // 3, self._auxiliary_position)
            if reduction:
                channels *= 2
            genes, concat = genotype[2:] if reduction else genotype[:2]
            self.cells.append(
                PairCell(
                    genes,
                    concat,
                    channels_in=channels_in,
                    channels=channels,
                    reduction=reduction,
                    after_reduction=after_reduction,
                    concatenating=concatenating[reduction],
                )
            )
            channels_in = (channels_in[1], len(concat) * channels)
            after_reduction = reduction
            if auxiliary and position == self._auxiliary_position:
                self.auxiliary_head = AuxiliaryHead(channels_in[1], num_classes)
        self.classifier = Classifier(channels_in[1], num_classes)

    @property
    def drop_path_probability(self) -> float:
        """The probability, from 0 to below 1, of leaving an operation out of a training step.

        It is decided for each image and operation; the results that are kept are divided by
        their probability. Identities are always kept, and nothing is dropped in evaluation mode.
        """
        return self._drop_path_probability

    @drop_path_probability.setter
    def drop_path_probability(self, value: float) -> None:
        if not 0.0 <= value < 1.0:
            raise ValueError(
                f"`drop_path_probability` is {value!r}; allowed is from 0 to below 1."
            )
        self._drop_path_probability = float(value)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Map images `B in_channels H W` to logits `B num_classes`.

        Returns:
            The logits; in training mode with an auxiliary head the pair of the logits and the
            auxiliary logits.

        Raises:
            ValueError: The images are too small for the auxiliary head.
        """
        scales = self._path_scales(images)
        auxiliary_logits = None
        before_last = last = self.stem(images)
        for position, cell in enumerate(self.cells):
            scale = None if scales is None else scales[position]
            before_last, last = last, cell(before_last, last, scale)
            if (
                self.training
                and self.auxiliary_head is not None
                and position == self._auxiliary_position
            ):
                auxiliary_logits = self.auxiliary_head(last)
        logits: torch.Tensor = self.classifier(last)
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)

    def _path_scales(self, images: torch.Tensor) -> list[torch.Tensor] | None:
        """Draw for all cells at once what their operations are multiplied with.

        Returns:
            For each cell `operations B 1 1 1`: 0, or 1 over the probability of being kept.
        """
        if not self.training or self._drop_path_probability == 0.0:
            return None
        kept = 1.0 - self._drop_path_probability
        counts = [len(cell.operations) for cell in self.cells if isinstance(cell, PairCell)]
        chances = torch.full((sum(counts), len(images), 1, 1, 1), kept, device="cpu")
        scales = torch.bernoulli(chances, generator=self.generator) / kept
        return list(torch.split(scales.to(images.device), counts))


@register_network(DARTSSpace, channels=36, cells=20, auxiliary=True)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, DARTSSpace)
    return DARTSNetwork(
        space.genotype(architecture),
        num_classes=options.num_classes,
        in_channels=options.in_channels,
        channels=options.channels,
        cells=options.cells,
        auxiliary=options.auxiliary,
        generator=options.generator,
    )
