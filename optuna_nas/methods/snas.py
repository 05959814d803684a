"""SNAS: a sample of operations, and one level of learning.

1. In each step each edge has a sample of the concrete distribution (Gumbel-softmax), at a
   temperature that falls.
2. The parameters of the architecture and the weights of the network learn on the same batches of
   training images.
3. The expected cost of the sample is added to the loss of the architecture, so that of two
   operations of like use the cheaper one is kept.

Reference: S. Xie, H. Zheng, C. Liu, L. Lin, "SNAS: Stochastic Neural Architecture Search",
ICLR 2019, arXiv:1812.09926.

*Departures*: architecture and weights have a step and a sample each for one batch, where they have
them in common as published. The temperature falls linearly. The cost is a share of that of all
operations together, so that a price says the same of networks of any size; the published levels
(mild, moderate, aggressive) are for absolute costs, and say nothing here.
"""

from __future__ import annotations

from optuna_nas.methods.costs import PricedCost
from optuna_nas.methods.method import Method
from optuna_nas.methods.relaxation import GumbelSoftmax
from optuna_nas.methods.schedule import Schedule
from optuna_nas.methods.steps import SameBatch

SNAS = Method(
    name="snas",
    summary="Gumbel-softmax samples, learnt with the weights on the same batches, and a price",
    relaxation=GumbelSoftmax(temperature=1.0, final_temperature=0.03),
    step=SameBatch(),
    regulariser=PricedCost(price=0.1),
    schedule=Schedule(epochs=150),
    small={"epochs": 20, "batch_size": 32, "architecture_learning_rate": 3e-3},
)
