"""Several trainings, one after the other, as one trial.

The epochs of all stages count as epochs of the trial: after each one a value is reported and a
checkpoint is written. A checkpoint holds what the finished stages found and the state of the one
that is under way. So a trial that was interrupted goes on with the epoch in which it was, and does
nothing twice. A stage draws all that is random from a generator of its own, seeded by its name.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from optuna_nas.trials import TrialRun


class ResumableTraining(Protocol):
    """A training by epochs that can be interrupted between them."""

    def train_epoch(self) -> float:
        """Train for an epoch, and return the mean loss."""

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on exactly from here."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""


@dataclass(frozen=True)
class Stage:
    """One of the trainings of a trial.

    Attributes:
        training: The training.
        value: What is reported after an epoch.
        result: What is found in the end: a tree of what a checkpoint can hold. It depends on the
            state of the training only.
    """

    training: ResumableTraining
    value: Callable[[], float]
    result: Callable[[], dict[str, Any]]


class Stages:
    """The stages of one trial.

    Args:
        run: The trial; what it has saved is restored.
        seed: The seed of the objective.

    Attributes:
        seconds: How long was trained so far, by the purpose of the stages.
    """

    def __init__(self, run: TrialRun, seed: int) -> None:
        saved = run.restore() or {}
        self._run = run
        self._seed = seed
        self._results: dict[str, dict[str, Any]] = saved.get("results", {})
        self._under_way: dict[str, Any] | None = saved.get("under_way")
        self._epochs: int = saved.get("epochs", 0)
        self.seconds: dict[str, float] = saved.get("seconds", {})

    def train(
        self, name: str, purpose: str, epochs: int, prepare: Callable[[torch.Generator], Stage]
    ) -> Mapping[str, Any]:
        """Train a stage, or the rest of it, or none if it is finished.

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
        if name in self._results:
            return self._results[name]
        stage = prepare(self.generator(name))
        first = 0
        if self._under_way is not None and self._under_way["name"] == name:
            stage.training.load(self._under_way["state"])
            first = self._under_way["epoch"] + 1
        for epoch in range(first, epochs):
            started = time.perf_counter()
            stage.training.train_epoch()
            spent = time.perf_counter() - started
            self.seconds[purpose] = self.seconds.get(purpose, 0.0) + spent
            self._run.log(**{f"{purpose}_seconds": self.seconds[purpose]})
            self._epochs += 1
            self._run.report(stage.value(), self._epochs - 1)
            state = {"name": name, "epoch": epoch, "state": stage.training.state()}
            self._run.checkpoint(
                {
                    "results": self._results,
                    "under_way": state,
                    "epochs": self._epochs,
                    "seconds": self.seconds,
                }
            )
        self._results[name] = stage.result()
        return self._results[name]

    def generator(self, name: str) -> torch.Generator:
        """The source of randomness of a stage, on the CPU."""
        return torch.Generator().manual_seed(int(self._sequence(name).generate_state(1)[0]))

    def rng(self, name: str) -> np.random.Generator:
        """The source of randomness of a draw."""
        return np.random.default_rng(self._sequence(name))

    def _sequence(self, name: str) -> np.random.SeedSequence:
        return np.random.SeedSequence(
            (self._seed, self._run.origin, zlib.crc32(name.encode("utf-8")))
        )
