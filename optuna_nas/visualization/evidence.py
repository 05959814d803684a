"""A study as a predictor sees it: for the figures of what a predictor makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from optuna.trial import TrialState

from optuna_nas._choices import choose
from optuna_nas._ranking import direction_signs
from optuna_nas.samplers._history import Observation
from optuna_nas.samplers._reading import HistoryReader
from optuna_nas.spaces import FlatSpace, SearchSpace
from optuna_nas.surrogates import Encoding, Predictor, TargetTransform
from optuna_nas.surrogates.names import ENCODINGS, PREDICTORS, TARGETS
from optuna_nas.visualization.records import objective_name, stored_space

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

__all__ = ["Evidence", "Learner", "read_evidence"]

_FEWEST = 10


@dataclass(frozen=True)
class Learner:
    """A predictor and what it learns from.

    Attributes:
        predictor: The predictor.
        encoding: How it sees architectures.
    """

    predictor: Predictor
    encoding: Encoding

    @classmethod
    def named(cls, predictor: str | Predictor, encoding: str | Encoding | None) -> Learner:
        """Resolve names as :class:`optuna_nas.BananasSampler` does.

        Args:
            predictor: A name or a predictor.
            encoding: A name, an encoding, or None for the predictor's own.

        Raises:
            ValueError: A name is unknown.
        """
        if not isinstance(predictor, Predictor):
            predictor = choose("predictor", predictor, PREDICTORS)()
        if encoding is None:
            encoding = predictor.encoding
        if not isinstance(encoding, Encoding):
            encoding = choose("encoding", encoding, ENCODINGS)()
        return cls(predictor, encoding)

    def prepared(self, evidence: Evidence, *, detailed: bool = False) -> Learner:
        """Choose the encoding that explains the evidence, and let the predictor look at it.

        Args:
            evidence: What is to be learnt.
            detailed: Whether more is wanted than to tell good from bad (see `Encoding.chosen`).

        Raises:
            ValueError: Encoding or predictor does not fit the space.
        """
        space = evidence.space
        encoding = self.encoding.chosen(
            space, evidence.targets, evidence.encoded, detailed=detailed
        )
        self.predictor.prepare(space, encoding)
        encoding.dimension(space)
        return Learner(self.predictor, encoding)


@dataclass(frozen=True)
class Evidence:
    """What a predictor can learn from a study.

    Attributes:
        space: The space of the architectures.
        objective: The name of the objective.
        observations: Each architecture once, with its latest trial, by trial number.
        errors: Their values, turned so that lower is better; those of pruned trials are estimates.
        targets: What the predictor learns of each, lower is better.
        sign: What turns errors into values of the study: -1 if it maximises.
    """

    space: SearchSpace
    observations: Sequence[Observation]
    errors: NDArray[np.float64]
    targets: NDArray[np.float64]
    sign: int

    @property
    def values(self) -> NDArray[np.float64]:
        """The values in the study's own unit and direction."""
        return self.sign * self.errors

    def encoded(self, encoding: Encoding) -> np.ndarray:
        """The architectures as `n x d`."""
        return encoding.encode(self.space, [o.architecture for o in self.observations])


def read_evidence(
    study: optuna.Study,
    objective: int,
    space: SearchSpace | None,
    targets: str | TargetTransform,
) -> Evidence | str:
    """Collect what a predictor can learn from a study.

    Args:
        study: The study.
        objective: Which of its objectives.
        space: Its space; None is the one stored on the study or, if there is none, that of its
            parameters as they are.
        targets: What the predictor learns, as for :class:`optuna_nas.BananasSampler`.

    Returns:
        The evidence, or the reason why it is too little.

    Raises:
        ValueError: There is no such objective, or `targets` is unknown.
    """
    objective_name(study, objective)  # which must exist
    transform = targets if callable(targets) else choose("targets", targets, TARGETS)
    trials = study.get_trials(deepcopy=False)
    space = space or stored_space(study)[0] or _flat_space(trials)
    latest: dict[str, Observation] = {}
    if space is not None:
        for observation in HistoryReader(space).read(study, trials, except_number=-1).valued:
            latest[observation.architecture.key] = observation
    if space is None or len(latest) < _FEWEST:
        return (
            f"A predictor needs {_FEWEST} finished trials of different architectures; there "
            f"{'is' if len(latest) == 1 else 'are'} {len(latest)}."
        )
    observations = sorted(latest.values(), key=lambda o: o.number)
    errors = np.array([o.values[objective] for o in observations])
    learnt = transform(errors)
    if learnt.max() == learnt.min():
        return "All values are equal, so there is nothing to predict."
    sign = direction_signs(study.directions)[objective]
    return Evidence(space, observations, errors, learnt, sign)


def _flat_space(trials: Sequence[optuna.trial.FrozenTrial]) -> FlatSpace | None:
    """The space of a study without one: every parameter of a finished trial."""
    found: dict[str, BaseDistribution] = {}
    for trial in trials:
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            found.update(trial.distributions)
    return FlatSpace(found) if found else None
