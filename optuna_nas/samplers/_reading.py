"""Reads what a sampler knows from the trials of a study.

By state:

- COMPLETE trials are observed with their values (an infinite one is set to the worst finite one);
- PRUNED trials are observed with an estimate of the value they would have reached: their last
  report plus the median change, from that step to the end, of the trials that completed. It is
  never better than the median of those, since somebody found the trial hopeless;
- what broke is observed as bad, which is the worst value known: FAIL trials, trials that diverged
  (their last report is no number, or they say so), and pruned ones of which no estimate can be
  made, as with several objectives, where Optuna takes no reports. One that violates a constraint
  tells only that, if it was pruned: this may be why it was;
- a FAIL trial may have been the machine's fault: its architecture may be proposed once more, and
  counts as bad no longer if that succeeds. What was interrupted and queued again is no failure;
- RUNNING and WAITING trials are pending: known by their parameters, by what their sampler
  published, or by what was enqueued.

Constraints are those of `trial.set_constraint` and the list that a `constraints_func` leaves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._attributes import read_mapping, read_text
from optuna_nas._proposals import PROPOSAL_ATTRIBUTE
from optuna_nas._ranking import constraints_of, direction_signs
from optuna_nas.samplers._activity import Activity
from optuna_nas.samplers._history import History, Observation, with_violations
from optuna_nas.storages.retries import queued_again

if TYPE_CHECKING:
    import optuna

    from optuna_nas.spaces import Architecture, SearchSpace

DIVERGED_ATTRIBUTE = "diverged"
"""Trial user attribute with the reason why a training was given up as broken."""

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_FAILURES = 2
"""So many failures are the architecture's own, and it is not proposed again."""


@dataclass(frozen=True)
class _Finished:
    """What is read of a finished trial once; without values of its own they are infinite."""

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
        self._activity = Activity([])
        self._taken: tuple[int, frozenset[str]] = -1, frozenset()

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
        done, pending = _split(trials)
        finished = self._finished(done, signs, pending)
        keys = _taken(finished)

        def earlier(number: int) -> list[Observation]:
            return _observations([f for f in finished if f.trial.number < number], signs)

        history = History(with_violations(_observations(finished, signs)), keys, earlier)
        self._activity = history.activity
        self._taken = len(done), frozenset[str]().union(*keys.values())
        keys |= {number: frozenset([key]) for number, key in self._pending(pending, except_number)}
        return history

    def taken(
        self, study: optuna.Study, trials: Sequence[FrozenTrial], *, except_number: int
    ) -> set[str]:
        """The keys that must not be repeated: `read(...).taken`, without the rest of it."""
        done, pending = _split(trials)
        if self._taken[0] != len(done):  # of those that were finished before nothing changes
            keys = _taken(self._finished(done, direction_signs(study.directions), pending))
            self._taken = len(done), frozenset[str]().union(*keys.values())
        return {*self._taken[1], *(key for _, key in self._pending(pending, except_number))}

    def _finished(
        self,
        trials: Sequence[FrozenTrial],
        signs: Sequence[float],
        others: Sequence[FrozenTrial],
    ) -> list[_Finished]:
        """What is read of finished trials, without those that another one goes on with."""
        known = self._known
        for trial in trials:
            if trial.number not in known:
                known[trial.number] = self._look_at(trial, signs)
                self._proposals.pop(trial.number, None)
        found = [read for t in trials if (read := known[t.number]) is not None]
        if not any(read.observation.failed for read in found):
            return found
        again = queued_again([*trials, *others])
        return [r for r in found if not (r.observation.failed and r.trial.number in again)]

    def _pending(
        self, trials: Sequence[FrozenTrial], except_number: int
    ) -> Iterator[tuple[int, str]]:
        """Number and key of each unfinished trial, as far as is known what it evaluates."""
        for trial in trials:
            if trial.number != except_number:
                architecture = self._under_way(trial)
                if architecture is not None:
                    yield trial.number, self._activity.reduced(architecture).key

    def _look_at(self, trial: FrozenTrial, signs: Sequence[float]) -> _Finished | None:
        architecture = self._space.read(trial.params)
        if architecture is None:
            return None
        pruned = trial.state != TrialState.COMPLETE
        unknown = (math.inf,) * len(signs)
        values = tuple(s * v for s, v in zip(signs, trial.values or unknown, strict=True))
        observation = Observation(
            trial.number,
            architecture,
            unknown if pruned else values,
            pruned,
            trial.datetime_complete or datetime.max,
            constraints_of(trial),
            failed=trial.state == TrialState.FAIL,
        )
        keys = {architecture.key}
        if read_text(trial.system_attrs, PROPOSAL_ATTRIBUTE) != str(architecture):
            # In a study with conditional parameters a trial uses only some of those proposed.
            proposed = self._proposed(trial)
            keys |= set() if proposed is None else {proposed.key}
        return _Finished(trial, observation, frozenset(keys))

    def _under_way(self, trial: FrozenTrial) -> Architecture | None:
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


def _split(trials: Iterable[FrozenTrial]) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """The finished trials, and the others."""
    done: list[FrozenTrial] = []
    others: list[FrozenTrial] = []
    for trial in trials:
        (done if trial.state in _FINISHED else others).append(trial)
    return done, others


def _taken(finished: Sequence[_Finished]) -> dict[int, frozenset[str]]:
    """The keys of each trial that must not be repeated; none of a failure that may be tried again.

    Args:
        finished: By number.
    """
    if not any(known.observation.failed for known in finished):
        return {known.observation.number: known.keys for known in finished}
    failures: Counter[str] = Counter()
    taken = {}
    for known in finished:
        keys = known.keys
        if known.observation.failed:
            failures.update(keys)
            keys = frozenset(key for key in keys if failures[key] >= _FAILURES)
        taken[known.trial.number] = keys
    return taken


def _observations(finished: Sequence[_Finished], signs: Sequence[float]) -> list[Observation]:
    completed = [known for known in finished if not known.observation.pruned]
    columns = list(zip(*(known.observation.values for known in completed), strict=True))
    ranges = [_finite_range(column) for column in columns]
    estimates = _Estimates(completed, ranges, signs)
    observations = []
    for known in finished:
        observation: Observation | None = known.observation
        if known.observation.pruned:
            observation = estimates.of(known)
        elif not all(map(math.isfinite, known.observation.values)):
            values = _clipped(known.observation.values, ranges)
            observation = replace(known.observation, values=values)
        if observation is not None:
            observations.append(observation)
    return observations


class _Estimates:
    """What is believed of trials that did not complete (see the module's description).

    Args:
        completed: Those that did.
        ranges: The best and the worst finite value of each objective.
        signs: Turn values of the study to "lower is better".
    """

    def __init__(
        self,
        completed: Sequence[_Finished],
        ranges: Sequence[tuple[float, float]],
        signs: Sequence[float],
    ) -> None:
        self._completed = completed
        self._ranges = ranges
        self._signs = signs
        self._changes: dict[int, float | None] = {}

    def of(self, known: _Finished) -> Observation | None:
        """The observation with values, as far as anything is known; None if it tells nothing."""
        observation = known.observation
        if observation.failed and observation.architecture.key in self._working:
            return None
        estimate = _estimate(known.trial, self._completed, self._changes)
        if estimate is not None and len(self._signs) == 1:
            value = max(self._signs[0] * estimate, self._middle)
            return replace(observation, values=(value,))
        feasible = all(c <= 0 for c in observation.constraints.values())
        if self._completed and (observation.failed or feasible):
            bad = (worst if worst > best else worst + 1 for best, worst in self._ranges)
            return replace(observation, values=tuple(bad), failed=True)
        return observation if observation.constraints else None

    @cached_property
    def _working(self) -> set[str]:
        """The keys of what completed."""
        return {known.observation.architecture.key for known in self._completed}

    @cached_property
    def _middle(self) -> float:
        """The median of what completed; the worse one of two."""
        values = sorted(known.observation.values[0] for known in self._completed)
        return _clipped([values[len(values) // 2]], self._ranges[:1])[0]


def _clipped(values: Sequence[float], ranges: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    pairs = zip(values, ranges, strict=True)
    return tuple(min(max(value, best), worst) for value, (best, worst) in pairs)


def _finite_range(values: Sequence[float]) -> tuple[float, float]:
    """The best and the worst finite value; zeros if there is none."""
    finite = [v for v in values if math.isfinite(v)]
    return min(finite, default=0.0), max(finite, default=0.0)


def _estimate(
    trial: FrozenTrial, completed: Sequence[_Finished], changes: dict[int, float | None]
) -> float | None:
    """The value a pruned trial would have reached; `changes` are known for some steps."""
    step = trial.last_step
    if trial.state != TrialState.PRUNED or DIVERGED_ATTRIBUTE in trial.user_attrs:
        return None
    if step is None or not math.isfinite(trial.intermediate_values[step]):
        return None
    if step not in changes:
        changes[step] = _median_change([known.trial for known in completed], step)
    change = changes[step]
    if change is None or not math.isfinite(reached := trial.intermediate_values[step] + change):
        return None
    return reached


def _median_change(completed: Sequence[FrozenTrial], step: int) -> float | None:
    """The median of "final value minus report at the step"; None if nobody reported there."""
    found = [
        trial.values[0] - trial.intermediate_values[step]
        for trial in completed
        if step in trial.intermediate_values
    ]
    finite = [change for change in found if math.isfinite(change)]
    # In halves, as the middle of two large numbers would be infinite.
    return 2 * float(np.median(np.array(finite) / 2)) if finite else None
