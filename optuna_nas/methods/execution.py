"""What of a supernet is computed in a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from optuna_nas._options import check_options, option

if TYPE_CHECKING:
    import torch


class Execution(Protocol):
    """What of a supernet is computed in a step."""

    @property
    def partial_channels(self) -> int:
        """Of how many channels one goes through the operations."""

    @property
    def sampled(self) -> bool:
        """Whether only some of the operations have a weight, so that a path is evaluated."""

    def plain(self, device: torch.device) -> bool:
        """Whether the supernet's plain execution is used on a device."""


@dataclass(frozen=True)
class AllOperations:
    """All operations of all edges: fused on a CPU, plain on other devices."""

    partial_channels = 1
    sampled = False

    def plain(self, device: torch.device) -> bool:
        """Fused kernels are measured on CPUs only."""
        return device.type != "cpu"


@dataclass(frozen=True)
class SampledOperations:
    """Only operations that have a weight in the step."""

    partial_channels = 1
    sampled = True

    def plain(self, device: torch.device) -> bool:
        """Always: the fused execution computes all."""
        return True


@dataclass(frozen=True)
class EachImage(AllOperations):
    """All operations of all edges, with weights of their own for each image."""

    def plain(self, device: torch.device) -> bool:
        """Always: the fused execution has one weight for all images."""
        return True


@dataclass(frozen=True)
class PartialChannels(AllOperations):
    """All operations on a part of the channels; the others pass.

    Attributes:
        partial_channels: Of how many channels one goes through the operations.

    Raises:
        ValueError: It is not a positive integer.
    """

    partial_channels: int = option(
        4, "Of so many channels one goes through the operations.", minimum=1
    )

    def __post_init__(self) -> None:
        check_options(self)
