"""Settings of a training, learnt by gradient: one trial is one whole descent.

1. The trial suggests what is given as distributions: values of hyper-parameters to begin with,
   learning rate, momentum, the method.
2. In each epoch one training of the problem is made and differentiated, and the settings take a
   step (`meta.descent`). The validation loss after the training is reported, and a checkpoint is
   written.
3. A last training is made with what was learnt, from new weights. Its validation loss is the value
   of the trial.

With the method `"none"` there is only the last training: then the study's sampler searches, TPE or
BANANAS, and trials of both kinds can be compared in one study.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.study import StudyDirection
from torch import Tensor

from optuna_nas._checks import checked_integer, checked_positive
from optuna_nas._choices import choose
from optuna_nas.artifacts import open_artifacts
from optuna_nas.meta import HYPERGRADIENTS, HypergradientMethod, Problem, Training, Unrolling
from optuna_nas.meta.descent import MOMENTUM, RATE, MetaDescent, TrainingSettings
from optuna_nas.meta.problem import Losses
from optuna_nas.objectives.directions import check_directions
from optuna_nas.objectives.options import ARTIFACTS
from optuna_nas.objectives.pictures import publish_learning_curve
from optuna_nas.spaces.base import suggest_parameter
from optuna_nas.trials import Stage, Stages, TrialRun, queued_if_interrupted
from optuna_nas.trials.divergence import DivergedError
from optuna_nas.visualization.curves import learning_curve_svg

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

    from optuna_nas.artifacts import ArtifactPlace

Setting: TypeAlias = float | FloatDistribution
"""A number to begin with, or a distribution that each trial suggests it from."""

_STATE = 1
"""The form of checkpoints: those of an earlier one are not gone on from."""

NONE = "none"
_MOST_LINES = 6
_META_RATE = "meta_learning_rate"


@dataclass(frozen=True)
class Suggested:
    """What a trial does."""

    method: HypergradientMethod | None
    hyper: dict[str, Tensor]
    training: TrainingSettings


class MetaOptimization:
    """Learn hyper-parameters by gradient, in one trial; see the module for what it does.

    Args:
        problem: The problem; see :class:`optuna_nas.meta.Problem`. If it has a method
            `scores(weights)` that returns numbers by name, they are logged for the last weights;
            if it has `settings()`, which returns JSON values, they tell its checkpoints apart.
        hyper: The hyper-parameters of the problem, to begin with: for each name a number, a
            tensor, a `FloatDistribution`, or a list of numbers and distributions. Elements of a
            list are suggested as `name[0]`, `name[1]`, ...
        method: A name of `HYPERGRADIENTS` or `"none"`; a method; or a categorical distribution of
            names, of which each trial suggests one.
        steps: Steps of a training.
        epochs: Trainings that are differentiated, before the last one.
        learning_rate: Learning rate of the trainings, to begin with: a number or a distribution.
        momentum: Their momentum, from 0 to below 1, likewise.
        learnt: Which of `"learning_rate"` and `"momentum"` are learnt too.
        by_step: Whether each step learns a learning rate and a momentum of its own.
        meta_learning_rate: Learning rate of the settings: a number or a distribution.
        seed: Seed of the initial weights. Trial `n` is seeded with this and `n`.
        artifacts: Folder or bucket (see :func:`optuna_nas.artifacts.open_artifacts`) of pictures,
            checkpoints and best weights; None keeps none.

    Raises:
        ValueError: A number is out of range, the method is unknown or cannot learn what is to be
            learnt, or the problem is not what it should be.
        DivergedError: A loss of the problem's initial weights is not finite.

    Example:
        >>> import optuna
        >>> from optuna.distributions import FloatDistribution
        >>> from optuna_nas.objectives import MetaOptimization
        >>> objective = MetaOptimization(
        ...     problem, {"log_decay": FloatDistribution(-8, 0)}, method="rmad"
        ... )  # doctest: +SKIP
        >>> study = optuna.create_study()
        >>> study.optimize(objective, n_trials=4)  # doctest: +SKIP
    """

    metric_names = ("validation loss",)
    directions = (StudyDirection.MINIMIZE,)

    def __init__(
        self,
        problem: Problem,
        hyper: Mapping[str, Setting | Tensor | Sequence[Setting]],
        *,
        method: str | HypergradientMethod | CategoricalDistribution = "rmad",
        steps: int = 100,
        epochs: int = 20,
        learning_rate: Setting = 0.1,
        momentum: Setting = 0.9,
        learnt: Sequence[str] = (),
        by_step: bool = False,
        meta_learning_rate: Setting = 0.05,
        seed: int = 0,
        artifacts: str | Path | ArtifactPlace | None = ARTIFACTS,
    ) -> None:
        self.problem = problem
        self.steps = checked_integer("steps", steps)
        self.epochs = checked_integer("epochs", epochs)
        self.by_step = bool(by_step)
        self.learnt = tuple(learnt)
        for name in self.learnt:
            choose("learnt", name, dict.fromkeys((RATE, MOMENTUM)))
        if self.by_step and not self.learnt:
            raise ValueError("`by_step` is True, but `learnt` is empty; allowed is then False.")
        self.methods = _methods(method)
        self._suggests_method = isinstance(method, CategoricalDistribution)
        for name, found in self.methods.items():
            if self.learnt and found is not None and not found.tunes_training:
                raise ValueError(
                    f"`learnt` is {list(self.learnt)}, of which the method {name!r} has no "
                    "gradient; allowed is an empty list."
                )
        self.hyper = {name: _elements(name, given) for name, given in hyper.items()}
        self._shapes = {name: np.shape(cast(Any, given)) for name, given in hyper.items()}
        self.training: dict[str, Setting] = {
            RATE: learning_rate,
            MOMENTUM: momentum,
            _META_RATE: meta_learning_rate,
        }
        self.seed = checked_integer("seed", seed, 0, 2**31 - 1)
        self.artifacts = artifacts
        if artifacts is not None:
            open_artifacts(artifacts)  # refuses what is none
        self.device = torch.device("cpu")
        self._check_problem()

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """What trials suggest."""
        named: dict[str, Any] = {**self.training}
        for name, elements in self.hyper.items():
            named |= {_label(name, i, self._shapes[name]): e for i, e in enumerate(elements)}
        found = {n: d for n, d in named.items() if isinstance(d, BaseDistribution)}
        if self._suggests_method:
            found["method"] = CategoricalDistribution(list(self.methods))
        return found

    def settings(self) -> dict[str, Any]:
        """What, besides what a trial suggests, decides its outcome; JSON values."""
        kind = type(self.problem)
        describe = getattr(self.problem, "settings", dict)
        return {
            "problem": f"{kind.__module__}.{kind.__qualname__}",
            "of_problem": describe(),
            "epochs": self.epochs,
            "seed": self.seed,
            "state": _STATE,
        }

    def __call__(self, trial: BaseTrial) -> float:
        """Run a trial.

        Returns:
            The validation loss after a training with what was learnt.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial, or a training diverged.
            ValueError: The study maximises, or a hyper-parameter has no effect.
        """
        check_directions(trial, self.metric_names, self.directions)
        with queued_if_interrupted(trial):
            suggested = self._suggest(trial)
        fingerprint = {**self._fingerprint(suggested), **self.settings()}
        with TrialRun(trial, self.artifacts, fingerprint=fingerprint) as run:
            try:
                value, weights = self._train(suggested, Stages(run, self.seed))
            except DivergedError as error:
                trial.set_user_attr("diverged", str(error))
                raise optuna.TrialPruned(f"The training diverged: {error}.") from error
            finally:
                publish_learning_curve(run, trial.number)
            run.finish(value, weights)
            return value

    def evaluate(self, params: Mapping[str, Any]) -> float:
        """Run a trial outside of any study.

        Args:
            params: A value for each parameter that a trial suggests.

        Returns:
            The validation loss after a training with what was learnt.
        """
        return self(optuna.trial.FixedTrial(dict(params)))

    def _check_problem(self) -> None:
        """Evaluate both losses once, so that what cannot work is said before training."""
        weights = self.problem.init(torch.Generator().manual_seed(self.seed))
        suggested = self._chosen({name: _first(d) for name, d in self.search_space.items()})
        Training(1, suggested.training.learning_rate, suggested.training.momentum)
        losses = Losses(self.problem, weights, suggested.hyper)
        self.device = losses.start.device
        losses.gradient(losses.start, 0)
        losses.validation(losses.start, 0)

    def _suggest(self, trial: BaseTrial) -> Suggested:
        space = self.search_space
        return self._chosen({n: suggest_parameter(trial, n, d) for n, d in space.items()})

    def _chosen(self, values: Mapping[str, Any]) -> Suggested:
        """What to do, given the values that are suggested."""
        training = {n: values.get(n, given) for n, given in self.training.items()}
        checked_positive(_META_RATE, training[_META_RATE])
        method = self.methods[values.get("method", next(iter(self.methods)))]
        hyper = {}
        for name, elements in self.hyper.items():
            shape = self._shapes[name]
            numbers = [values.get(_label(name, i, shape), e) for i, e in enumerate(elements)]
            hyper[name] = torch.tensor(numbers, dtype=torch.get_default_dtype()).reshape(shape)
        return Suggested(
            method,
            {name: h.to(self.device) for name, h in hyper.items()},
            TrainingSettings(
                steps=self.steps,
                learnt=() if method is None else self.learnt,
                by_step=self.by_step and method is not None,
                **training,
            ),
        )

    def _fingerprint(self, suggested: Suggested) -> dict[str, Any]:
        return {
            "method": repr(suggested.method),
            "hyper": {name: h.tolist() for name, h in suggested.hyper.items()},
            "training": asdict(suggested.training),
        }

    def _train(self, suggested: Suggested, stages: Stages) -> tuple[float, dict[str, Tensor]]:
        run = stages.run
        descent = MetaDescent(
            self.problem,
            suggested.method or Unrolling(),
            suggested.hyper,
            suggested.training,
            stages.generator(),
        )
        try:
            epochs = 0 if suggested.method is None else self.epochs
            stages.train(Stage(descent, lambda: descent.loss), epochs)
        finally:
            run.log(training_steps=descent.trainings * self.steps)
            if descent.trainings:
                run.log(bits_per_weight=descent.bits_per_weight)
                self._publish(stages, descent)
        weights = descent.final_weights()
        run.log(training_steps=(descent.trainings + 1) * self.steps)
        if scores := getattr(self.problem, "scores", None):
            run.log(**scores(weights))
        return descent.validation_loss(weights), weights

    def _publish(self, stages: Stages, descent: MetaDescent) -> None:
        """Publish how the settings went, as arrays and as pictures."""
        run, number = stages.run, stages.run.trial.number
        curves = {n: torch.stack(v).double().numpy() for n, v in descent.curve.items()}
        file = io.BytesIO()
        np.savez(file, **cast(Any, curves))
        run.publish("settings.npz", file.getvalue())
        for name, values in curves.items():
            title = f"Trial {number}: {name} by epoch"
            picture = learning_curve_svg(_lines(values.reshape(len(values), -1)), title=title)
            run.publish(f"{name}.svg", picture)
            if name in self.learnt and self.by_step:
                ends = {"at first": values[0], "learnt": values[-1]}
                schedule = {label: dict(enumerate(v.tolist())) for label, v in ends.items()}
                title = f"Trial {number}: {name} by step"
                run.publish(
                    f"{name}_by_step.svg", learning_curve_svg(schedule, title=title, axis="step")
                )


def _methods(
    given: str | HypergradientMethod | CategoricalDistribution,
) -> dict[str, HypergradientMethod | None]:
    known: dict[str, HypergradientMethod | None] = {NONE: None, **HYPERGRADIENTS}
    if isinstance(given, CategoricalDistribution):
        return {str(name): choose("method", name, known) for name in given.choices}
    if isinstance(given, str):
        return {given: choose("method", given, known)}
    if not callable(given):
        choose("method", given, known)
    return {repr(given): given}


def _elements(name: str, given: Setting | Tensor | Sequence[Setting]) -> list[Setting]:
    """The numbers and distributions of a hyper-parameter, one after the other."""
    if isinstance(given, Tensor):
        return [float(v) for v in given.reshape(-1).tolist()]
    elements = list(given) if isinstance(given, Sequence) else [given]
    for element in elements:
        if not isinstance(element, (int, float, FloatDistribution)):
            raise ValueError(
                f"`hyper` has {name!r} with {element!r}; allowed are numbers, tensors, "
                "FloatDistribution, and lists of numbers and FloatDistribution."
            )
    return elements


def _label(name: str, index: int, shape: tuple[int, ...]) -> str:
    return f"{name}[{index}]" if shape else name


def _first(distribution: BaseDistribution) -> Any:
    """A value that a distribution can have."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution)
    return distribution.low


def _lines(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, dict[int, float]]:
    """A line for each number, `epochs numbers`; of many numbers, their quartiles."""
    rows = values.T
    names = [f"[{i}]" if len(rows) > 1 else "" for i in range(len(rows))]
    if len(rows) > _MOST_LINES:
        shares = {"smallest": 0.0, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75}
        shares["largest"] = 1.0
        names, rows = list(shares), np.quantile(values, list(shares.values()), axis=1)
    return {n: dict(enumerate(row.tolist())) for n, row in zip(names, rows, strict=True)}
