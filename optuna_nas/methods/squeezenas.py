"""SqueezeNAS: Gumbel-softmax samples of its own for each image, and a price of the cost.

1. In each step each image of the batch has a Gumbel-softmax sample of its own on each edge.
2. The mean over the images of the expected cost, times a price, is added to the loss: there is no
   target, and no hinge.

Reference: A. Shaw et al., "SqueezeNAS: Fast neural architecture search for faster semantic
segmentation", ICCV workshops 2019, arXiv:1908.01748.

*Departures*: parameters of the architecture start near zero, where all are one as published: a
softmax knows no difference. The cost is a share of the largest one. In the end the strongest
operations are kept, where a last sample decides as published. Rates and temperatures are those of
`fbnet`, which the publication builds on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optuna_nas.methods.costs import PricedCost
from optuna_nas.methods.execution import EachImage
from optuna_nas.methods.fbnet import FBNET

if TYPE_CHECKING:
    import torch

    from optuna_nas.methods.method import Method
    from optuna_nas.supernets import Supernet


def parameters_by_image(method: Method, supernet: Supernet, generator: torch.Generator) -> Any:
    """Free parameters that have a sample for each image of a batch."""
    from optuna_nas.methods.parameters import ArchitectureParameters

    return ArchitectureParameters(
        supernet.edges,
        supernet.operations,
        relaxation=method.relaxation,
        generator=generator,
        samples=method.schedule.batch_size,
    )


SQUEEZENAS = replace(
    FBNET,
    name="squeezenas",
    summary="a Gumbel-softmax sample for each image, and a price of the cost",
    architecture=parameters_by_image,
    execution=EachImage(),
    regulariser=PricedCost(price=0.5),
)
