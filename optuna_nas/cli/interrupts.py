"""Ctrl-C and SIGTERM as one KeyboardInterrupt that is not lost.

Python raises it wherever the main thread happens to be. In a destructor, or in a callback of a
weak reference (SQLAlchemy has many), it is printed and dropped, and the process goes on as if
nobody had asked it to stop. Such an interrupt is sent again a moment later.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN_SECONDS = 0.05


@contextmanager
def interruptible(*, once: bool = False) -> Iterator[None]:
    """Let Ctrl-C, and SIGTERM as machines and schedulers send it, raise KeyboardInterrupt.

    In another thread than the main one, where Python allows no handlers, this does nothing.

    Args:
        once: Ignore every signal after the first, so that none breaks off what the first one
            began; they stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal taken
        if taken and once:
            return
        taken = True
        raise KeyboardInterrupt

    def send_again() -> None:
        nonlocal taken
        taken = False
        os.kill(os.getpid(), signal.SIGINT)

    def notice(unraisable: sys.UnraisableHookArgs) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            threading.Timer(_AGAIN_SECONDS, send_again).start()
        else:
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, notice
    handlers = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if not (taken and once):
            for number, handler in handlers.items():
                signal.signal(number, handler)
