"""The one loop over epochs: trainings of a trial, one after the other.

1. After each epoch of a stage the seconds are logged, a value is reported (the pruner may stop the
   trial), and a checkpoint is written: the state of the stage, and the names of finished ones.
2. What a finished stage has found is written once, in a file of its own.

The epochs of all stages count as epochs of the trial. A trial that was interrupted goes on with
the epoch in which it was, and does nothing twice. A stage draws all that is random from a
generator of its own, seeded by the seed of the objective, the trial, and the name of the stage.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import optuna
import torch

from optuna_nas.trials.run import TrialRun

__all__ = ["ResumableTraining", "Stage", "Stages"]

_logger = optuna.logging.get_logger("optuna_nas")


class ResumableTraining(Protocol):
    """A training by epochs that can be interrupted between them."""

    def train_epoch(self) -> object:
        """Train for an epoch."""

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on exactly from here."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Stage:
    """One of the trainings of a trial.

    Attributes:
        training: The training.
        value: What is reported after an epoch.
        result: What is found in the end: a tree of what a checkpoint can hold. It depends on the
            state of the training only.
        over: Whether the training ends before its last epoch.
    """

    training: ResumableTraining
    value: Callable[[], float]
    result: Callable[[], dict[str, Any]] = dict
    over: Callable[[], bool] = _never


class Stages:
    """The stages of one trial.

    Args:
        run: The trial; what it has saved is restored.
        seed: The seed of the objective.

    Attributes:
        run: The trial.
        seconds: How long was trained so far, by the purpose of the stages.
    """

    def __init__(self, run: TrialRun, seed: int) -> None:
        self.run = run
        self._seed = seed
        saved = run.restore() or {}
        finished = {name: run.restore_part(name) for name in saved.get("finished", ())}
        if lost := [name for name, result in finished.items() if result is None]:
            _logger.warning(f"Training starts from scratch: what {lost[0]!r} found is gone.")
            saved, finished = {}, {}
            run.start_over()
        self._results: dict[str, Any] = finished
        self._under_way: dict[str, Any] | None = saved.get("under_way")
        self._epochs: int = saved.get("epochs", 0)
        self.seconds: dict[str, float] = saved.get("seconds", {})

    @property
    def value(self) -> float:
        """What was reported last."""
        return self.run.curve[self._epochs - 1]

    def train(self, stage: Stage, epochs: int, *, name: str = "", purpose: str = "") -> None:
        """Train a stage, or the rest of it.

        Args:
            stage: The stage.
            epochs: How many epochs it has.
            name: Its name, different for each of the trial.
            purpose: What its time is counted for, if trials have several: `"search"` or
                `"training"`.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial.
            DivergedError: The training diverged.
        """
        first = 0
        if self._under_way is not None and self._under_way["name"] == name:
            stage.training.load(self._under_way["state"])
            first = self._under_way["epoch"] + 1
        for epoch in range(first, epochs):
            if stage.over():
                break
            started = time.perf_counter()
            stage.training.train_epoch()
            self._count(purpose, time.perf_counter() - started)
            self._epochs += 1
            self.run.report(stage.value(), self._epochs - 1)
            self.run.checkpoint(
                {
                    "under_way": {"name": name, "epoch": epoch, "state": stage.training.state()},
                    "finished": list(self._results),
                    "epochs": self._epochs,
                    "seconds": self.seconds,
                }
            )

    def once(
        self, name: str, purpose: str, epochs: int, prepare: Callable[[torch.Generator], Stage]
    ) -> Mapping[str, Any]:
        """Train a stage and keep what it found; if it is finished, only tell that.

        Args:
            name: The name of the stage, different for each of the trial.
            purpose: What its time is counted for: `"search"` or `"training"`.
            epochs: How many epochs it has.
            prepare: Makes the stage, given its source of randomness.

        Returns:
            What the stage found.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial.
            DivergedError: The training diverged.
        """
        if name not in self._results:
            stage = prepare(self.generator(name))
            self.train(stage, epochs, name=name, purpose=purpose)
            result = stage.result()
            self.run.checkpoint(result, part=name)
            self._results[name] = result
        found: Mapping[str, Any] = self._results[name]
        return found

    def generator(self, name: str = "") -> torch.Generator:
        """The source of randomness of a stage, on the CPU."""
        return torch.Generator().manual_seed(seed_of(self._seed, self.run.origin, name))

    def rng(self, name: str) -> np.random.Generator:
        """The source of randomness of a draw."""
        return np.random.default_rng(_sequence(self._seed, self.run.origin, name))

    def _count(self, purpose: str, spent: float) -> None:
        self.seconds[purpose] = self.seconds.get(purpose, 0.0) + spent
        if purpose:
            self.run.log(**{f"{purpose}_seconds": self.seconds[purpose]})
        self.run.log(seconds=sum(self.seconds.values()))


def seed_of(seed: int, number: int, name: str = "") -> int:
    """The seed of a training: of the objective, the trial that started it, and the stage's name.

    They are hashed together: torch's generator of the CPU looks at 32 bits of its seed only, and
    trials of searches with neighbouring seeds are not to coincide.
    """
    return int(_sequence(seed, number, name).generate_state(1)[0])


def _sequence(seed: int, number: int, name: str) -> np.random.SeedSequence:
    named = (zlib.crc32(name.encode("utf-8")),) if name else ()
    return np.random.SeedSequence((seed, number, *named))
