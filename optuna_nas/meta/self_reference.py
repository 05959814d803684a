"""A network that embeds its own meta-levels: it reads and writes its own weights as it runs.

A fully recurrent network, in one tick:

1. Inputs are the external ones, the *evaluating* ones (how far the last outputs were off), and
   `val`. All inputs and units feed all units: y_k(t) = tanh Σ_l w_kl l(t-1).
2. Among the units are the outputs, the *analysing* units, the *modifying* units, and Δ. Every
   weight has an address of ⌈log2 of their number⌉ bits; a unit's bit is (y + 1) / 2.
3. Read: val(t+1) = Σ_ij g(‖ana(t) - adr(w_ij)‖²) w_ij(t).
4. Write: w_ij(t+1) = w_ij(t) + Δ(t) g(‖mod(t) - adr(w_ij)‖²).

All of it is differentiable; what is learnt are the weights at the first tick.

Reference: J. Schmidhuber, "A Neural Network that Embeds its Own Meta-Levels", ICNN 1993.

*Departures*: g(d²) = max(0, 1 - d²/r²)², which is 1 at an address, 0 at all others if r < 1, and
has slopes between; the paper asks for a narrow peak only. Addresses are numbered by row and
column. The cost of a tick is that of reading all weights; the paper's text on its order is not
repeated here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from optuna_nas._checks import checked_integer, checked_positive


def numbers(inputs: int, outputs: int, hidden: int) -> tuple[int, int, int]:
    """The inputs, the units, and the bits of an address of a network.

    There are as many evaluating inputs as outputs, and `val`; units are outputs, hidden ones,
    twice the bits, and Δ. The bits are the fewest with which every weight has an address.
    """
    whole = inputs + outputs + 1
    bits = 1
    while True:
        units = outputs + hidden + 2 * bits + 1
        if 2**bits >= (whole + units) * units:
            return whole, units, bits
        bits += 1


class SelfReferentialNetwork(nn.Module):
    """A recurrent network that reads and writes its own weights.

    Args:
        inputs: External inputs.
        outputs: Outputs.
        hidden: Further units.
        radius: r, how far from an address a weight is still touched, in bits.
        scale: The standard deviation of the weights at the first tick.
        generator: Draws them, on the CPU.

    Attributes:
        weights: The weights at the first tick, `units (inputs + units)`: what is learnt.
        addresses: The bits of their addresses, `units (inputs + units) bits`.

    Raises:
        ValueError: A number is out of range.
    """

    addresses: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int = 4,
        *,
        radius: float = 0.9,
        scale: float = 0.3,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.inputs = checked_integer("inputs", inputs)
        self.outputs = checked_integer("outputs", outputs)
        self.radius = checked_positive("radius", radius)
        self.whole, self.units, self.bits = numbers(
            inputs, outputs, checked_integer("hidden", hidden, 0)
        )
        shape = (self.units, self.whole + self.units)
        self.weights = nn.Parameter(scale * torch.randn(shape, generator=generator))
        places = torch.arange(math.prod(shape)).reshape(*shape, 1)
        self.register_buffer("addresses", (places >> torch.arange(self.bits) & 1).float())

    def closeness(self, address: Tensor) -> Tensor:
        """How much each weight is meant by an address of so many numbers from 0 to 1."""
        distance = (address - self.addresses).square().sum(-1)
        return (1 - distance / self.radius**2).clamp(min=0).square()

    def read(self, weights: Tensor, address: Tensor) -> Tensor:
        """The weight at an address."""
        return (self.closeness(address) * weights).sum()

    def write(self, weights: Tensor, address: Tensor, change: Tensor | float) -> Tensor:
        """The weights with that at an address changed."""
        return weights + change * self.closeness(address)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Run for one tick after another, and be told after each how far it was off.

        Args:
            inputs: External inputs, `T inputs`.
            targets: Targets, `T outputs`.

        Returns:
            Targets less outputs, `T outputs`; half its sum of squares is what is to be minimised.

        Raises:
            ValueError: The shapes are others.
        """
        if inputs.shape[1:] != (self.inputs,) or targets.shape != (len(inputs), self.outputs):
            raise ValueError(
                f"`inputs` and `targets` have the shapes {tuple(inputs.shape)} and "
                f"{tuple(targets.shape)}; allowed are (T, {self.inputs}) and (T, {self.outputs})."
            )
        weights: Tensor = self.weights
        units, value = weights.new_zeros(self.units), weights.new_zeros(1)
        off, told = weights.new_zeros(self.outputs), []
        for x, target in zip(inputs, targets, strict=True):
            units = torch.tanh(weights @ torch.cat([x, off, value, units]))
            off = target - units[: self.outputs]
            told.append(off)
            bits = (units[-2 * self.bits - 1 : -1] + 1) / 2
            value = self.read(weights, bits[: self.bits]).reshape(1)
            weights = self.write(weights, bits[self.bits :], units[-1])
        return torch.stack(told)
