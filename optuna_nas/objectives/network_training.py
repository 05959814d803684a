"""Build the network of an architecture, train it from scratch on a task, return its score.

One trial:

1. the space suggests an architecture;
2. its network is built and trained for `epochs` epochs; after each one the score on the validation
   examples is reported (the pruner may stop the trial) and a checkpoint is written;
3. the score on the test examples is measured once and logged; nothing is searched on it.

The trial gets the user attributes `architecture`, `parameters`, `flops` (multiply-accumulates of
one example), `seconds` (of training, all resumed parts together), and how many validation and test
examples there are. If the score is the accuracy, `test_accuracy`; of another score `score` (its
name), `test_score`, and the standard errors `validation_error` and `test_error`. Its artifacts are
`cell.svg` and `learning_curve.svg`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optuna_nas._options import documented
from optuna_nas.measures.goals import Learned
from optuna_nas.networks import (
    build_network,
    count_macs,
    count_parameters,
    input_axes,
    operation,
)
from optuna_nas.objectives.options import TrainingOptions
from optuna_nas.objectives.space_objective import SpaceObjective
from optuna_nas.objectives.training import Trainer
from optuna_nas.objectives.training_objective import Finished
from optuna_nas.tasks import Task
from optuna_nas.trials import Stage, Stages
from optuna_nas.visualization.cells import cell_svg

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial
    from torch import nn

    from optuna_nas.measures import Measurements
    from optuna_nas.spaces import Architecture

_KINDS = {1: "rows of numbers", 3: "images"}


@dataclass(eq=False, repr=False)
class NetworkTraining(TrainingOptions, SpaceObjective):
    """An objective that trains the network of the suggested architecture."""

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
            generator=generator or self._generator(),
            **self._ends,
            **self._network_options(),
        )

    def evaluate(self, params: Mapping[str, Any]) -> Any:
        """Train the network of an architecture, outside of any study.

        Args:
            params: A value for each parameter of the space.

        Returns:
            The score after the last epoch, or the value of each goal.

        Raises:
            ValueError: The parameters are no architecture.
        """
        return super().evaluate(self.space.architecture(params).params)

    def _network_options(self) -> dict[str, Any]:
        """More arguments of `build_network`."""
        return {}

    def _trainer(self, network: nn.Module, generator: torch.Generator) -> Trainer:
        return Trainer(network, self._on_device.train, self.task, self, generator)

    def _suggest(self, trial: BaseTrial) -> Architecture:
        return self.space.suggest(trial)

    def _fingerprint(self, suggested: Architecture) -> dict[str, Any]:
        return {"architecture": suggested.params}

    def _train(self, suggested: Architecture, stages: Stages, measured: Measurements) -> Finished:
        run, generator = stages.run, stages.generator()
        network = self.build(suggested, generator)
        run.trial.set_user_attr("architecture", str(suggested))
        macs = count_macs(network, self.task.input_shape)
        run.log(parameters=count_parameters(network), flops=macs, **self.task.data.measured_on)
        run.publish("cell.svg", cell_svg(suggested))
        network, example = network.to(self.device), self._example
        measured.before_training(network, example)
        trainer = self._trainer(network, generator)
        stages.train(Stage(trainer, lambda: self._validated(network)), self.epochs)
        self._log_scores(network, run)
        measured.after_training(network, example)
        return Finished(stages.value, network.state_dict())

    def _check_network(self) -> nn.Module:
        """Build a network once, so that what cannot work is said before anything is trained."""
        for name in getattr(self.space, "operations", ()):
            operation(name)  # a single network need not have all of them
        axes, shape = input_axes(self.space), self.task.input_shape
        if axes is not None and axes != len(shape):
            raise TypeError(
                f"`space` is {self.space.name}, whose networks read {_KINDS[axes]}; the task has "
                f"{_KINDS.get(len(shape), 'inputs')} of shape {shape}."
            )
        network = self.build(self.space.random(np.random.default_rng(self.seed)))
        count_macs(network, shape)
        return network


@documented
@dataclass(eq=False, repr=False)
class TaskTraining(NetworkTraining):
    """Train the network of an architecture on a task; the value of a trial is its score.

    Args:
        space: The search space; its architectures must have networks.
        task: What is learnt, such as `tasks.tabular(load_table("houses.csv", target="price"))`.

    Raises:
        TypeError: `space` is no search space, has no networks, or they read something else than
            the task has; or `task` is no task.
        ValueError: An option is out of range, an operation of the space is not registered,
            `device` cannot be used, or `artifacts` is a file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> task = nas.tasks.tabular(nas.data.load_table("diabetes"))
        >>> objective = nas.objectives.TaskTraining(nas.spaces.MLPSpace(), task, epochs=5)
        >>> study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler())
        >>> study.optimize(objective, n_trials=3)  # doctest: +SKIP
    """

    task: Task

    def __post_init__(self) -> None:
        if not isinstance(self.task, Task):
            raise TypeError(
                f"`task` is {self.task!r}; allowed are tasks such as "
                'tasks.tabular(load_table("diabetes")).'
            )
        super().__post_init__()

    @property
    def _learned(self) -> Learned:
        score = self.task.score
        return Learned(score.name.lower(), f"validation {score.name}", score.direction)

    @property
    def data(self) -> Any:
        """The data of the task."""
        return self.task.data
