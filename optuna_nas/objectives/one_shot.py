"""One whole search on shared weights as one trial.

One trial:

1. the training images are split in two: one part for the weights of the supernet, one for the
   architecture;
2. the supernet is trained for `epochs` epochs by the method's steps (see `methods.engine`); after
   each epoch the accuracy on the validation images, which neither has seen, is reported (the
   pruner may stop the trial) and a checkpoint is written;
3. the architecture is chosen as the method does.

The value is the supernet's validation accuracy after the last epoch. It says how well the search
went, not how good the architecture is: for that, train the architecture, which waits in the
trial as parameters of the space::

    study.enqueue_trial(derived_params(search.best_trial))
    study.optimize(CellCNN(space, data), n_trials=1)

The trial gets the user attributes `architecture`, `derived_params`, `supernet_parameters`,
`validation_images` (how many its accuracy is of) and `seconds`, and the artifacts `cell.svg`,
`learning_curve.svg`, `trajectory.npz` (the strengths of the operations after each epoch, an array
for each kind of cell), `trajectory.svg` (their picture) and `derived_cells.csv` (the architecture
after each epoch). A trial that diverges is pruned, and the user attribute `diverged` says how.

*Departures*: the publications report the accuracy on the images that the architecture is learnt
on; here it is that on images of a third part.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import torch
from optuna.distributions import CategoricalDistribution

from optuna_nas._checks import checked_integer, checked_share
from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.data import ImageData, ImageSplit, load_images
from optuna_nas.data.few import warn_of_few
from optuna_nas.methods import Engine, Method
from optuna_nas.networks import count_parameters
from optuna_nas.objectives.architecture_path import derived_csv, path_svg
from optuna_nas.objectives.cell_cnn import ARTIFACTS
from optuna_nas.objectives.devices import usable_device
from optuna_nas.objectives.directions import check_directions
from optuna_nas.objectives.method_choice import MethodChoice
from optuna_nas.objectives.pictures import publish_learning_curve
from optuna_nas.objectives.search_parts import part_sizes, search_parts
from optuna_nas.objectives.training import evaluate
from optuna_nas.spaces import SearchSpace, remember_space
from optuna_nas.supernets import Supernet, build_supernet
from optuna_nas.tasks import image_classification
from optuna_nas.trials import TrialRun, queued_if_interrupted
from optuna_nas.trials.divergence import DivergedError
from optuna_nas.visualization.cells import cell_svg

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial, FrozenTrial

PARAMS_ATTR = "derived_params"
"""Trial user attribute with the parameters of the derived architecture."""

_STATE = 2
"""The form of the state in a checkpoint: in the first one, weights of several edges were one."""


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


class OneShotSearch:
    """Search an architecture on shared weights, in one trial; see the module for what it does.

    Args:
        space: The search space; it must have a supernet.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        method: The name of a method (see :data:`optuna_nas.methods.METHODS`), a
            :class:`~optuna_nas.methods.Method`, or a categorical distribution of names, of which
            each trial suggests one.
        preset: `"published"` for the method's own options, or `"small"` for those that fit small
            data and short searches.
        channels: Width of the supernet; None is the published one.
        cells: Depth of the supernet; None is the published one.
        held_out: The share of the training images that the architecture is learnt on.
        flip: Whether images are mirrored at random. None: if they are coloured.
        crop_padding: Pixels of padding before the random crop. None: an eighth of the side.
        cutout: Side of the square that is blanked in images, in pixels.
        device: Where to train; None is a GPU if there is one.
        seed: Seed of the searches. Trial `n` is seeded with this and `n`.
        artifacts: Folder or bucket (see :func:`optuna_nas.artifacts.open_artifacts`) of pictures
            and checkpoints, shared by all workers; None keeps no files, so that an interrupted
            trial starts again.
        **options: Options of the method (see `Method.options`), such as `epochs` or
            `architecture_learning_rate`. Those that are tunable may be Optuna distributions; each
            trial then suggests them under their names.

    Raises:
        TypeError: `space` is no search space, or has no supernet.
        ValueError: The method or an option is unknown, a number is out of range, an operation of
            the space is not registered, the images are too small or too few, `device` cannot be
            used, or `artifacts` is a file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> space = nas.spaces.NASBench201Space()
        >>> search = nas.objectives.OneShotSearch(
        ...     space, "digits", method="gdas", epochs=5, channels=8, cells=1
        ... )
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
        method: str | Method | CategoricalDistribution = "darts",
        preset: str = "published",
        channels: int | None = None,
        cells: int | None = None,
        held_out: float = 0.5,
        flip: bool | None = None,
        crop_padding: int | None = None,
        cutout: int = 0,
        device: str | torch.device | None = None,
        seed: int = 0,
        artifacts: str | Path | ArtifactPlace | None = ARTIFACTS,
        **options: Any,
    ) -> None:
        if not isinstance(space, SearchSpace):
            raise TypeError(
                f"`space` is {space!r}; allowed are search spaces such as NASBench201Space()."
            )
        self.space = space
        self.search = MethodChoice(method, options, preset)
        self.channels = None if channels is None else checked_integer("channels", channels)
        self.cells = None if cells is None else checked_integer("cells", cells)
        self.held_out = checked_share("held_out", held_out)
        self.device = usable_device(device)
        self.seed = checked_integer("seed", seed, 0, 2**31 - 1)
        self.artifacts = artifacts
        if artifacts is not None:
            open_artifacts(artifacts)  # refuses what is none
        self.data = data if isinstance(data, ImageData) else load_images(data)
        warn_of_few(self.data)
        self.task = image_classification(
            self.data, flip=flip, crop_padding=crop_padding, cutout=cutout
        )
        part_sizes(self.data, self.held_out)  # refuses empty ones
        self._check_supernets()

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The settings that trials suggest."""
        return self.search.distributions

    def settings(self) -> dict[str, Any]:
        """What, besides the method of a trial, decides its outcome; JSON values."""
        return {
            "state": _STATE,
            "space": self.space.to_dict(),
            "data": self.data.describe(),
            "channels": self.channels,
            "cells": self.cells,
            "held_out": self.held_out,
            **self.task.settings,
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
        with queued_if_interrupted(trial):
            method = self.search.suggest(trial)
        fingerprint = {**method.describe(), **self.settings()}
        with TrialRun(trial, self.artifacts, fingerprint=fingerprint) as run:
            value = self._search(trial, run, method)
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

    def build(
        self, generator: torch.Generator | None = None, method: Method | None = None
    ) -> Supernet:
        """Build the supernet in this objective's size, on the CPU.

        Args:
            generator: What draws the initial weights; None means one with this objective's seed.
            method: The method that it is for; None for the first one.
        """
        method = next(iter(self.search.methods.values())) if method is None else method
        return build_supernet(
            self.space,
            num_classes=self.task.outputs,
            in_channels=self.task.input_shape[0],
            channels=self.channels,
            cells=self.cells,
            partial_channels=method.execution.partial_channels,
            generator=generator or torch.Generator().manual_seed(self.seed),
        )

    def _search(self, trial: BaseTrial, run: TrialRun, method: Method) -> float:
        generator = torch.Generator().manual_seed(self._seed_of(run.origin))
        supernet = self.build(generator, method)
        architecture = method.architecture(method, supernet, generator)
        run.log(supernet_parameters=count_parameters(supernet))
        run.log(validation_images=len(self.data.validation))
        train, held_out, _ = self._on_device
        engine = Engine(
            method,
            supernet.to(self.device),
            architecture.to(self.device),
            train,
            held_out,
            task=self.task,
            generator=generator,
        )
        try:
            return self._fit(engine, run)
        except DivergedError as error:
            trial.set_user_attr("diverged", str(error))
            raise optuna.TrialPruned(f"The search diverged: {error}.") from error
        finally:
            if run.curve:
                self._publish(trial, run, engine)

    def _fit(self, engine: Engine, run: TrialRun) -> float:
        validation = self._on_device[2]
        seconds, epochs = 0.0, engine.method.schedule.epochs
        if (saved := run.restore()) is not None:
            engine.load(saved["engine"])
            seconds = saved["seconds"]
        while engine.epochs < epochs and engine.kept_epochs is None:
            started = time.perf_counter()
            engine.train_epoch()
            seconds += time.perf_counter() - started
            run.log(seconds=seconds)
            scores = [
                evaluate(network, validation, self.task.score).value
                for network in engine.networks()
            ]
            run.report(float(np.mean(scores)), engine.epochs - 1)
            run.checkpoint({"engine": engine.state(), "seconds": seconds})
        return run.curve[engine.epochs - 1]

    def _publish(self, trial: BaseTrial, run: TrialRun, engine: Engine) -> None:
        architecture = engine.method.selection(engine)
        trial.set_user_attr("architecture", str(architecture))
        trial.set_user_attr(PARAMS_ATTR, architecture.params)
        run.publish("cell.svg", cell_svg(architecture))
        publish_learning_curve(run, trial.number)
        if engine.alphas:
            title = f"Trial {trial.number}: weights of the operations by epoch"
            run.publish("trajectory.npz", engine.trajectory.npz())
            run.publish("trajectory.svg", path_svg(engine, title))
            run.publish("derived_cells.csv", derived_csv(engine, run.curve))

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

    def _check_supernets(self) -> None:
        """Build each supernet once, so that what cannot work is said before training."""
        for method in self.search.methods.values():
            generator = torch.Generator().manual_seed(self.seed)
            supernet = self.build(generator, method)
            weights = method.architecture(method, supernet, generator).strengths()
            with torch.no_grad():
                supernet(torch.zeros(2, *self.task.input_shape), weights)
            supernet.derive(weights)
