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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from optuna_nas._options import documented
from optuna_nas.networks import build_network, count_macs, count_parameters, operation
from optuna_nas.objectives.image_objective import ImageObjective
from optuna_nas.objectives.options import CellCNNOptions
from optuna_nas.objectives.training import Trainer, evaluate
from optuna_nas.objectives.training_objective import Finished
from optuna_nas.trials import Stage, Stages
from optuna_nas.visualization.cells import cell_svg

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial
    from torch import nn

    from optuna_nas.measures import Measurements
    from optuna_nas.spaces import Architecture


@documented
@dataclass(eq=False, repr=False)
class CellCNN(ImageObjective, CellCNNOptions):
    """Train the network of a cell on images; the value of a trial is its validation accuracy.

    Args:
        space: The search space; its architectures must have networks.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.

    Raises:
        TypeError: `space` is no search space, or has no networks.
        ValueError: An option is out of range, an operation of the space is not registered, the
            images are too small for the networks, `device` cannot be used, or `artifacts` is a
            file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> objective = nas.objectives.CellCNN(nas.spaces.NASBench201Space(), "digits", epochs=2)
        >>> study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler())
        >>> study.optimize(objective, n_trials=3)  # doctest: +SKIP
    """

    metric_name = "validation accuracy"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_network()

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The distributions of the space."""
        return self.space.distributions

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
            channels=self.channels,
            cells=self.cells,
            auxiliary=self.auxiliary,
            generator=generator or self._generator(),
            **self._ends,
        )

    def _suggest(self, trial: BaseTrial) -> Architecture:
        return self.space.suggest(trial)

    def _fingerprint(self, suggested: Architecture) -> dict[str, Any]:
        return {"architecture": suggested.params}

    def _train(self, suggested: Architecture, stages: Stages, measured: Measurements) -> Finished:
        run, generator = stages.run, stages.generator()
        network = self.build(suggested, generator)
        run.trial.set_user_attr("architecture", str(suggested))
        macs = count_macs(network, self.task.input_shape)
        run.log(parameters=count_parameters(network), flops=macs, **self.data.measured_on)
        run.publish("cell.svg", cell_svg(suggested))
        network, example = network.to(self.device), self._example
        measured.before_training(network, example)
        trainer = Trainer(
            network,
            self._on_device.train,
            self.task,
            self,
            generator,
            drop_path_probability=self.drop_path_probability,
        )
        stages.train(Stage(trainer, lambda: self._validated(network)), self.epochs)
        test = evaluate(network, self._on_device.test, self.task.score)
        run.log(test_accuracy=test.value)
        measured.after_training(network, example)
        return Finished(stages.value, network.state_dict())

    def _check_network(self) -> None:
        """Build a network once, so that what cannot work is said before anything is trained."""
        for name in getattr(self.space, "operations", ()):
            operation(name)  # a single network need not have all of them
        network = self.build(self.space.random(np.random.default_rng(self.seed)))
        count_macs(network, self.task.input_shape)
        if self.auxiliary:  # whose head only sees images in training
            with torch.no_grad():
                network.train()(torch.zeros(2, *self.task.input_shape))
        if self.drop_path_probability and not hasattr(network, "drop_path_probability"):
            raise ValueError(
                f"`drop_path_probability` is {self.drop_path_probability}, but networks of "
                f"{self.space.name} have no paths to drop; allowed is 0."
            )
