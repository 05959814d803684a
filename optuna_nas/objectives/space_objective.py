"""What all objectives have in common that train networks of a space on a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from optuna_nas._accuracy import measured_attributes
from optuna_nas.objectives.training import evaluate
from optuna_nas.objectives.training_objective import TrainingObjective
from optuna_nas.spaces import SearchSpace
from optuna_nas.tasks import Measured, Splits

if TYPE_CHECKING:
    from torch import nn

    from optuna_nas.tasks import Task
    from optuna_nas.trials import TrialRun


@dataclass(eq=False, repr=False)
class SpaceObjective(TrainingObjective):
    """An objective that trains networks of a space on a task.

    Attributes:
        task: What is learnt.
    """

    space: SearchSpace
    task: Task = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.space, SearchSpace):
            raise TypeError(
                f"`space` is {self.space!r}; allowed are search spaces such as NASBench201Space()."
            )
        super().__post_init__()

    def settings(self) -> dict[str, Any]:
        """What, besides what a trial suggests, decides its outcome; JSON values."""
        about = {"space": self.space.to_dict(), "data": self.task.data.describe()}
        return about | super().settings() | dict(self.task.settings)

    @property
    def _ends(self) -> dict[str, Any]:
        """What networks are built for: what goes in, and what comes out."""
        return {"num_classes": self.task.outputs, "in_channels": self.task.input_shape[0]}

    @property
    def _example(self) -> torch.Tensor:
        """The inputs that networks are measured with: one of zeros, where is trained."""
        return torch.zeros(1, *self.task.input_shape, device=self.device)

    def _generator(self) -> torch.Generator:
        """What draws initial weights where nobody says so."""
        return torch.Generator().manual_seed(self.seed)

    @cached_property
    def _on_device(self) -> Splits:
        return self.task.splits.to(self.device)

    def _validated(self, *networks: nn.Module) -> float:
        """The mean score of networks on the validation examples."""
        validation, score = self._on_device.validation, self.task.score
        scores = [evaluate(network, validation, score).value for network in networks]
        return sum(scores) / len(scores)

    def _log_scores(self, network: nn.Module, run: TrialRun) -> None:
        """Log the score on the test examples, and unless it is an accuracy the errors."""
        name = self.task.score.name
        logged: dict[str, float] = {}
        for split in ("validation", "test"):
            found: Measured = evaluate(network, getattr(self._on_device, split), self.task.score)
            logged |= measured_attributes(split, name, found.value, found.error)
        logged.pop("validation_accuracy", None)  # the value itself
        run.log(**logged)
        if name != "accuracy":
            run.trial.set_user_attr("score", name)
