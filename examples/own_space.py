"""A search space of your own: its parameters, its graph, and nothing else.

Three layers of any operations, the later ones with or without a skip past the layer before. From
the command line, with a report, and going on where it was when it is run again:

    optuna-nas search --space own_space:space --data digits --trials 20 --epochs 8 --channels 8
    optuna-nas report
    optuna-nas search --trials 10
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import optuna
from optuna.distributions import CategoricalDistribution

import optuna_nas as nas
from optuna_nas.networks import graph_network, register_network
from optuna_nas.spaces import Architecture, GraphSpace, PathBlock

OPERATIONS = ("nor_conv_1x1", "nor_conv_3x3", "sep_conv_5x5", "max_pool_3x3")
LAYERS = (1, 2, 3)


class Layers(GraphSpace):
    """Three layers: 256 architectures."""

    def __init__(self) -> None:
        operations = {f"op_{n}": CategoricalDistribution(OPERATIONS) for n in LAYERS}
        skips = {f"skip_{n}": CategoricalDistribution((False, True)) for n in LAYERS[1:]}
        super().__init__(operations | skips)

    @property
    def path_blocks(self) -> dict[str, PathBlock]:
        """What BANANAS spells the ways through the graph with."""
        return {"cell": PathBlock((*OPERATIONS, "skip_connect"), 2, 3, None, "skip_connect")}

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the layers in a row: their operations on edges, and the skips beside them."""
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node(0, label="input")
        for n in LAYERS:
            graph.add_node(n, label="output" if n == LAYERS[-1] else str(n))
            graph.add_edge(n - 1, n, operation=architecture[f"op_{n}"])
            if n > 1 and architecture[f"skip_{n}"]:
                graph.add_edge(n - 2, n, operation="skip_connect")
        return graph


space = Layers()
register_network(Layers, channels=16, cells=1)(graph_network)

if __name__ == "__main__":
    objective = nas.objectives.CellCNN(space, data="digits", epochs=8, channels=8)
    study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler(seed=0))
    study.optimize(objective, n_trials=10)
    print(space.architecture(study.best_params), study.best_value)
