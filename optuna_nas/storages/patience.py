"""Patience: an operation is done again while what it needs is away."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import optuna

from optuna_nas._interrupts import check_interrupted, held_back
from optuna_nas.storages.addresses import without_passwords

__all__ = ["LONGEST_PAUSE_SECONDS", "Patience"]

T = TypeVar("T")

LONGEST_PAUSE_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.1

_logger = optuna.logging.get_logger("optuna_nas")


class Patience:
    """Does operations, which must leave nothing behind when they fail, until they succeed.

    The first pause is 0.1 seconds, each is twice as long as the one before, up to 5. The user is
    told once that something is waited for, and once that it is over. An interrupt waits for the
    operation, which would else leave a lock, and ends the waiting.

    Args:
        seconds: How long an operation is tried again.
        passing: Whether an error may be gone when the same is tried again.

    Attributes:
        disturbed: When an operation last failed, by the monotonic clock.
    """

    def __init__(self, seconds: float, passing: Callable[[Exception], bool]) -> None:
        self.disturbed = -math.inf
        self._seconds = seconds
        self._passing = passing
        self._thread = threading.local()

    def __call__(self, operation: Callable[[], T]) -> T:
        """Do an operation until it succeeds, fails for good, or the patience is over."""
        if getattr(self._thread, "patient", False):  # within another one, which waits for both
            return operation()
        end, pause, waiting = time.monotonic() + self._seconds, _FIRST_PAUSE_SECONDS, False
        self._thread.patient = True
        try:
            while True:
                try:
                    with held_back():
                        result = operation()
                except Exception as error:
                    if not self._passing(error) or time.monotonic() > end:
                        raise
                    if not waiting:
                        _logger.warning(self._complaint(error))
                    waiting = True
                    self.disturbed = time.monotonic()
                else:
                    if waiting:
                        _logger.warning("The database answers again.")
                    return result
                check_interrupted()
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        finally:
            self._thread.patient = False

    def _complaint(self, error: Exception) -> str:
        reason = without_passwords(str(error.__cause__ or error)).partition("\n")[0]
        return f"The database does not answer, tried again for {self._seconds:g} s: {reason}"

    def __getstate__(self) -> dict[str, Any]:
        return {"_seconds": self._seconds, "_passing": self._passing}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_seconds"], state["_passing"])  # type: ignore[misc]
