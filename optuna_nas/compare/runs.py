"""One run: a sampler with a seed, alone with a benchmark, in a study in memory.

A budget counts trainings. A proposal from which no network can be built costs none, so it is not
counted; a sampler learns of it as a pruned trial. A proposal that was trained before is trained
again and counts.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from optuna_nas._ranking import is_feasible
from optuna_nas.compare.samplers import Contestant

if TYPE_CHECKING:
    from optuna.study import StudyDirection
    from optuna.trial import BaseTrial

    from optuna_nas.spaces import SearchSpace


class Benchmark(Protocol):
    """What samplers are compared on, such as :class:`optuna_nas.objectives.NASBench201`."""

    @property
    def space(self) -> SearchSpace:
        """What is searched."""

    @property
    def directions(self) -> Sequence[StudyDirection]:
        """One direction."""

    @property
    def metric_names(self) -> Sequence[str]:
        """The name of the value."""

    @property
    def name(self) -> str:
        """What it is called in tables and figures."""

    @property
    def optimum(self) -> float:
        """The best possible value."""

    @property
    def worst(self) -> float:
        """What counts as found before a trial is feasible."""

    def settings(self) -> dict[str, Any]:
        """All that decides the values; JSON values."""

    def __call__(self, trial: BaseTrial) -> Any:
        """Suggest an architecture with the trial and return its value."""


@dataclass(frozen=True)
class Run:
    """What a sampler did with a seed.

    Attributes:
        sampler: The label of the sampler.
        description: What the label stands for.
        seed: The seed.
        values: The value of each training in order; None for one that is not feasible.
        ask_seconds: The time each proposal took: `ask` and the suggestions.
        rejected: Proposals from which no network could be built.
    """

    sampler: str
    description: str
    seed: int
    values: tuple[float | None, ...]
    ask_seconds: tuple[float, ...]
    rejected: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The run in JSON types."""
        seconds = [round(second, 7) for second in self.ask_seconds]
        return {**asdict(self), "values": list(self.values), "ask_seconds": seconds}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Run:
        """The run that :meth:`to_dict` described."""
        values, seconds = tuple(stored["values"]), tuple(stored["ask_seconds"])
        return cls(**{**stored, "values": values, "ask_seconds": seconds})


def run(benchmark: Benchmark, contestant: Contestant, seed: int, n_trials: int) -> Run:
    """Let a sampler make its proposals.

    Args:
        benchmark: What it is tried on.
        contestant: The sampler.
        seed: Its seed.
        n_trials: The trainings it gets.

    Raises:
        RuntimeError: Nearly all proposals are no architectures.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return _run(benchmark, contestant, seed, n_trials)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _run(benchmark: Benchmark, contestant: Contestant, seed: int, n_trials: int) -> Run:
    study = optuna.create_study(
        directions=benchmark.directions, sampler=contestant.make(seed=seed)
    )
    values: list[float | None] = []
    seconds: list[float] = []
    rejected, spent = 0, 0.0
    while len(values) < n_trials:
        started = time.perf_counter()
        trial = study.ask()
        try:
            benchmark.space.suggest(trial)
        except optuna.TrialPruned:
            spent += time.perf_counter() - started
            study.tell(trial, state=TrialState.PRUNED)
            rejected += 1
            if rejected > 100 * n_trials:
                raise RuntimeError(
                    f"{contestant.label!r} proposed {rejected} times what is no architecture of "
                    f"{benchmark.space.name}, and only {len(values)} that are."
                ) from None
            continue
        seconds.append(spent + time.perf_counter() - started)
        spent = 0.0
        # The suggestions are made, so the objective only reads them again.
        told = study.tell(trial, benchmark(trial))
        found = told.state == TrialState.COMPLETE and is_feasible(told)
        values.append(told.value if found else None)
    return Run(
        contestant.label, contestant.description, seed, tuple(values), tuple(seconds), rejected
    )
