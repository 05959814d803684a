"""An ensemble as a network: the mean of the probabilities of its members."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class EnsembleNetwork(nn.Module):
    """Classifiers of images whose probabilities are averaged.

    What it returns are logits like those of its members: their softmax is the mean of the
    members' probabilities, and their cross-entropy its negative log-likelihood.

    Args:
        members: The networks; each maps images `B C H W` to logits `B num_classes`.

    Raises:
        ValueError: There is none.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        if len(self.members) == 0:
            raise ValueError("`members` is empty; allowed are one or more networks.")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images `B C H W` to the logarithms of the mean probabilities, `B num_classes`."""
        each = [member(images).log_softmax(dim=1) for member in self.members]
        # The logarithm of the mean, without leaving logarithms: nothing rounds to zero.
        total = torch.stack(each).logsumexp(dim=0)  # B num_classes
        return total - torch.log(total.new_tensor(float(len(each))))
