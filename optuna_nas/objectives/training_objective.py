"""What all objectives that train have in common: how one trial goes.

1. The study's directions are compared with those of the values.
2. The trial suggests what it suggests, and is queued again if Ctrl-C comes meanwhile.
3. What decides its outcome (settings, and what was suggested) becomes the fingerprint of its
   checkpoint.
4. What was asked for is measured of the network (see `measures`): before the training, so that
   one over a limit is not trained, or after it.
5. The objective trains, in the stages of `trials.stages`. A trial whose training diverges is
   pruned, and its user attribute `diverged` says how.
6. The learning curve is published however it ends, and the weights of the best trials are kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import optuna
from optuna.study import StudyDirection

from optuna_nas._options import check_options, options_of
from optuna_nas.artifacts import open_artifacts
from optuna_nas.measures import Goals, Learned, Measurements
from optuna_nas.objectives.devices import usable_device
from optuna_nas.objectives.directions import check_directions
from optuna_nas.objectives.options import CommonOptions, GoalOptions
from optuna_nas.objectives.pictures import publish_learning_curve
from optuna_nas.trials import Stages, TrialRun, queued_if_interrupted
from optuna_nas.trials.divergence import DivergedError

if TYPE_CHECKING:
    import torch
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

_GOALS = frozenset(options_of(GoalOptions))

_STATE = 3
"""The form of checkpoints: those of an earlier one are not gone on from."""


@dataclass(frozen=True)
class Finished:
    """What a trial has come to.

    Attributes:
        value: What was learned: an accuracy, or another score.
        weights: The state dict to keep if the trial is among the best; None to keep none.
    """

    value: float
    weights: Mapping[str, torch.Tensor] | None = None


@dataclass(eq=False, repr=False)
class TrainingObjective(CommonOptions, ABC):
    """An objective that trains, with its options checked; see the module for how a trial goes."""

    metric_name: ClassVar[str]
    """What a study calls the accuracy, or another score, that is learned."""

    def __post_init__(self) -> None:
        check_options(self)
        self.device: torch.device = usable_device(self.device)
        self._measured_on: torch.device | None = None
        if self.measure_device is not None:
            self._measured_on = usable_device(self.measure_device, "measure_device")
        self._goals = Goals(
            [self._learned],
            goals=self.goals,
            measures=self.measures,
            limits=self.limits,
        )
        if self.artifacts is not None:
            open_artifacts(self.artifacts)  # refuses what is none

    @property
    def _learned(self) -> Learned:
        """The value that is learned."""
        return Learned("accuracy", self.metric_name)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What the values of a trial are called."""
        return self._goals.metric_names

    @property
    def directions(self) -> tuple[StudyDirection, ...]:
        """Where the values are to go."""
        return self._goals.directions

    @property
    def limited(self) -> dict[str, float]:
        """The limits by the name of the measure."""
        return self._goals.limits

    @property
    @abstractmethod
    def search_space(self) -> dict[str, BaseDistribution]:
        """What trials suggest."""

    def settings(self) -> dict[str, Any]:
        """What, besides what a trial suggests, decides its outcome; JSON values."""
        declared = options_of(type(self)).values()
        plain = (o.name for o in declared if o.decides and o.name not in _GOALS)
        return {
            "state": _STATE,
            **{name: getattr(self, name) for name in plain},
            **self._goals.settings(self._measured_on),
        }

    def __call__(self, trial: BaseTrial) -> Any:
        """Run a trial.

        Returns:
            Its value, such as an accuracy from 0 to 1, or that of each goal.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial, the network is over a limit, the
                training diverged, or a foreign sampler proposed what is no architecture.
            UserError: This machine cannot measure something.
            ValueError: The study has other directions.
        """
        check_directions(trial, self.metric_names, self.directions)
        with queued_if_interrupted(trial):
            suggested = self._suggest(trial)
        fingerprint = {**self._fingerprint(suggested), **self.settings()}
        with TrialRun(trial, self.artifacts, fingerprint=fingerprint) as run:
            measured = Measurements(self._goals, run, self._measured_on)
            try:
                found = self._train(suggested, Stages(run, self.seed), measured)
            except DivergedError as error:
                trial.set_user_attr("diverged", str(error))
                raise optuna.TrialPruned(f"The training diverged: {error}.") from error
            finally:
                publish_learning_curve(run, trial.number)
            values = measured.values({self._learned.name: found.value})
            run.finish(values, found.weights)
            return values if len(values) > 1 else values[0]

    def evaluate(self, params: Mapping[str, Any]) -> Any:
        """Run a trial outside of any study.

        Args:
            params: A value for each parameter that a trial suggests.

        Returns:
            Its value, such as an accuracy from 0 to 1, or that of each goal.
        """
        return self(optuna.trial.FixedTrial(dict(params)))

    @abstractmethod
    def _suggest(self, trial: BaseTrial) -> Any:
        """What to train, as the trial suggests it."""

    @abstractmethod
    def _fingerprint(self, suggested: Any) -> dict[str, Any]:
        """What was suggested, as JSON values."""

    @abstractmethod
    def _train(self, suggested: Any, stages: Stages, measured: Measurements) -> Finished:
        """Train it, and have its network measured."""
