"""EdgeNES: an ensemble around one optimum, by the number of edges shared with it, as one trial.

1. DARTS searches one architecture, the optimum.
2. A hypernetwork learns architectures that share λ edges with it, for all λ from 0 to Λ at once,
   together with the weights of a supernet (see `methods.edge_nes.hypernetwork`).
3. λ is drawn several times; the architectures there are the candidates.
4. They are trained from scratch, and the best ensemble of them is chosen and measured (see
   `ensemble_search`, which tells what a trial reports and keeps).

So the architectures of the whole ensemble cost two trainings of a supernet, of 50 and of 150
epochs as published, where an ensemble of independent searches costs one search of 50 epochs for
each member.

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.

*Departures*: the signs and formulas as in the modules of `methods.edge_nes`. Accuracies that
are reported are those on images that neither weights nor architectures are learnt on. The
ensemble is chosen by the negative log-likelihood of the mean of the probabilities; the published
code applies a second softmax to the mean. λ is drawn from U(0, Λ), and candidates that would occur
twice are drawn again.
"""

from __future__ import annotations

from pathlib import Path

import torch

from optuna_nas.artifacts import ArtifactPlace
from optuna_nas.data import ImageData
from optuna_nas.objectives.edge_nes.ensemble_search import EnsembleSearch
from optuna_nas.objectives.edge_nes.members import HypernetworkMembers
from optuna_nas.objectives.edge_nes.settings import (
    HypernetworkSettings,
    SupernetSettings,
    TrainingSettings,
)
from optuna_nas.objectives.options import ARTIFACTS
from optuna_nas.spaces import EdgeNESSpace, SearchSpace


class EdgeNES(EnsembleSearch):
    """Find an ensemble around one optimum, in one trial; see the module for what it does.

    Args:
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        space: The search space, one with a supernet; None for `EdgeNESSpace()`.
        size: How many members the ensemble has.
        candidates: How many architectures are drawn and trained to choose them from.
        search: How the optimum is searched; None for `SupernetSettings()`.
        hypernetwork: How the hypernetwork is trained; None for `HypernetworkSettings()`.
        training: How candidates are trained; None for `TrainingSettings()`.
        held_out: The share of the training images that architectures are learnt on.
        flip: Whether images are mirrored at random. None: if they are coloured.
        crop_padding: Pixels of padding before the random crop. None: an eighth of the side.
        cutout: Side of the square that is blanked in training images, in pixels.
        device: Where to train; None is a GPU if there is one.
        seed: Seed of everything. Trial `n` is seeded with this and `n`.
        artifacts: Folder or bucket (see :func:`optuna_nas.artifacts.open_artifacts`) of pictures,
            checkpoints and the weights of the best ensembles, shared by all workers; None keeps no
            files, so that an interrupted trial starts again.

    Raises:
        TypeError: `space` is no search space, or has no network or no supernet.
        ValueError: A number is out of range, there are fewer candidates than members, the images
            are too small or too few, `device` cannot be used, or `artifacts` is a file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> study = optuna.create_study(direction="maximize")
        >>> study.optimize(nas.objectives.EdgeNES("digits"), n_trials=1)  # doctest: +SKIP
        >>> study.best_trial.user_attrs["test_report"]  # doctest: +SKIP
    """

    def __init__(
        self,
        data: ImageData | str | Path,
        *,
        space: SearchSpace | None = None,
        size: int = 3,
        candidates: int = 6,
        search: SupernetSettings | None = None,
        hypernetwork: HypernetworkSettings | None = None,
        training: TrainingSettings | None = None,
        held_out: float = 0.5,
        flip: bool | None = None,
        crop_padding: int | None = None,
        cutout: int = 0,
        device: str | torch.device | None = None,
        seed: int = 0,
        artifacts: str | Path | ArtifactPlace | None = ARTIFACTS,
    ) -> None:
        self.candidates = candidates
        self.search = SupernetSettings() if search is None else search
        self.hypernetwork = HypernetworkSettings() if hypernetwork is None else hypernetwork
        super().__init__(
            EdgeNESSpace() if space is None else space,
            data,
            HypernetworkMembers(candidates, self.search, self.hypernetwork),
            size=size,
            training=training,
            held_out=held_out,
            flip=flip,
            crop_padding=crop_padding,
            cutout=cutout,
            device=device,
            seed=seed,
            artifacts=artifacts,
        )
