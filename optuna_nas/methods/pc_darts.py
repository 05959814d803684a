"""PC-DARTS: all operations on a part of the channels, with weights of edges.

1. One of four channels goes through the operations of an edge, the others pass; the channels of a
   node are shuffled.
2. The edges into a node have weights too, a softmax: with few channels, those of operations alone
   are unsteady.
3. In the first 15 epochs only the weights are learnt.

Reference: Y. Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture
Search", ICLR 2020, arXiv:1907.05737.

*Departures*: the learning rate falls to 1e-5, where it falls to 0 as published. Channels that pass
a stride of 2 are pooled over two by two pixels, rounded up where a side is odd.
"""

from __future__ import annotations

from optuna_nas.methods.execution import PartialChannels
from optuna_nas.methods.method import Method
from optuna_nas.methods.schedule import Schedule

PC_DARTS = Method(
    name="pc_darts",
    summary="DARTS on a quarter of the channels, with weights of edges",
    execution=PartialChannels(),
    edge_weights=True,
    schedule=Schedule(
        batch_size=256,
        learning_rate=0.1,
        final_learning_rate=1e-5,
        architecture_learning_rate=6e-4,
        warm_up_epochs=15,
    ),
    small={
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 0.025,
        "architecture_learning_rate": 3e-3,
        "warm_up_epochs": 4,
    },
)
