"""GDAS: one sampled operation on each edge, with the gradient of a Gumbel-softmax.

1. In each step one operation of each edge is sampled, and only that is computed; its weight is
   one.
2. The gradient of its weight is passed on to all parameters of the edge as if the weights had been
   the Gumbel-softmax at a temperature that falls from 10 to 0.1 (straight through).
3. In the end the strongest operations are kept.

Reference: X. Dong, Y. Yang, "Searching for a Robust Neural Architecture in Four GPU Hours",
CVPR 2019, arXiv:1910.04465.

*Departures*: the published code adds the weights of the operations that are not sampled, which are
zero, to every value of the edge; the gradient that this gives them is none of theirs, and it is
left out. The temperature falls with every step, not with every epoch. In a cell of `DARTSSpace`
all 14 edges are sampled, as published; the two strongest inputs of each node are kept in the end.
"""

from __future__ import annotations

from optuna_nas.methods.execution import SampledOperations
from optuna_nas.methods.method import Method
from optuna_nas.methods.relaxation import HardGumbel
from optuna_nas.methods.schedule import Schedule

GDAS = Method(
    name="gdas",
    summary="one sampled operation on each edge, straight-through Gumbel-softmax",
    relaxation=HardGumbel(temperature=10.0, final_temperature=0.1),
    execution=SampledOperations(),
    schedule=Schedule(epochs=250, nesterov=True, weight_decay=5e-4),
    small={"epochs": 40, "batch_size": 32, "architecture_learning_rate": 3e-3},
)
