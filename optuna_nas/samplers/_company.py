"""Which trials of others are under way in the hands of somebody who lives.

A trial that says RUNNING may be that of a worker that died. Who took it for company would share
rankings with nobody, and what it proposes would depend on how fast it is. So

1. trials that were begun by the sampler itself are no company;
2. those of others are signs of life if they change, or finish, from one look to the next;
3. they are company only while the last sign is a few looks old, and unless they were there at the
   first look and have not changed since.

No clock is read: a worker that is alone always proposes the same, whatever was left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

_PATIENCE = 10
"""After so many looks without a sign of life nobody is there."""


class Company:
    """Watches the trials of others in one study."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, ...]] = {}
        self._still: dict[int, int] = {}
        self._quiet = _PATIENCE
        self._first = True

    def concerned(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that are under way, or were at the last look; of all trials of the study."""
        running = [trial for trial in trials if trial.state is TrialState.RUNNING]
        ended = [trials[number] for number in self._seen if number < len(trials)]
        return running + [trial for trial in ended if trial.state is not TrialState.RUNNING]

    def look(self, others: Iterable[FrozenTrial]) -> int:
        """Return how many trials under way are company.

        Args:
            others: The trials that were begun by others, of those that are :meth:`concerned`.
        """
        seen, still, lively = {}, {}, False
        for trial in others:
            number, running = trial.number, trial.state == TrialState.RUNNING
            known = number in self._seen
            if not running and not known:
                continue
            changed = known and (not running or _traces(trial) != self._seen[number])
            # Whoever finds a trial that was left behind sets it FAIL, which is not its life.
            lively |= changed and trial.state != TrialState.FAIL
            if running:
                seen[number] = _traces(trial)
                since = self._still[number] + 1 if known else _PATIENCE * self._first
                still[number] = 0 if changed else since
        self._seen, self._still, self._first = seen, still, False
        self._quiet = 0 if lively else self._quiet + 1
        if self._quiet >= _PATIENCE:
            return 0
        return sum(looks < _PATIENCE for looks in still.values())


def _traces(trial: FrozenTrial) -> tuple[int, ...]:
    """What grows while somebody works on a trial."""
    reports, attributes = trial.intermediate_values, (trial.user_attrs, trial.system_attrs)
    return len(trial.params), len(reports), *map(len, attributes)
