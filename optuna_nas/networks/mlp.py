"""Multilayer perceptrons: `activation(norm(linear(x)))` with dropout, and skips if there are any.

A skip adds the input of a hidden layer to its output; where the widths differ, it is projected by
a linear map without bias first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from optuna_nas.networks._build import NetworkOptions, register_network
from optuna_nas.spaces import Architecture, MLPSpace

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
_NORMALISATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


class SeededDropout(nn.Module):
    """Dropout that draws from a generator of one's own.

    Args:
        probability: The share of numbers that become zero in training.
        generator: The generator, on the CPU; None means torch's default generator.
    """

    def __init__(self, probability: float, generator: torch.Generator | None) -> None:
        super().__init__()
        self.kept = 1 - probability
        self.generator = generator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B d` to `B d`, of the same mean."""
        if not self.training or self.kept == 1:
            return x
        chances = torch.full(x.shape, self.kept, device="cpu")
        return x * (torch.bernoulli(chances, generator=self.generator) / self.kept).to(x)


class HiddenLayer(nn.Module):
    """A hidden layer of a perceptron.

    Args:
        width_in: The numbers that go in.
        width: The numbers that come out.
        activation: The name of the activation.
        normalisation: The name of the normalisation.
        dropout: The share of numbers that are dropped.
        skip: Whether the input is added to the output.
        generator: What dropout draws from.
    """

    def __init__(
        self,
        width_in: int,
        width: int,
        *,
        activation: str,
        normalisation: str,
        dropout: float,
        skip: bool,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        normalised = normalisation == "batch"  # which has a bias of its own
        self.body = nn.Sequential(
            nn.Linear(width_in, width, bias=not normalised),
            _NORMALISATIONS[normalisation](width),
            _ACTIVATIONS[activation](),
            SeededDropout(dropout, generator),
        )
        self.skip: nn.Module | None = None
        if skip:
            same = width_in == width
            self.skip = nn.Identity() if same else nn.Linear(width_in, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `B width_in` to `B width`."""
        computed: torch.Tensor = self.body(x)
        return computed if self.skip is None else computed + self.skip(x)


class MLPNetwork(nn.Module):
    """A multilayer perceptron.

    Args:
        width_in: The numbers in a row.
        outputs: The numbers to compute of it.
        widths: The width of each hidden layer.
        activation: `relu`, `gelu`, `silu` or `tanh`.
        normalisation: `none`, `batch` or `layer`.
        dropout: The share of numbers that are dropped after each activation in training.
        skip: Whether hidden layers from the second on add their input.
        generator: The generator, on the CPU, that dropout draws from; None means torch's default
            generator.
    """

    def __init__(
        self,
        width_in: int,
        outputs: int,
        widths: Sequence[int],
        *,
        activation: str = "relu",
        normalisation: str = "none",
        dropout: float = 0.0,
        skip: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.hidden = nn.Sequential()
        for layer, width in enumerate(widths):
            self.hidden.append(
                HiddenLayer(
                    width_in,
                    width,
                    activation=activation,
                    normalisation=normalisation,
                    dropout=dropout,
                    skip=skip and layer > 0,
                    generator=generator,
                )
            )
            width_in = width
        self.head = nn.Linear(width_in, outputs)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map rows `B width_in` to `B outputs`."""
        outputs: torch.Tensor = self.head(self.hidden(rows))
        return outputs


@register_network(MLPSpace, axes=1)
def _build(architecture: Architecture, options: NetworkOptions) -> nn.Module:
    space = architecture.space
    assert isinstance(space, MLPSpace)
    return MLPNetwork(
        options.in_channels,
        options.num_classes,
        space.widths(architecture),
        activation=architecture["activation"],
        normalisation=architecture["normalisation"],
        dropout=architecture["dropout"],
        skip=space.has_skips(architecture),
        generator=options.generator,
    )
