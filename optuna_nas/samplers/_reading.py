"""Reads what a sampler knows from the trials of a study.

By state:

- COMPLETE trials are observed with their values (an infinite one is set to the worst finite one);
- PRUNED trials are observed with an estimate of the value they would have reached: their last
  report plus the median change, from that step to the end, of the trials that completed. Without a
  completed trial that reported at that step, and with several objectives, where Optuna takes no
  reports, only their constraints tell something, if they have any;
- FAIL trials tell nothing and may be proposed again;
- RUNNING and WAITING trials are pending: known by their parameters, by what their sampler
  published, or by what was enqueued.

Constraints are those of `trial.set_constraint` and the list that a `constraints_func` leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._attributes import read_mapping, read_text
from optuna_nas._ranking import constraints_of, direction_signs
from optuna_nas.samplers._history import History, Observation, with_violations

if TYPE_CHECKING:
    import optuna

    from optuna_nas.spaces import Architecture, SearchSpace

PROPOSAL_ATTRIBUTE = "optuna_nas:proposal"
"""Trial system attribute with the text of the architecture a sampler proposed."""

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class _Finished:
    """What is read of a finished trial once; its observation has infinite values if pruned."""

    trial: FrozenTrial
    observation: Observation
    keys: frozenset[str]


class HistoryReader:
    """Reads the history of one study, looking at each finished trial once.

    Args:
        space: The space whose parameters are read from the trials.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._known: dict[int, _Finished | None] = {}
        self._proposals: dict[int, tuple[str, Architecture | None]] = {}

    def read(
        self, study: optuna.Study, trials: Sequence[FrozenTrial], *, except_number: int
    ) -> History:
        """Turn a study's trials into a history.

        Args:
            study: The study, for its directions.
            trials: All its trials.
            except_number: The trial that asks; it is not pending to itself.
        """
        signs = direction_signs(study.directions)
        finished = [known for t in trials if (known := self._finished(t, signs)) is not None]
        keys = {known.trial.number: known.keys for known in finished}
        pending = self._all_pending(trials, except_number)
        keys |= {number: frozenset([a.key]) for number, a in pending if a is not None}
        return History(with_violations(_observations(finished, signs)), keys)

    def taken(
        self, study: optuna.Study, trials: Sequence[FrozenTrial], *, except_number: int
    ) -> set[str]:
        """The keys that must not be repeated: `read(...).taken`, without the rest of it."""
        signs = direction_signs(study.directions)
        found: set[str] = set()
        for trial in trials:
            if (known := self._finished(trial, signs)) is not None:
                found |= known.keys
        pending = self._all_pending(trials, except_number)
        return found | {
            architecture.key for _, architecture in pending if architecture is not None
        }

    def _finished(self, trial: FrozenTrial, signs: Sequence[float]) -> _Finished | None:
        if trial.state not in _FINISHED:
            return None
        if trial.number not in self._known:
            self._known[trial.number] = self._look_at(trial, signs)
            self._proposals.pop(trial.number, None)
        return self._known[trial.number]

    def _all_pending(
        self, trials: Sequence[FrozenTrial], except_number: int
    ) -> Iterator[tuple[int, Architecture | None]]:
        for trial in trials:
            if not trial.state.is_finished() and trial.number != except_number:
                yield trial.number, self._pending(trial)

    def _look_at(self, trial: FrozenTrial, signs: Sequence[float]) -> _Finished | None:
        architecture = self._space.read(trial.params)
        if architecture is None:
            return None
        pruned = trial.state == TrialState.PRUNED
        unknown = (math.inf,) * len(signs)
        values = tuple(s * v for s, v in zip(signs, trial.values or unknown, strict=True))
        observation = Observation(
            trial.number,
            architecture,
            unknown if pruned else values,
            pruned,
            trial.datetime_complete or datetime.max,
            constraints_of(trial),
        )
        keys = {architecture.key}
        if read_text(trial.system_attrs, PROPOSAL_ATTRIBUTE) != str(architecture):
            # In a study with conditional parameters a trial uses only some of those proposed.
            proposed = self._proposed(trial)
            keys |= set() if proposed is None else {proposed.key}
        return _Finished(trial, observation, frozenset(keys))

    def _pending(self, trial: FrozenTrial) -> Architecture | None:
        known = {**read_mapping(trial.system_attrs, "fixed_params"), **trial.params}
        if set(known) >= set(self._space.distributions):
            return self._space.read(known)
        return self._proposed(trial) or self._space.read(known)

    def _proposed(self, trial: FrozenTrial) -> Architecture | None:
        text = read_text(trial.system_attrs, PROPOSAL_ATTRIBUTE)
        if text is None:
            return None
        known = self._proposals.get(trial.number)
        if known is None or known[0] != text:
            known = self._proposals[trial.number] = text, self._parsed(text)
        return known[1]

    def _parsed(self, text: str) -> Architecture | None:
        try:
            return self._space.parse(text)
        except ValueError:  # half-written or of another space: it cannot be told what it is
            return None


def _observations(finished: Sequence[_Finished], signs: Sequence[float]) -> list[Observation]:
    completed = [known for known in finished if not known.observation.pruned]
    columns = zip(*(known.observation.values for known in completed), strict=True)
    ranges = [_finite_range(column) for column in columns]
    changes: dict[int, float | None] = {}

    observations = []
    for known in finished:
        observation = known.observation
        if observation.pruned:
            estimate = _estimate(known.trial, completed, changes) if len(signs) == 1 else None
            if estimate is not None:
                observation = replace(observation, values=(signs[0] * estimate,))
            elif not observation.constraints:
                continue
        elif not all(map(math.isfinite, observation.values)):
            values = zip(observation.values, ranges, strict=True)
            clipped = tuple(min(max(v, best), worst) for v, (best, worst) in values)
            observation = replace(observation, values=clipped)
        observations.append(observation)
    return observations


def _finite_range(values: Sequence[float]) -> tuple[float, float]:
    """The best and the worst finite value; zeros if there is none."""
    finite = [v for v in values if math.isfinite(v)]
    return min(finite, default=0.0), max(finite, default=0.0)


def _estimate(
    trial: FrozenTrial, completed: Sequence[_Finished], changes: dict[int, float | None]
) -> float | None:
    """The value a pruned trial would have reached; `changes` are known for some steps."""
    step = trial.last_step
    if step is None or not math.isfinite(trial.intermediate_values[step]):
        return None
    if step not in changes:
        changes[step] = _median_change([known.trial for known in completed], step)
    change = changes[step]
    return None if change is None else trial.intermediate_values[step] + change


def _median_change(completed: Sequence[FrozenTrial], step: int) -> float | None:
    """The median of "final value minus report at the step"; None if nobody reported there."""
    found = [
        trial.values[0] - trial.intermediate_values[step]
        for trial in completed
        if step in trial.intermediate_values
    ]
    finite = [change for change in found if math.isfinite(change)]
    return float(np.median(finite)) if finite else None
