"""Interrupts, taken where they do no harm.

Python raises `KeyboardInterrupt` between any two instructions of the main thread: within a
statement of a database, whose lock then stays, or within a library that swallows whatever is
raised. Two things keep it out of there:

- :func:`held_back` is for what has to be done as a whole, such as a statement: an interrupt
  follows when it is done. It leaves Ctrl-C in a program of one's own as it always was;
- a process that asks to be stopped by a flag, as the workers of `optuna-nas search` do, calls
  :func:`ask_to_stop` in its signal handler. :func:`check_interrupted`, called between batches,
  rows and stages, raises then, again each time until the process ends, so that nothing can swallow
  it for good.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace

__all__ = ["SIGNALS", "ask_to_stop", "check_interrupted", "go_on", "held_back"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)

# A plain value: a lock could be held by the very code that a signal handler interrupts.
_process = SimpleNamespace(asked=False)


def ask_to_stop() -> None:
    """Let the next check in the main thread raise."""
    _process.asked = True


def go_on() -> None:
    """Forget that it was asked to stop."""
    _process.asked = False


def check_interrupted() -> None:
    """Stop here if this process was asked to.

    Raises:
        KeyboardInterrupt: It was, and this is the main thread.
    """
    if _process.asked and _in_main_thread():
        raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """Do as a whole: an interrupt that comes meanwhile is passed on at the end.

    A second one is passed on at once, so that nobody is locked in by what does not end.
    """
    if not _in_main_thread():  # the only one that interrupts come to
        yield
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    held: list[tuple[int, FrameType | None]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        handler = handlers[signal.Signals(number)]
        assert callable(handler)
        handler(number, frame)

    def hold(number: int, frame: FrameType | None) -> None:
        held.append((number, frame))
        if len(held) > 1:
            pass_on(number, frame)

    for number, handler in handlers.items():
        if callable(handler):  # what ends or ignores it stays in force
            signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)
        if held:
            pass_on(*held[0])


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
