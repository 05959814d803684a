"""What all objectives that train have in common: how one trial goes.

1. The study's directions are compared with those of the values.
2. The trial suggests what it suggests, and is queued again if Ctrl-C comes meanwhile.
3. What decides its outcome (settings, and what was suggested) becomes the fingerprint of its
   checkpoint.
4. The objective trains, in the stages of `trials.stages`. A trial whose training diverges is
   pruned, and its user attribute `diverged` says how.
5. The learning curve is published however it ends, and the weights of the best trials are kept.
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
from optuna_nas.objectives.devices import usable_device
from optuna_nas.objectives.directions import check_directions
from optuna_nas.objectives.options import CommonOptions
from optuna_nas.objectives.pictures import publish_learning_curve
from optuna_nas.trials import Stages, TrialRun, queued_if_interrupted
from optuna_nas.trials.divergence import DivergedError

if TYPE_CHECKING:
    import torch
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

_STATE = 3
"""The form of checkpoints: those of an earlier one are not gone on from."""


@dataclass(frozen=True)
class Finished:
    """What a trial has come to.

    Attributes:
        value: The value of the trial.
        weights: The state dict to keep if the trial is among the best; None to keep none.
    """

    value: float
    weights: Mapping[str, torch.Tensor] | None = None


@dataclass(eq=False, repr=False)
class TrainingObjective(CommonOptions, ABC):
    """An objective that trains, with its options checked; see the module for how a trial goes."""

    metric_name: ClassVar[str]
    """What the value of a trial is called."""

    def __post_init__(self) -> None:
        check_options(self)
        self.device: torch.device = usable_device(self.device)
        if self.artifacts is not None:
            open_artifacts(self.artifacts)  # refuses what is none

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What the values of a trial are called."""
        return (self.metric_name,)

    @property
    def directions(self) -> tuple[StudyDirection, ...]:
        """Where the values are to go."""
        return (StudyDirection.MAXIMIZE,)

    @property
    @abstractmethod
    def search_space(self) -> dict[str, BaseDistribution]:
        """What trials suggest."""

    def settings(self) -> dict[str, Any]:
        """What, besides what a trial suggests, decides its outcome; JSON values."""
        declared = options_of(type(self)).values()
        return {"state": _STATE, **{o.name: getattr(self, o.name) for o in declared if o.decides}}

    def __call__(self, trial: BaseTrial) -> float:
        """Run a trial.

        Returns:
            Its value: an accuracy, from 0 to 1.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial, the training diverged, or a foreign
                sampler proposed what is no architecture.
            ValueError: The study has other directions.
        """
        check_directions(trial, self.metric_names, self.directions)
        with queued_if_interrupted(trial):
            suggested = self._suggest(trial)
        fingerprint = {**self._fingerprint(suggested), **self.settings()}
        with TrialRun(trial, self.artifacts, fingerprint=fingerprint) as run:
            try:
                found = self._train(suggested, Stages(run, self.seed))
            except DivergedError as error:
                trial.set_user_attr("diverged", str(error))
                raise optuna.TrialPruned(f"The training diverged: {error}.") from error
            finally:
                publish_learning_curve(run, trial.number)
            run.finish(found.value, found.weights)
            return found.value

    def evaluate(self, params: Mapping[str, Any]) -> float:
        """Run a trial outside of any study.

        Args:
            params: A value for each parameter that a trial suggests.

        Returns:
            Its value: an accuracy, from 0 to 1.
        """
        return self(optuna.trial.FixedTrial(dict(params)))

    @abstractmethod
    def _suggest(self, trial: BaseTrial) -> Any:
        """What to train, as the trial suggests it."""

    @abstractmethod
    def _fingerprint(self, suggested: Any) -> dict[str, Any]:
        """What was suggested, as JSON values."""

    @abstractmethod
    def _train(self, suggested: Any, stages: Stages) -> Finished:
        """Train it."""
