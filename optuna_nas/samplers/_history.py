"""What a sampler knows of a study: finished trials as observations, unfinished ones as pending.

The study's values are turned to "lower is better" here, once. By state:

- COMPLETE trials are observed with their value (an infinite one is set to the worst finite one);
- PRUNED trials are observed with an estimate of the value they would have reached: their last
  report plus the median change, from that step to the end, of the trials that completed;
  without a completed trial that reported at that step they tell nothing;
- FAIL trials tell nothing and may be proposed again;
- RUNNING and WAITING trials are pending: known by their parameters, by what their sampler
  published, or by what was enqueued.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import optuna

    from optuna_nas.spaces import Architecture, SearchSpace

PROPOSAL_ATTRIBUTE = "optuna_nas:proposal"
"""Trial system attribute with the text of the architecture a sampler proposed."""


@dataclass(frozen=True)
class Observation:
    """A finished trial.

    Attributes:
        number: The trial's number.
        architecture: What it evaluated.
        value: Its value or, if pruned, the estimate of it; lower is better.
        pruned: Whether the value is an estimate.
        completed: When it finished.
    """

    number: int
    architecture: Architecture
    value: float
    pruned: bool
    completed: datetime


@dataclass(frozen=True)
class History:
    """What is known of a study.

    Attributes:
        observations: The finished trials that tell something, by trial number.
        keys: The architecture's key of every finished or pending trial, by trial number; also that
            of the proposal for it, if it was not evaluated as it was proposed.
    """

    observations: Sequence[Observation]
    keys: Mapping[int, frozenset[str]]

    def before(self, number: int) -> History:
        """The history as known from trials below a number."""
        return History(
            [o for o in self.observations if o.number < number],
            {n: keys for n, keys in self.keys.items() if n < number},
        )

    @cached_property
    def taken(self) -> frozenset[str]:
        """The keys that must not be repeated."""
        return frozenset[str]().union(*self.keys.values())

    @cached_property
    def values(self) -> np.ndarray:
        """The values of the observations, lower is better."""
        return np.array([o.value for o in self.observations])

    @cached_property
    def ranked(self) -> list[Observation]:
        """The observations, best first; of equals the earlier one first."""
        return sorted(self.observations, key=lambda o: (o.value, o.number))

    @property
    def completed(self) -> list[Observation]:
        """The observations that are not estimates."""
        return [o for o in self.observations if not o.pruned]


class HistoryReader:
    """Reads the history of one study, looking at each finished trial once.

    Args:
        space: The space whose parameters are read from the trials.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._architectures: dict[int, Architecture | None] = {}
        self._keys: dict[int, frozenset[str]] = {}

    def read(
        self, study: optuna.Study, trials: Sequence[FrozenTrial], *, except_number: int
    ) -> History:
        """Turn a study's trials into a history.

        Args:
            study: The study, for its direction.
            trials: All its trials.
            except_number: The trial that asks; it is not pending to itself.
        """
        sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        finished, keys = [], {}
        for trial in trials:
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                architecture = self._finished(trial)
                if architecture is not None:
                    finished.append((trial, architecture))
                    keys[trial.number] = self._keys[trial.number]
            elif not trial.state.is_finished() and trial.number != except_number:
                architecture = self._pending(trial)
                if architecture is not None:
                    keys[trial.number] = frozenset([architecture.key])
        return History(_observations(finished, sign), keys)

    def _finished(self, trial: FrozenTrial) -> Architecture | None:
        if trial.number not in self._architectures:
            architecture = self._architectures[trial.number] = self._build(trial.params)
            # In a study with conditional parameters a trial uses only some of those proposed.
            known = (architecture, self._proposed(trial))
            self._keys[trial.number] = frozenset(a.key for a in known if a is not None)
        return self._architectures[trial.number]

    def _pending(self, trial: FrozenTrial) -> Architecture | None:
        known = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if set(known) >= set(self._space.distributions):
            return self._build(known)
        return self._proposed(trial) or self._build(known)

    def _proposed(self, trial: FrozenTrial) -> Architecture | None:
        text = trial.system_attrs.get(PROPOSAL_ATTRIBUTE)
        if text is None:
            return None
        try:
            return self._space.parse(text)
        except ValueError:  # half-written or of another space: it cannot be told what it is
            return None

    def _build(self, params: dict[str, Any]) -> Architecture | None:
        return self._space.read(params)


def _observations(
    finished: Sequence[tuple[FrozenTrial, Architecture]], sign: float
) -> list[Observation]:
    completed = [t for t, _ in finished if t.state == TrialState.COMPLETE]
    values = {t.number: sign * t.values[0] for t in completed}
    finite = [v for v in values.values() if math.isfinite(v)]
    worst, best = max(finite, default=0.0), min(finite, default=0.0)
    changes: dict[int, float | None] = {}

    observations = []
    for trial, architecture in finished:
        if trial.state == TrialState.COMPLETE:
            value = min(max(values[trial.number], best), worst)
        else:
            step = trial.last_step
            if step is None or not math.isfinite(trial.intermediate_values[step]):
                continue
            if step not in changes:
                changes[step] = _median_change(completed, step)
            change = changes[step]
            if change is None:
                continue
            value = sign * (trial.intermediate_values[step] + change)
        observations.append(
            Observation(
                trial.number,
                architecture,
                value,
                trial.state == TrialState.PRUNED,
                trial.datetime_complete or datetime.max,
            )
        )
    return observations


def _median_change(completed: Sequence[FrozenTrial], step: int) -> float | None:
    """The median of "final value minus report at the step"; None if nobody reported there."""
    changes = [
        trial.values[0] - trial.intermediate_values[step]
        for trial in completed
        if step in trial.intermediate_values
    ]
    finite = [change for change in changes if math.isfinite(change)]
    return float(np.median(finite)) if finite else None
