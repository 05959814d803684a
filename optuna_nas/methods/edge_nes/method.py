"""EdgeNES as a method: DARTS of a hypernetwork, with the penalty on the number of shared edges.

What gives the weights is a hypernetwork around an optimum (see `hypernetwork`), which is known
only when that has been searched; so the method is no preset, but used by the objective `EdgeNES`.

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna_nas.methods.method import Method

if TYPE_CHECKING:
    import torch

    from optuna_nas.methods.edge_nes.hypernetwork import ArchitectureHypernetwork
    from optuna_nas.methods.engine import Engine
    from optuna_nas.supernets import Weights


def shared_edges_penalty(
    loss: torch.Tensor,
    weights: Weights,
    search: Engine,
    generator: torch.Generator,
) -> torch.Tensor:
    """The loss plus the penalty at the λ that the weights were drawn for."""
    architecture: ArchitectureHypernetwork = search.architecture
    return loss + architecture.penalty(generator, search.progress)


EDGE_NES = Method(
    name="edge_nes",
    summary="a hypernetwork of architectures that share edges with an optimum",
    regulariser=shared_edges_penalty,
)
