"""One whole differentiable search as one trial.

One trial:

1. the training images are split in two: one half for the weights of the supernet, one for the
   parameters of the architecture;
2. the supernet is trained for `epochs` epochs, steps of both in turn (see `supernet_training`);
   after each epoch the accuracy on the validation images, which neither has seen, is reported (the
   pruner may stop the trial) and a checkpoint is written;
3. the architecture is derived from the final parameters by the space's published rule.

The value is the supernet's validation accuracy after the last epoch. It says how well the search
went, not how good the architecture is: for that, train the architecture, which waits in the
trial as parameters of the space::

    study.enqueue_trial(derived_params(search.best_trial))
    study.optimize(CellCNN(space, data), n_trials=1)

The trial gets the user attributes `architecture`, `derived_params`, `supernet_parameters`,
`validation_images` (how many its accuracy is of) and `seconds`, and the artifacts `cell.svg`,
`learning_curve.svg`, `trajectory.svg` (the weights of the operations over the epochs) and
`derived_cells.csv` (the architecture after each epoch). A trial that diverges is pruned, and the
user attribute `diverged` says how.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055.

*Departures*: the paper reports the accuracy on the images that the architecture is learnt on; here
it is that on images of a third part. The paper searches four times and picks by a short training:
here that is four trials, and a study of `CellCNN`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import torch

from optuna_nas._checks import checked_integer, checked_share
from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.data import ImageData, ImageSplit, load_images
from optuna_nas.data.few import warn_of_few
from optuna_nas.methods import ArchitectureParameters, Relaxation, Softmax
from optuna_nas.networks import count_parameters
from optuna_nas.objectives.architecture_path import ArchitecturePath
from optuna_nas.objectives.cell_cnn import ARTIFACTS
from optuna_nas.objectives.devices import usable_device
from optuna_nas.objectives.directions import check_directions
from optuna_nas.objectives.pictures import publish_learning_curve
from optuna_nas.objectives.search_parts import part_sizes, search_parts
from optuna_nas.objectives.search_settings import SearchSettings
from optuna_nas.objectives.supernet_training import (
    RelaxedNetwork,
    SearchRecipe,
    SupernetTrainer,
)
from optuna_nas.objectives.training import (
    DivergedError,
    accuracy,
    chosen_augmentation,
)
from optuna_nas.objectives.tunables import Tunable
from optuna_nas.spaces import SearchSpace, remember_space
from optuna_nas.supernets import Supernet, build_supernet
from optuna_nas.trials import TrialRun
from optuna_nas.visualization.cells import cell_svg

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial, FrozenTrial

PARAMS_ATTR = "derived_params"
"""Trial user attribute with the parameters of the derived architecture."""


def derived_params(trial: FrozenTrial | BaseTrial) -> dict[str, Any]:
    """The architecture that a search found, as parameters of its space, for `enqueue_trial`.

    Args:
        trial: A finished trial of a search.

    Raises:
        ValueError: The trial derived no architecture.
    """
    params = trial.user_attrs.get(PARAMS_ATTR)
    if params is None:
        raise ValueError(
            f"`trial` is trial {trial.number}, which has derived no architecture; allowed are "
            "trials of a search such as `Darts` that are complete or pruned."
        )
    return dict(params)


class Darts:
    """Search an architecture by gradient descent, in one trial; see the module for what it does.

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

    directions = (optuna.study.StudyDirection.MAXIMIZE,)
    metric_names = ("validation accuracy of the supernet",)

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
        if not isinstance(space, SearchSpace):
            raise TypeError(
                f"`space` is {space!r}; allowed are search spaces such as NASBench201Space()."
            )
        self.space = space
        self.search = SearchSettings(
            epochs=epochs,
            batch_size=batch_size,
            order=order,
            xi=xi,
            learning_rate=learning_rate,
            final_learning_rate=final_learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            gradient_clip=gradient_clip,
            architecture_learning_rate=architecture_learning_rate,
            architecture_weight_decay=architecture_weight_decay,
        )
        self.channels = None if channels is None else checked_integer("channels", channels)
        self.cells = None if cells is None else checked_integer("cells", cells)
        self.relaxation: Relaxation = Softmax() if relaxation is None else relaxation
        self.edge_weights = bool(edge_weights)
        self.held_out = checked_share("held_out", held_out)
        self.device = usable_device(device)
        self.seed = checked_integer("seed", seed, 0, 2**31 - 1)
        self.artifacts = artifacts
        if artifacts is not None:
            open_artifacts(artifacts)  # refuses what is none
        self.data = data if isinstance(data, ImageData) else load_images(data)
        warn_of_few(self.data)
        self.augmentation = chosen_augmentation(self.data, flip, crop_padding, cutout)
        part_sizes(self.data, self.held_out)  # refuses empty ones
        self._check_supernet()

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The settings that trials suggest."""
        return self.search.distributions

    def settings(self) -> dict[str, Any]:
        """What, besides the suggested settings, decides the outcome of a trial; JSON values."""
        return {
            "space": self.space.to_dict(),
            "data": self.data.describe(),
            **self.search.fixed,
            "channels": self.channels,
            "cells": self.cells,
            "relaxation": repr(self.relaxation),
            "edge_weights": self.edge_weights,
            "held_out": self.held_out,
            **asdict(self.augmentation),
            "seed": self.seed,
        }

    def __call__(self, trial: BaseTrial) -> float:
        """Search once.

        Returns:
            The validation accuracy of the supernet after the last epoch, from 0 to 1.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial, or the search diverged.
            ValueError: The study does not maximise.
        """
        check_directions(trial, self.metric_names, self.directions)
        remember_space(trial, self.space, derived=True)
        recipe = self.search.recipe(trial, self.augmentation)
        chosen = {k: v for k, v in vars(recipe).items() if k != "augmentation"}
        with TrialRun(trial, self.artifacts, fingerprint={**chosen, **self.settings()}) as run:
            value = self._search(trial, run, recipe)
            run.finish(value)
            return value

    def evaluate(self, params: Mapping[str, Any]) -> float:
        """Search once, outside of any study.

        Args:
            params: A value for each setting that is a distribution.

        Returns:
            The validation accuracy of the supernet after the last epoch, from 0 to 1.
        """
        return self(optuna.trial.FixedTrial(dict(params)))

    def build(self, generator: torch.Generator | None = None) -> Supernet:
        """Build the supernet in this objective's size, on the CPU.

        Args:
            generator: What draws the initial weights; None means one with this objective's seed.
        """
        return build_supernet(
            self.space,
            num_classes=self.data.num_classes,
            in_channels=self.data.in_channels,
            channels=self.channels,
            cells=self.cells,
            generator=generator or torch.Generator().manual_seed(self.seed),
        )

    def _search(self, trial: BaseTrial, run: TrialRun, recipe: SearchRecipe) -> float:
        generator = torch.Generator().manual_seed(self._seed_of(run.origin))
        supernet = self.build(generator)
        parameters = ArchitectureParameters(
            supernet.edges,
            supernet.operations,
            relaxation=self.relaxation,
            generator=generator,
            edge_weights=self.edge_weights,
        )
        run.log(supernet_parameters=count_parameters(supernet))
        run.log(validation_images=len(self.data.validation))
        supernet.to(self.device)
        parameters.to(self.device)
        path = ArchitecturePath(supernet, parameters)
        try:
            value = self._fit(supernet, parameters, path, run, recipe, generator)
        except DivergedError as error:
            trial.set_user_attr("diverged", str(error))
            raise optuna.TrialPruned(f"The search diverged: {error}.") from error
        finally:
            if run.curve:
                self._publish(trial, run, path)
        return value

    def _fit(
        self,
        supernet: Supernet,
        parameters: ArchitectureParameters,
        path: ArchitecturePath,
        run: TrialRun,
        recipe: SearchRecipe,
        generator: torch.Generator,
    ) -> float:
        train, held_out, validation = self._on_device
        trainer = SupernetTrainer(supernet, parameters, train, held_out, recipe, generator)
        seconds, first = 0.0, 0
        if (saved := run.restore()) is None:
            path.record()
        else:
            trainer.load(saved["trainer"])
            path.load(saved["path"])
            seconds, first = saved["seconds"], saved["epoch"] + 1
        for epoch in range(first, self.search.epochs):
            started = time.perf_counter()
            trainer.train_epoch()
            seconds += time.perf_counter() - started
            run.log(seconds=seconds)
            path.record()
            network = RelaxedNetwork(supernet, parameters.strengths())
            run.report(accuracy(network, validation), epoch)
            run.checkpoint(
                {
                    "trainer": trainer.state(),
                    "path": path.state(),
                    "seconds": seconds,
                    "epoch": epoch,
                }
            )
        return run.curve[self.search.epochs - 1]

    def _publish(self, trial: BaseTrial, run: TrialRun, path: ArchitecturePath) -> None:
        architecture = path.architectures[-1]
        trial.set_user_attr("architecture", str(architecture))
        trial.set_user_attr(PARAMS_ATTR, architecture.params)
        name = f"Trial {trial.number}"
        run.publish("cell.svg", cell_svg(architecture))
        publish_learning_curve(run, trial.number)
        run.publish("trajectory.svg", path.svg(f"{name}: weights of the operations by epoch"))
        run.publish("derived_cells.csv", path.table(run.curve))

    @cached_property
    def _on_device(self) -> tuple[ImageSplit, ImageSplit, ImageSplit]:
        """The images for the weights, for the architecture, and for validation."""
        splits = search_parts(self.data, self.held_out, self.seed)
        train, held_out, validation = (
            split.to(self.device) for split in (*splits, self.data.validation)
        )
        return train, held_out, validation

    def _seed_of(self, number: int) -> int:
        # Hashed together: torch's generator of the CPU looks at 32 bits of its seed only.
        return int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])

    def _check_supernet(self) -> None:
        """Build a supernet once, so that what cannot work is said before anything is trained."""
        generator = torch.Generator().manual_seed(self.seed)
        supernet = self.build(generator)
        parameters = ArchitectureParameters(
            supernet.edges,
            supernet.operations,
            relaxation=self.relaxation,
            generator=generator,
            edge_weights=self.edge_weights,
        )
        weights = parameters.strengths()
        with torch.no_grad():
            supernet(torch.zeros(2, self.data.in_channels, *self.data.image_size), weights)
        supernet.derive(weights)
