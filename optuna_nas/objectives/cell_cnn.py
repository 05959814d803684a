"""Build the network of a cell, train it from scratch, and return its validation accuracy.

One trial:

1. the space suggests an architecture;
2. its network is built and trained for `epochs` epochs; after each one the validation accuracy is
   reported (the pruner may stop the trial) and a checkpoint is written;
3. the accuracy on the test images is measured once and logged; nothing is searched on it.

The trial gets the user attributes `architecture`, `parameters`, `flops` (multiply-accumulates of
one image), `seconds` (of training, all resumed parts together), `test_accuracy`, and
`validation_images` and `test_images` (how many the accuracies are of), and the artifacts
`cell.svg` and `learning_curve.svg`. A trial whose training diverges is pruned, and the
user attribute `diverged` says how.
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

from optuna_nas._checks import checked_integer, checked_positive, checked_share
from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.data import ImageData, load_images
from optuna_nas.data.few import warn_of_few
from optuna_nas.networks import build_network, count_macs, count_parameters, operation
from optuna_nas.objectives.devices import usable_device
from optuna_nas.objectives.directions import check_directions
from optuna_nas.objectives.pictures import publish_learning_curve
from optuna_nas.objectives.training import Trainer, evaluate
from optuna_nas.spaces import SearchSpace
from optuna_nas.tasks import Splits, image_classification
from optuna_nas.trials import TrialRun, queued_if_interrupted
from optuna_nas.trials.divergence import DivergedError
from optuna_nas.visualization.cells import cell_svg

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial
    from torch import nn

    from optuna_nas.spaces import Architecture

ARTIFACTS = "optuna-nas-artifacts"
"""The folder that an objective writes to unless told otherwise."""


class CellCNN:
    """Train the network of a cell on images; the value of a trial is its validation accuracy.

    Args:
        space: The search space; its architectures must have networks.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        epochs: Passes over the training images.
        batch_size: Images of a step.
        channels: Width of the network; None is the published one.
        cells: Depth of the network; None is the published one.
        learning_rate: Peak of the learning rate.
        momentum: Nesterov momentum.
        weight_decay: L2 penalty.
        flip: Whether training images are mirrored at random. None: if they are coloured (grey
            images are often characters, which a mirror changes).
        crop_padding: Pixels of padding before the random crop. None: an eighth of the side.
        cutout: Side of the square that is blanked in training images, in pixels.
        gradient_clip: Largest norm of the gradient; infinite for none.
        auxiliary: Whether to train with the auxiliary head (`DARTSSpace` only).
        drop_path_probability: Probability to drop a path in the last epoch; it rises linearly
            from zero (`DARTSSpace` only).
        device: Where to train; None is a GPU if there is one.
        seed: Seed of the trainings. Trial `n` is seeded with this and `n`.
        artifacts: Folder or bucket (see :func:`optuna_nas.artifacts.open_artifacts`) of pictures,
            checkpoints and best weights, shared by all workers; None keeps no files, so that an
            interrupted trial starts again.

    Raises:
        TypeError: `space` is no search space, or has no networks.
        ValueError: A number is out of range, an operation of the space is not registered, the
            images are too small for the networks, `device` cannot be used, or `artifacts` is a
            file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> objective = nas.objectives.CellCNN(nas.spaces.NASBench201Space(), "digits", epochs=2)
        >>> study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler())
        >>> study.optimize(objective, n_trials=3)  # doctest: +SKIP
    """

    directions = (optuna.study.StudyDirection.MAXIMIZE,)
    metric_names = ("validation accuracy",)

    def __init__(
        self,
        space: SearchSpace,
        data: ImageData | str | Path,
        *,
        epochs: int = 12,
        batch_size: int = 64,
        channels: int | None = None,
        cells: int | None = None,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        flip: bool | None = None,
        crop_padding: int | None = None,
        cutout: int = 0,
        gradient_clip: float = 5.0,
        auxiliary: bool = False,
        drop_path_probability: float = 0.0,
        device: str | torch.device | None = None,
        seed: int = 0,
        artifacts: str | Path | ArtifactPlace | None = ARTIFACTS,
    ) -> None:
        if not isinstance(space, SearchSpace):
            raise TypeError(
                f"`space` is {space!r}; allowed are search spaces such as NASBench201Space()."
            )
        self.space = space
        self.epochs = checked_integer("epochs", epochs)
        self.batch_size = checked_integer("batch_size", batch_size, 2)  # batch norm needs two
        self.channels = None if channels is None else checked_integer("channels", channels)
        self.cells = None if cells is None else checked_integer("cells", cells)
        self.learning_rate = checked_positive("learning_rate", learning_rate)
        self.momentum = checked_share("momentum", momentum)
        self.weight_decay = checked_share("weight_decay", weight_decay)
        self.gradient_clip = checked_positive("gradient_clip", gradient_clip, infinite=True)
        self.auxiliary = bool(auxiliary)
        self.drop_path_probability = checked_share("drop_path_probability", drop_path_probability)
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
        self._check_network()

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The distributions of the space."""
        return self.space.distributions

    def settings(self) -> dict[str, Any]:
        """What, besides the architecture, decides the outcome of a trial; JSON values."""
        return {
            "space": self.space.to_dict(),
            "data": self.data.describe(),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "channels": self.channels,
            "cells": self.cells,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            **self.task.settings,
            "gradient_clip": self.gradient_clip,
            "auxiliary": self.auxiliary,
            "drop_path_probability": self.drop_path_probability,
            "seed": self.seed,
        }

    def __call__(self, trial: BaseTrial) -> float:
        """Train the architecture that the trial suggests.

        Returns:
            The validation accuracy after the last epoch, from 0 to 1.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial, the training diverged, or a foreign
                sampler proposed what is no architecture.
            ValueError: The study does not maximise.
        """
        check_directions(trial, self.metric_names, self.directions)
        with queued_if_interrupted(trial):
            return self._train(self.space.suggest(trial), trial)

    def evaluate(self, params: Mapping[str, Any]) -> float:
        """Train the architecture with these parameters, outside of any study.

        Args:
            params: A value for each parameter of the space.

        Returns:
            The validation accuracy after the last epoch, from 0 to 1.
        """
        architecture = self.space.architecture(params)
        return self._train(architecture, optuna.trial.FixedTrial(architecture.params))

    def build(
        self, architecture: Architecture, generator: torch.Generator | None = None
    ) -> nn.Module:
        """Build the network of an architecture in this objective's size, on the CPU.

        Args:
            architecture: What to build.
            generator: What draws the initial weights; None means one with this objective's seed.
        """
        return build_network(
            architecture,
            num_classes=self.task.outputs,
            in_channels=self.task.input_shape[0],
            channels=self.channels,
            cells=self.cells,
            auxiliary=self.auxiliary,
            generator=generator or torch.Generator().manual_seed(self.seed),
        )

    def _train(self, architecture: Architecture, trial: BaseTrial) -> float:
        fingerprint = {"architecture": architecture.params, **self.settings()}
        with TrialRun(trial, self.artifacts, fingerprint=fingerprint) as run:
            generator = torch.Generator().manual_seed(self._trial_seed(run.origin))
            network = self.build(architecture, generator)
            trial.set_user_attr("architecture", str(architecture))
            run.log(
                parameters=count_parameters(network),
                flops=count_macs(network, self.task.input_shape),
            )
            run.log(**self.data.measured_on)
            run.publish("cell.svg", cell_svg(architecture))
            try:
                value = self._fit(network.to(self.device), generator, run)
                test = evaluate(network, self._on_device.test, self.task.score)
                run.log(test_accuracy=test.value)
            except DivergedError as error:
                trial.set_user_attr("diverged", str(error))
                raise optuna.TrialPruned(f"The training diverged: {error}.") from error
            finally:
                publish_learning_curve(run, trial.number)
            run.finish(value, network.state_dict())
            return value

    def _fit(self, network: nn.Module, generator: torch.Generator, run: TrialRun) -> float:
        trainer = Trainer(
            network,
            self._on_device.train,
            task=self.task,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            generator=generator,
        )
        seconds, first = 0.0, 0
        if (saved := run.restore()) is not None:
            trainer.load(saved["trainer"])
            seconds, first = saved["seconds"], saved["epoch"] + 1
        for epoch in range(first, self.epochs):
            started = time.perf_counter()
            if self.drop_path_probability:
                share = epoch / self.epochs
                probability = share * self.drop_path_probability
                network.drop_path_probability = probability  # type: ignore[assignment]
            trainer.train_epoch()
            seconds += time.perf_counter() - started
            run.log(seconds=seconds)
            value = evaluate(network, self._on_device.validation, self.task.score).value
            run.report(value, epoch)
            run.checkpoint({"trainer": trainer.state(), "seconds": seconds, "epoch": epoch})
        return run.curve[self.epochs - 1]

    @cached_property
    def _on_device(self) -> Splits:
        return self.task.splits.to(self.device)

    def _trial_seed(self, number: int) -> int:
        # Hashed together: torch's generator of the CPU looks at 32 bits of its seed only.
        return int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])

    def _check_network(self) -> None:
        """Build a network once, so that what cannot work is said before anything is trained."""
        for name in getattr(self.space, "operations", ()):
            operation(name)  # a single network need not have all of them
        architecture = self.space.random(np.random.default_rng(self.seed))
        network = self.build(architecture, torch.Generator().manual_seed(self.seed))
        count_macs(network, self.task.input_shape)
        if self.auxiliary:  # whose head only sees images in training
            with torch.no_grad():
                network.train()(torch.zeros(2, *self.task.input_shape))
        if self.drop_path_probability and not hasattr(network, "drop_path_probability"):
            raise ValueError(
                f"`drop_path_probability` is {self.drop_path_probability}, but networks of "
                f"{self.space.name} have no paths to drop; allowed is 0."
            )
