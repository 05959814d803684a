"""Learning the settings of a training by gradient: the outer loop.

An epoch is one training of `steps` steps from new weights. In it,

1. the steps are taken, all of them or a window at a time, with the settings as they are;
2. the hypergradient method gives the gradient of the validation loss in the settings;
3. Adam takes a step of the settings: of hyper-parameters as they are, of learning rates as their
   logarithms, of momenta as their logits, so that both stay in range.

Reference: D. Maclaurin, D. Duvenaud, R. P. Adams, "Gradient-based Hyperparameter Optimization
through Reversible Learning", ICML 2015, arXiv:1502.03492, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optuna_nas.meta.hypergradients import Hypergradient, HypergradientMethod, Training
from optuna_nas.meta.hypergradients.base import descend
from optuna_nas.meta.problem import Losses, Problem, Tensors
from optuna_nas.trials.divergence import DivergedError

_LARGEST_LOGIT = 8.0
"""Of a momentum: 1 - 1/2981, which fixed point can still tell from 1."""

RATE, MOMENTUM = "learning_rate", "momentum"


@dataclass(frozen=True)
class TrainingSettings:
    """The training that is differentiated.

    Attributes:
        steps: Its steps.
        learning_rate: Its learning rate, to begin with.
        momentum: Its momentum, to begin with.
        learnt: Which of the two are learnt, of `learning_rate` and `momentum`.
        by_step: Whether each step learns a number of its own.
        meta_learning_rate: The learning rate of Adam for all settings.
    """

    steps: int
    learning_rate: float = 0.1
    momentum: float = 0.9
    learnt: tuple[str, ...] = ()
    by_step: bool = False
    meta_learning_rate: float = 0.05


class MetaDescent:
    """Learns the settings of a problem's trainings; see the module.

    Args:
        problem: The problem.
        method: How hypergradients are computed.
        hyper: The hyper-parameters to begin with.
        settings: The training.
        generator: What draws initial weights, on the CPU.

    Attributes:
        trainings: How many trainings were made.
        loss: The validation loss after the last one.
        bits_per_weight: What the last hypergradient kept of its training, in bits.
        curve: The settings before each epoch and after the last one, by name.
    """

    def __init__(
        self,
        problem: Problem,
        method: HypergradientMethod,
        hyper: Tensors,
        settings: TrainingSettings,
        generator: torch.Generator,
    ) -> None:
        self._problem, self._method, self._settings = problem, method, settings
        self._generator = generator
        size = (settings.steps,) if settings.by_step else ()
        rate = torch.full(size, settings.learning_rate, dtype=torch.float64)
        momentum = torch.full(size, settings.momentum, dtype=torch.float64)
        self._raw = {name: h.detach().clone() for name, h in hyper.items()}
        self._fixed = {RATE: rate, MOMENTUM: momentum}
        if RATE in settings.learnt:
            self._raw[RATE] = rate.log()
        if MOMENTUM in settings.learnt:
            self._raw[MOMENTUM] = momentum.logit()
        self._optimizer = torch.optim.Adam(
            [r.requires_grad_() for r in self._raw.values()], lr=settings.meta_learning_rate
        )
        self._hyper_names = tuple(hyper)
        self.trainings = 0
        self.loss = self.bits_per_weight = math.nan
        self.curve: dict[str, list[Tensor]] = {name: [] for name in self._raw}
        self._record()

    def settings(self) -> dict[str, Tensor]:
        """All settings as they are, by name: hyper-parameters, learning rates and momenta."""
        found = {n: r.detach().clone() for n, r in self._raw.items()}
        if RATE in found:
            found[RATE] = found[RATE].exp()
        if MOMENTUM in found:
            found[MOMENTUM] = found[MOMENTUM].sigmoid()
        return self._fixed | found

    def train_epoch(self) -> float:
        """Make a training, and learn from it.

        Returns:
            The validation loss after its last step.

        Raises:
            DivergedError: A loss or gradient is not finite.
            ValueError: The problem is not what it should be.
        """
        weights: Tensors = self._problem.init(self._generator)
        velocity: Tensors | None = None
        first = self.trainings * self._settings.steps
        width, found = self._method.window or self._settings.steps, None
        for start in range(0, self._settings.steps, width):
            stop = min(start + width, self._settings.steps)
            hyper, training = self._part(start, stop, first)
            found = self._method(
                self._problem,
                weights,
                hyper,
                training,
                velocity=velocity,
                validation_batch=first + stop,
            )
            weights, velocity = found.weights, found.velocity
            self._step(found, start, stop)
        assert found is not None
        self.trainings += 1
        self.loss, self.bits_per_weight = found.validation_loss, found.bits_per_weight
        self._record()
        return self.loss

    def final_weights(self) -> dict[str, Tensor]:
        """Train once more with the settings as they are, and learn nothing from it.

        Raises:
            DivergedError: A loss or gradient is not finite.
        """
        weights = self._problem.init(self._generator)
        first = self.trainings * self._settings.steps
        hyper, training = self._part(0, self._settings.steps, first)
        losses = Losses(self._problem, weights, hyper)
        return losses.named(descend(losses, training, None)[0])

    def validation_loss(self, weights: Tensors) -> float:
        """The validation loss of weights.

        Raises:
            DivergedError: It is not finite.
        """
        losses = Losses(self._problem, weights, {})
        with torch.no_grad():
            return float(losses.validation(losses.start, self.trainings * self._settings.steps))

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on exactly from here."""
        return {
            "raw": {name: r.detach().clone() for name, r in self._raw.items()},
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "trainings": self.trainings,
            "curve": {name: torch.stack(values) for name, values in self.curve.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        with torch.no_grad():
            for name, raw in self._raw.items():
                raw.copy_(state["raw"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self.trainings = state["trainings"]
        self.curve = {name: list(values) for name, values in state["curve"].items()}

    def _part(self, start: int, stop: int, first: int) -> tuple[dict[str, Tensor], Training]:
        """The hyper-parameters, and some steps of the training."""
        now = self.settings()
        rates, momenta = (
            now[name].expand(self._settings.steps)[start:stop] for name in (RATE, MOMENTUM)
        )
        hyper = {name: now[name] for name in self._hyper_names}
        return hyper, Training(stop - start, rates, momenta, first_batch=first + start)

    def _step(self, found: Hypergradient, start: int, stop: int) -> None:
        now, gradients = self.settings(), dict(found.hyper)
        for name, by_step in ((RATE, found.learning_rate), (MOMENTUM, found.momentum)):
            if name not in self._raw:
                continue
            assert by_step is not None  # MetaOptimization has refused methods without
            whole = torch.zeros(self._settings.steps, dtype=torch.float64)
            whole[start:stop] = by_step.double().cpu()
            total = whole if self._settings.by_step else whole.sum()
            slope = now[name] if name == RATE else now[name] * (1 - now[name])
            gradients[name] = total * slope
        for name, raw in self._raw.items():
            if not bool(gradients[name].isfinite().all()):
                raise DivergedError(
                    f"the gradient of the validation loss in {name!r} is not finite after the "
                    f"training {self.trainings}"
                )
            raw.grad = gradients[name].to(raw)
        self._optimizer.step()
        if MOMENTUM in self._raw:
            with torch.no_grad():
                self._raw[MOMENTUM].clamp_(-_LARGEST_LOGIT, _LARGEST_LOGIT)

    def _record(self) -> None:
        now = self.settings()
        for name, values in self.curve.items():
            values.append(now[name].cpu())
