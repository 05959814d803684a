"""What a sampler remembers of a study, so that it looks at each finished trial only once.

Finished trials never change and are never taken away. Where they were, the study was deleted and
another one got its number: nothing that is remembered holds for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_nas.samplers._company import Company
from optuna_nas.samplers._reading import HistoryReader
from optuna_nas.spaces import SearchSpace


class StudyView:
    """What is remembered of one study.

    Attributes:
        token: Stands for the study: another object for every study.
        trials: All its trials, as they were at the last look.
        company: Watches the trials of others.
    """

    def __init__(self) -> None:
        self.token = object()
        self.trials: Sequence[FrozenTrial] = ()
        self.company = Company()
        self._finished: dict[int, FrozenTrial] = {}
        self._first_open = 0
        self._distributions: dict[str, BaseDistribution] = {}
        self._reader: HistoryReader | None = None
        self._reader_space: SearchSpace | None = None

    def continues(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether these are later trials of the study that was looked at before."""
        if len(trials) <= max(self._finished, default=-1):
            return False
        now = map(trials.__getitem__, self._finished)
        return all(map(is_, self._finished.values(), now)) or all(
            _same(known, trials[number]) for number, known in self._finished.items()
        )

    def look(self, trials: Sequence[FrozenTrial]) -> None:
        """Take note of all trials of the study."""
        self.trials = trials
        for trial in trials[self._first_open :]:
            if trial.state.is_finished() and trial.number not in self._finished:
                self._finished[trial.number] = trial
                if trial.state != TrialState.FAIL:
                    self._distributions.update(trial.distributions)
        while self._first_open in self._finished:
            self._first_open += 1

    def reader(self, space: SearchSpace) -> HistoryReader:
        """The reader for the space, kept as long as the space stays the same."""
        if self._reader is None or self._reader_space != space:
            self._reader, self._reader_space = HistoryReader(space), space
        return self._reader

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The latest distribution of every parameter of a trial that was not a failure."""
        return dict(sorted(self._distributions.items()))


def _same(first: FrozenTrial, second: FrozenTrial) -> bool:
    """Whether two finished trials are one, though attributes may have been added."""
    return first is second or (
        first.state == second.state
        and first.datetime_start == second.datetime_start
        and first.datetime_complete == second.datetime_complete
        and first.values == second.values
        and first.params.keys() == second.params.keys()
    )
