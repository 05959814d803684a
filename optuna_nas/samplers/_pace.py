"""How many trials share a ranking, so that ranking takes little of the workers' time.

A small batch searches better: whoever ranks knows more. A large one costs less. Where trials take
long the smallest is cheap, and only where they begin faster than one ranks it has to be larger.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SHARE, _FEW = 0.2, 4
"""Of one worker's time, how much may go into ranking for a few workers."""

_FURTHER, _MOST = 0.15, 0.8
"""How much more for each further one: the more there are, the less one's time matters to them and
the older is what they know. Only one ranks, and has to keep up."""

_FIRST_GUESS_SECONDS = 0.1
"""How long a ranking is taken to last before one was made."""

_NEWEST = 0.3
"""Weight of the last measurement in a moving average."""


class Pace:
    """How fast the trials of a study begin, and how long a ranking takes, as one worker sees it.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[float, int] | None = None
        self._interval = math.nan
        self._ranking = _FIRST_GUESS_SECONDS

    def begin(self, number: int) -> None:
        """Take note that a trial begins now.

        Args:
            number: Its number; trials in between were other workers'.
        """
        now = self._clock()
        if self._last is not None and number > self._last[1]:
            interval = (now - self._last[0]) / (number - self._last[1])
            self._interval = _averaged(self._interval, interval)
        self._last = now, number

    @contextmanager
    def ranking(self) -> Iterator[None]:
        """Measure a ranking, which is not counted as time between trials."""
        start = self._clock()
        yield
        seconds = self._clock() - start
        self._ranking = _averaged(self._ranking, seconds)
        if self._last is not None:
            self._last = self._last[0] + seconds, self._last[1]

    def batch(self, smallest: int, largest: int, workers: int) -> int:
        """How many trials the next ranking is for; the largest before the second trial.

        Args:
            smallest: At least so many.
            largest: At most so many.
            workers: Between them the time is shared.
        """
        if math.isnan(self._interval):
            return largest
        share = min(_SHARE + _FURTHER * max(workers - _FEW, 0), _MOST)
        allowed = share * self._interval
        wanted = self._ranking / allowed if allowed > 0 else math.inf
        return math.ceil(min(max(wanted, smallest), largest))


def _averaged(before: float, now: float) -> float:
    return now if math.isnan(before) else before + _NEWEST * (now - before)
