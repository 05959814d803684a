"""The cell space of NAS-Bench-201.

Reference: X. Dong, Y. Yang, *NAS-Bench-201: Extending the Scope of Reproducible Neural
Architecture Search*, ICLR 2020, arXiv 2001.00326.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna_nas.spaces.cell import CellSpace
from optuna_nas.spaces.folding import IDENTITY, ZERO

if TYPE_CHECKING:
    from optuna_nas.spaces.architecture import Architecture

NAS_BENCH_201_OPERATIONS = (
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
)


class NASBench201Space(CellSpace):
    """The 15,625 cells of NAS-Bench-201: four nodes, five operations."""

    def __init__(self) -> None:
        super().__init__(4, NAS_BENCH_201_OPERATIONS)

    def unique_string(self, architecture: Architecture) -> str:
        """The benchmark's own text for telling isomorphic cells, 6,466 over the whole space.

        It folds `none` and `skip_connect` but leaves a mark for each folded zero, and it does not
        see whether two branches share weights; :attr:`Architecture.key` is exact in both.
        """
        texts = ["0"]
        for target in range(1, self.num_nodes):
            terms = []
            for source in range(target):
                operation = self.operation(architecture, (source, target))
                if operation == ZERO or texts[source] == "#":
                    terms.append("#")
                elif operation == IDENTITY:
                    terms.append(texts[source])
                else:
                    terms.append(f"({texts[source]})@{operation}")
            texts.append("+".join(sorted(terms)))
        return texts[-1]

    def to_dict(self) -> dict[str, Any]:
        """Describe the space in JSON types."""
        return {"space": self.name}
