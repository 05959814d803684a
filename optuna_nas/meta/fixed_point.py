"""Arithmetic that can be undone to the last bit: fixed point, with a store for what is lost.

Numbers are integers times 2^-52. To add a number and to subtract it again are exact. To multiply
by a momentum γ below 1 loses information, so that

1. γ is the fraction n/d with d = 2^16;
2. i mod d is pushed on a store of integers (s becomes s·d + i mod d), and i is divided by d;
3. i is multiplied by n, and s mod n is popped from the store and added (s becomes s div n).

Dividing by γ is the same with n and d exchanged, and undoes it exactly, the store included. Each
multiplication makes the store log2(d/n) bits longer, the least that can be.

Reference: D. Maclaurin, D. Duvenaud, R. P. Adams, "Gradient-based Hyperparameter Optimization
through Reversible Learning", ICML 2015, arXiv:1502.03492, section 3 and algorithm 3.

*Departures*: n is γ·d rounded to nearest, not upward. The store of a number is not one integer of
any length but one of 62 bits, whose low 32 bits are set aside before it could overflow and come
back when the operation is undone.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALE = 2**52
LARGEST = 2.0**10
"""Absolute values stay below it: with 2^52 parts of one, the sum of two such fits 64 bits."""

DENOMINATOR = 2**16
_REGISTER = 2**62
_WORD = 32
_HALF = 2**31  # a word is kept as a signed number of 32 bits


def fraction(momentum: float) -> int:
    """The numerator n of a momentum as the fraction n / 2^16.

    Raises:
        ValueError: The momentum is not between 0 and 1, or too close to 0.
    """
    numerator = round(momentum * DENOMINATOR) if 0 < momentum < 1 else 0
    if not 0 < numerator < DENOMINATOR:
        raise ValueError(
            f"`momentum` is {momentum!r}; a training that is to be reversed can have a momentum "
            f"from {1 / DENOMINATOR:.3g} to {1 - 1 / DENOMINATOR:.6g}."
        )
    return numerator


def to_integers(values: Tensor) -> Tensor:
    """Finite values below `LARGEST` as integers, cut off after 52 binary digits."""
    return (values.double() * SCALE).to(torch.int64)


def to_floats(integers: Tensor) -> Tensor:
    """Integers as the double-precision values that they stand for."""
    return integers.double() / SCALE


class BitStore:
    """What multiplications have cut off from a vector of integers.

    Args:
        like: The vector of integers.
    """

    def __init__(self, like: Tensor) -> None:
        self._register = torch.zeros_like(like)
        self._bound = 1  # all registers are below it
        self._words: list[tuple[int, int, Tensor]] = []  # operation, bound before, low bits
        self._operations = 0

    def multiply(self, integers: Tensor, numerator: int) -> Tensor:
        """The integers times n / 2^16."""
        if self._bound * DENOMINATOR >= _REGISTER:
            low = (self._register & (2**_WORD - 1)) - _HALF
            self._words.append((self._operations, self._bound, low.to(torch.int32)))
            self._register = self._register >> _WORD
            self._bound = (self._bound >> _WORD) + 1
        self._operations += 1
        self._bound = self._bound * DENOMINATOR // numerator + 1
        return self._exchange(integers, DENOMINATOR, numerator)

    def undo(self, integers: Tensor, numerator: int) -> Tensor:
        """The integers before the last multiplication, which was with this n."""
        restored = self._exchange(integers, numerator, DENOMINATOR)
        self._operations -= 1
        if self._words and self._words[-1][0] == self._operations:
            _, self._bound, low = self._words.pop()
            self._register = (self._register << _WORD) + low.to(torch.int64) + _HALF
        return restored

    @property
    def is_empty(self) -> bool:
        """Whether all that was cut off has been given back."""
        return not self._words and not bool(self._register.any())

    @property
    def bits(self) -> float:
        """The mean number of bits that a number's store has."""
        lengths = torch.log2(self._register.double() + 1)
        return float(lengths.mean()) + _WORD * len(self._words)

    def _exchange(self, integers: Tensor, pushed: int, popped: int) -> Tensor:
        """Divide by one number, with the rest pushed, and multiply by another, with a pop."""
        self._register = self._register * pushed + torch.remainder(integers, pushed)
        quotients = torch.div(integers, pushed, rounding_mode="floor")
        found = quotients * popped + torch.remainder(self._register, popped)
        self._register = torch.div(self._register, popped, rounding_mode="floor")
        return found
