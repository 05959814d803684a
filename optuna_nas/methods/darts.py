"""DARTS: the weights of all operations, learnt on held-out images.

1. Every edge carries all operations, each times the softmax of its parameter.
2. The parameters take a step on held-out images, looking ahead along the weights' next step in the
   second order; then the weights take one on training images.
3. In the end the strongest operations are kept.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055.

*Departures*: see `engine` and `bilevel`.
"""

from __future__ import annotations

from optuna_nas.methods.method import Method

DARTS = Method(
    name="darts",
    summary="all operations, softmax, steps on held-out images of the first or second order",
    small={"epochs": 20, "batch_size": 32, "architecture_learning_rate": 3e-3},
)
