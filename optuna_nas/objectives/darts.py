"""DARTS as one trial: the short form of `OneShotSearch` with the method `darts`.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055.

*Departures*: see `methods.darts` and `one_shot`. The paper searches four times and picks by a
short training: here that is four trials, and a study of `CellCNN`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_nas.methods import Relaxation, Softmax
from optuna_nas.methods.darts import DARTS
from optuna_nas.objectives.cell_cnn import ARTIFACTS
from optuna_nas.objectives.one_shot import OneShotSearch

if TYPE_CHECKING:
    import torch

    from optuna_nas.artifacts import ArtifactPlace
    from optuna_nas.data import ImageData
    from optuna_nas.objectives.tunables import Tunable
    from optuna_nas.spaces import SearchSpace


class Darts(OneShotSearch):
    """Search an architecture by gradient descent, in one trial; see `one_shot` for what it does.

    Arguments marked *tunable* take a number, or an Optuna distribution that each trial suggests
    the number from, under the argument's name.

    Args:
        space: The search space; it must have a supernet.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        epochs: Passes over the half of the training images that the weights are learnt on.
        order: 1, or 2 for architecture steps that look ahead along the weights' next step, which
            take nearly three times as long. Tunable.
        xi: Length of the step to look ahead; None for the current learning rate of the weights.
            Only for the second order. Tunable.
        batch_size: Images of a step.
        channels: Width of the supernet; None is the published one.
        cells: Depth of the supernet; None is the published one.
        learning_rate: Learning rate of the weights in the first epoch. Tunable.
        final_learning_rate: What it falls to along a cosine; at most `learning_rate`.
        momentum: Momentum of the weights.
        weight_decay: Weight decay of the weights. Tunable.
        gradient_clip: Largest norm of the weights' gradient; infinite for none.
        architecture_learning_rate: Learning rate of the architecture. Tunable.
        architecture_weight_decay: Weight decay of the architecture. Tunable.
        relaxation: How parameters become weights of operations; None for `Softmax()`.
        edge_weights: Whether the edges into a node have weights too.
        held_out: The share of the training images that the architecture is learnt on.
        flip: Whether images are mirrored at random. None: if they are coloured.
        crop_padding: Pixels of padding before the random crop. None: an eighth of the side.
        cutout: Side of the square that is blanked in images, in pixels.
        device: Where to train; None is a GPU if there is one.
        seed: Seed of the searches. Trial `n` is seeded with this and `n`.
        artifacts: Folder or bucket (see :func:`optuna_nas.artifacts.open_artifacts`) of pictures
            and checkpoints, shared by all workers; None keeps no files, so that an interrupted
            trial starts again.

    Raises:
        TypeError: `space` is no search space, or has no supernet.
        ValueError: A number is out of range, an operation of the space is not registered, the
            images are too small or too few, `device` cannot be used, or `artifacts` is a file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> space = nas.spaces.NASBench201Space()
        >>> search = nas.objectives.Darts(space, "digits", epochs=5, channels=8, cells=1)
        >>> study = optuna.create_study(direction="maximize")
        >>> study.optimize(search, n_trials=4)  # doctest: +SKIP
    """

    def __init__(
        self,
        space: SearchSpace,
        data: ImageData | str | Path,
        *,
        epochs: int = 50,
        order: Tunable = 1,
        xi: Tunable | None = None,
        batch_size: int = 64,
        channels: int | None = None,
        cells: int | None = None,
        learning_rate: Tunable = 0.025,
        final_learning_rate: float = 0.001,
        momentum: float = 0.9,
        weight_decay: Tunable = 3e-4,
        gradient_clip: float = 5.0,
        architecture_learning_rate: Tunable = 3e-4,
        architecture_weight_decay: Tunable = 1e-3,
        relaxation: Relaxation | None = None,
        edge_weights: bool = False,
        held_out: float = 0.5,
        flip: bool | None = None,
        crop_padding: int | None = None,
        cutout: int = 0,
        device: str | torch.device | None = None,
        seed: int = 0,
        artifacts: str | Path | ArtifactPlace | None = ARTIFACTS,
    ) -> None:
        self.relaxation: Relaxation = Softmax() if relaxation is None else relaxation
        self.edge_weights = bool(edge_weights)
        super().__init__(
            space,
            data,
            method=replace(DARTS, relaxation=self.relaxation),
            channels=channels,
            cells=cells,
            held_out=held_out,
            flip=flip,
            crop_padding=crop_padding,
            cutout=cutout,
            device=device,
            seed=seed,
            artifacts=artifacts,
            epochs=epochs,
            order=order,
            xi=xi,
            batch_size=batch_size,
            learning_rate=learning_rate,
            final_learning_rate=final_learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            gradient_clip=gradient_clip,
            architecture_learning_rate=architecture_learning_rate,
            architecture_weight_decay=architecture_weight_decay,
            edge_weights=self.edge_weights,
        )
