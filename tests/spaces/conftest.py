"""Fixtures for the spaces: one of each kind, and a second opinion on what a cell computes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import networkx as nx
import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from optuna_nas.spaces import (
    CellSpace,
    ChainSpace,
    DARTSSpace,
    EdgeNESSpace,
    FlatSpace,
    GeneticCNNSpace,
    HierarchicalSpace,
    LayerDropSpace,
    MLPSpace,
    NASBench1Shot1Space,
    NASBench101Space,
    NASBench201Space,
    NASNetSpace,
    SearchSpace,
)

Edge = tuple[int, int, str]
FunctionGraph = Callable[..., "nx.DiGraph[int]"]

SPACES: dict[str, Callable[[], SearchSpace]] = {
    "201": NASBench201Space,
    "cell-2": lambda: CellSpace(2, ("conv-A", "conv.B")),
    "cell-5": lambda: CellSpace(
        5, ("skip_connect", "mine", "max_pool_3x3", "x"), weightless=["x"]
    ),
    "101": NASBench101Space,
    "101-small": lambda: NASBench101Space(4, 3),
    "darts": DARTSSpace,
    "darts-three": lambda: DARTSSpace(("sep_conv_3x3", "skip_connect", "none")),
    "edge-nes": EdgeNESSpace,
    "edge-nes-two": lambda: EdgeNESSpace(("none", "mine", "skip_connect"), 2),
    "mlp": MLPSpace,
    "mlp-small": lambda: MLPSpace(2, min_width=8, max_width=9, normalisations=["batch"]),
    "layers": lambda: LayerDropSpace(12),
    "layers-bounded": lambda: LayerDropSpace(6, 2, 3),
    "layers-four": lambda: LayerDropSpace(12, 4, 4),
    "nasnet": NASNetSpace,
    "nasnet-two": lambda: NASNetSpace(("skip_connect", "mine"), 2, ("add",)),
    "genetic": GeneticCNNSpace,
    "genetic-small": lambda: GeneticCNNSpace((1, 3)),
    "hierarchical": HierarchicalSpace,
    "hierarchical-four": lambda: HierarchicalSpace(("mine", "a"), (2, 2, 1), (3, 2, 3)),
    "1shot1-1": NASBench1Shot1Space,
    "1shot1-3": lambda: NASBench1Shot1Space(3),
    "chain": ChainSpace,
    "chain-short": lambda: ChainSpace([(4, 2), (4, 1)], ("mine", "skip_connect"), head=0),
    "flat": lambda: FlatSpace(
        {
            "lr": FloatDistribution(1e-5, 1e-1, log=True),
            "momentum": FloatDistribution(0.0, 0.95, step=0.05),
            "dropout": FloatDistribution(0.0, 0.5),
            "layers": IntDistribution(1, 8),
            "width": IntDistribution(8, 512, log=True),
            "heads": IntDistribution(2, 12, step=2),
            "shape": CategoricalDistribution(("flat", None, 3, 0.5, True)),
            "flag": IntDistribution(0, 1),
            "constant": IntDistribution(7, 7),
        }
    ),
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture(params=SPACES.values(), ids=list(SPACES))
def space(request: pytest.FixtureRequest) -> SearchSpace:
    factory: Callable[[], SearchSpace] = request.param
    return factory()


@pytest.fixture
def function_graph() -> FunctionGraph:
    """What a cell computes, as a graph of its operations: written independently of the package.

    With `S` the adjacency matrix of the skips, `(I - S)^-1` counts the ways from node to node
    along skips only. So it tells how often each operation reads each other one, and the nodes
    themselves are not needed any more.
    """

    def build(
        num_nodes: int,
        edges: Iterable[Edge],
        outputs: Sequence[int],
        *,
        inputs: Sequence[int] = (0,),
        weightless: Collection[str] = (),
        skips_with_weights_from: Collection[int] = (),
    ) -> nx.DiGraph[int]:
        skips = np.zeros((num_nodes, num_nodes))
        operations: list[Edge] = []
        for source, target, operation in edges:
            if operation == "skip_connect" and source not in skips_with_weights_from:
                skips[source, target] += 1
            elif operation != "none":
                operations.append((source, target, operation))
        ways = np.linalg.inv(np.eye(num_nodes) - skips).round().astype(int)

        graph: nx.DiGraph[int] = nx.DiGraph()
        writes: list[tuple[int, int]] = []  # vertex, the node it adds to
        reads: list[tuple[int, int]] = []  # vertex, the node it reads
        for vertex, node in enumerate(inputs):
            graph.add_node(vertex, label=f"input {node}")
            writes.append((vertex, node))
        for source, target, operation in operations:
            vertex = len(graph)
            graph.add_node(vertex, label=operation)
            writes.append((vertex, target))
            reads.append((vertex, source))
        for node in outputs:
            vertex = len(graph)
            graph.add_node(vertex, label="output")
            reads.append((vertex, node))
        for writer, at in writes:
            for reader, of in reads:
                if ways[at, of]:
                    graph.add_edge(writer, reader, count=int(ways[at, of]))

        ends = [v for v in graph if graph.nodes[v]["label"] == "output"]
        fed = set(range(len(inputs))).union(
            *(nx.descendants(graph, i) for i in range(len(inputs)))
        )
        used = set(ends).union(*(nx.ancestors(graph, end) for end in ends))
        graph.remove_nodes_from([v for v in list(graph) if v not in fed & used | set(ends)])
        # An empty output still counts as a part of the concatenation.
        while _average_each_term(graph) or _merge_twins(graph, weightless):
            pass
        return graph

    return build


def _read(graph: nx.DiGraph[int], vertex: int, reader: int, count: int) -> None:
    known = graph.edges[vertex, reader]["count"] if reader in graph.succ[vertex] else 0
    graph.add_edge(vertex, reader, count=known + count)


def _average_each_term(graph: nx.DiGraph[int]) -> bool:
    """Replace the average of one sum by the sum of averages; whether there was one."""
    for vertex in list(graph):
        read = {u: graph.edges[u, vertex]["count"] for u in graph.pred[vertex]}
        if graph.nodes[vertex]["label"] == "avg_pool_3x3" and sum(read.values()) > 1:
            for u, count in read.items():
                single = max(graph) + 1
                graph.add_node(single, label="avg_pool_3x3")
                graph.add_edge(u, single, count=1)
                for reader in list(graph.succ[vertex]):
                    _read(graph, single, reader, count * graph.edges[vertex, reader]["count"])
            graph.remove_node(vertex)
            return True
    return False


def _merge_twins(graph: nx.DiGraph[int], weightless: Collection[str]) -> bool:
    """Let one of two vertices that compute the same stand for both; whether there were two."""
    twins = _twins(graph, weightless)
    if twins is None:
        return False
    first, second = twins
    for reader in list(graph.succ[second]):
        _read(graph, first, reader, graph.edges[second, reader]["count"])
    graph.remove_node(second)
    return True


def _twins(graph: nx.DiGraph[int], weightless: Collection[str]) -> tuple[int, int] | None:
    seen: dict[tuple[object, ...], int] = {}
    for vertex in graph:
        label = graph.nodes[vertex]["label"]
        if label not in weightless:
            continue
        inputs = sorted((u, graph.edges[u, vertex]["count"]) for u in graph.predecessors(vertex))
        signature = (label, *inputs)
        if signature in seen:
            return seen[signature], vertex
        seen[signature] = vertex
    return None


@pytest.fixture
def isomorphic() -> Callable[[nx.DiGraph[int], nx.DiGraph[int]], bool]:
    """Whether two graphs agree in labels, edges and multiplicities up to their numbering."""

    def compare(first: nx.DiGraph[int], second: nx.DiGraph[int]) -> bool:
        return nx.is_isomorphic(
            first,
            second,
            node_match=lambda a, b: a["label"] == b["label"],
            edge_match=lambda a, b: a["count"] == b["count"],
        )

    return compare


@pytest.fixture
def classes(
    isomorphic: Callable[[nx.DiGraph[int], nx.DiGraph[int]], bool],
) -> Callable[[Iterable[nx.DiGraph[int]]], list[int]]:
    """Number graphs so that two have the same number exactly if they are isomorphic."""

    def number(graphs: Iterable[nx.DiGraph[int]]) -> list[int]:
        buckets: dict[object, list[tuple[int, nx.DiGraph[int]]]] = {}
        numbers: list[int] = []
        total = 0
        for graph in graphs:
            bucket = buckets.setdefault(_invariant(graph), [])
            for known, representative in bucket:
                if isomorphic(graph, representative):
                    numbers.append(known)
                    break
            else:
                bucket.append((total, graph))
                numbers.append(total)
                total += 1
        return numbers

    return number


def _invariant(graph: nx.DiGraph[int]) -> object:
    """The same for isomorphic graphs; most others differ in it, which saves comparisons."""

    def label(vertex: int) -> str:
        return str(graph.nodes[vertex]["label"])

    return tuple(
        sorted(
            (
                label(v),
                tuple(sorted((label(u), graph.edges[u, v]["count"]) for u in graph.pred[v])),
                tuple(sorted((label(u), graph.edges[v, u]["count"]) for u in graph.succ[v])),
            )
            for v in graph
        )
    )
