"""Rankings of candidates that workers share, so that one fit serves all of them.

A worker that finds other trials under way

1. takes the last published ranking while its batch lasts;
2. else claims the next batch, ranks candidates, and publishes them on the study;
3. if another worker has claimed it, does not wait: it takes what the last ranking has left.

A ranking is for its author and for trials that begin after it is published. If its ranks were
counted from the claim, the best would be kept for trials that have begun meanwhile without it.

So nothing is awaited, and nothing is lost if a worker dies: its claim ends with its batch. Two
workers that claim at the same moment both rank, and the later ranking stays. Whoever takes a
candidate tells so on its trial, so that no other worker takes it (see `_base`).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from optuna_nas import _optuna

if TYPE_CHECKING:
    import optuna

    from optuna_nas.spaces import Architecture, SearchSpace

RANKING_ATTRIBUTE = "optuna_nas:ranking"
CLAIM_ATTRIBUTE = "optuna_nas:ranking_claim"
"""Study system attributes."""

_SHARE = 3
"""Candidates of a published ranking, times the size of its batch: some turn out to be taken, and
some are for those who do not wait."""

_MOST_CHARACTERS = 20_000
"""Of a published ranking, which every worker reads for every trial."""


@dataclass(frozen=True)
class Batch:
    """The trials that one ranking is for.

    Attributes:
        start: The number of the first one.
        size: How many there are.
    """

    start: int
    size: int

    @property
    def end(self) -> int:
        """The number of the first trial behind it."""
        return self.start + self.size


@dataclass(frozen=True)
class Ranking:
    """Candidates, the best first.

    Attributes:
        batch: The trials that it is for.
        architectures: The candidates.
    """

    batch: Batch
    architectures: Sequence[Architecture]

    def for_trial(
        self, number: int, taken: Collection[str], workers: int
    ) -> Sequence[Architecture]:
        """The candidates that are left for a trial, that of its own rank first.

        So workers that ask at the same moment do not want the same one. Two that do write and read
        for nothing, and are in each other's way at the next one again: where a trial's own
        candidate is taken, or there is none, it begins elsewhere than its neighbours, but no
        further from the best than there are workers.

        Args:
            number: The trial's number.
            taken: The keys that must not be repeated.
            workers: How many may ask at the same moment.
        """
        left = [rank for rank, a in enumerate(self.architectures) if a.key not in taken]
        own = number - self.batch.start
        first = left.index(own) if own in left else number % max(min(len(left), workers), 1)
        return [self.architectures[rank] for rank in (*left[first:], *left[:first])]


class RankingBoard:
    """Where the workers of a study publish rankings and claim batches.

    Args:
        study: The study.
        space: The space of the candidates.
    """

    def __init__(self, study: optuna.Study, space: SearchSpace) -> None:
        self._storage = _optuna.storage(study)
        self._study_id = _optuna.study_id(study)
        self._space = space

    def read(self, known: Ranking | None = None) -> tuple[Ranking | None, Batch | None]:
        """The last ranking and the last claim; None for what is not there, or not ours.

        Args:
            known: A ranking that was read before; it is returned if it is still the last one.
        """
        found = self._storage.get_study_system_attrs(self._study_id)
        claim, last = found.get(CLAIM_ATTRIBUTE), found.get(RANKING_ATTRIBUTE)
        if known is None or _batch(last) != known.batch:
            known = _ranking(last, self._space)
        return known, _batch(claim)

    def claim(self, batch: Batch) -> None:
        """Say that candidates for a batch are being ranked."""
        self._write(CLAIM_ATTRIBUTE, {"start": batch.start, "size": batch.size})

    def last_begun(self) -> int:
        """The number of the last trial that has begun."""
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return max(t.number for t in trials if t.state != TrialState.WAITING)

    def publish(self, ranking: Ranking) -> None:
        """Publish a ranking, in place of the last one."""
        texts, left = [], _MOST_CHARACTERS
        for text in map(str, ranking.architectures[: _SHARE * ranking.batch.size]):
            left -= len(text)
            if left < 0:
                break
            texts.append(text)
        batch = {"start": ranking.batch.start, "size": ranking.batch.size}
        record = {**batch, "architectures": texts}
        self._write(RANKING_ATTRIBUTE, {**record, "crc32": _checksum(record)})

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        self._storage.set_study_system_attr(self._study_id, name, value)


def _batch(found: Any) -> Batch | None:
    if not isinstance(found, Mapping):
        return None
    start, size = found.get("start"), found.get("size")
    return Batch(start, size) if isinstance(start, int) and isinstance(size, int) else None


def _ranking(found: Any, space: SearchSpace) -> Ranking | None:
    batch = _batch(found)
    texts = None if batch is None else found.get("architectures")
    if batch is None or not isinstance(texts, list):
        return None
    record = {name: value for name, value in found.items() if name != "crc32"}
    if found.get("crc32", _checksum(record)) != _checksum(record):  # earlier versions have none
        return None
    try:
        return Ranking(batch, [space.parse(str(text)) for text in texts])
    except ValueError:  # of another space, as after a change of the study's parameters
        return None


def _checksum(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())
