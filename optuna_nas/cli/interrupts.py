"""Ctrl-C and SIGTERM as one KeyboardInterrupt that is neither lost nor in the wrong place.

Commands that people start are interrupted at once, wherever the main thread is. In a destructor,
or in a callback of a weak reference (SQLAlchemy has many), Python prints what is raised and drops
it, and the process goes on as if nobody had asked it to stop. Such an interrupt is sent again a
moment later.

Workers are asked: the first signal sets a flag that is looked at where stopping does no harm (see
`optuna_nas._interrupts`). A thread of its own hears the signals too, whatever the main thread is
busy with, and ends the process by `EXIT_CODE` if a second one comes, or if it has not ended by
itself after ten seconds. What it was training is then taken up as after a kill.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from optuna_nas._interrupts import SIGNALS, ask_to_stop, go_on

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXIT_CODE", "INTERRUPTED_CODE", "interruptible"]

INTERRUPTED_CODE = 130
"""Of what was interrupted, as shells have it."""

EXIT_CODE = 137
"""Of a worker that was asked to stop and did not: as if it had been killed."""

_AGAIN_SECONDS = 0.05
_GRACE_SECONDS = 10.0

# Ctrl-C comes from the terminal and again from the supervisor, and so may a scheduler's SIGTERM.
_ECHO_SECONDS = 2.0


@contextmanager
def interruptible(*, once: bool = False) -> Iterator[None]:
    """Let Ctrl-C, and SIGTERM as machines and schedulers send it, stop what runs here.

    In another thread than the main one, where Python allows no handlers, this does nothing.

    Args:
        once: Only ask at the first signal, as workers do; the second one ends the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
    elif once:
        with _asked_first():
            yield
    else:
        with _at_once():
            yield


@contextmanager
def _at_once() -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    def send_again() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def notice(unraisable: sys.UnraisableHookArgs) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            threading.Timer(_AGAIN_SECONDS, send_again).start()
        else:
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, notice
    handlers = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _asked_first() -> Iterator[None]:
    def ask(number: int, frame: object) -> None:
        ask_to_stop()

    _stop_in_children()
    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, ask) for number in SIGNALS}
    threading.Thread(target=_listen, args=(ears,), daemon=True).start()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        mouth.close()
        go_on()


@cache
def _stop_in_children() -> None:
    """Let forked processes, which have no such thread, end by their signals and not tell ours."""

    def as_usual() -> None:
        if signal.getsignal(signal.SIGTERM).__module__ == __name__:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=as_usual)


def _listen(ears: socket.socket) -> None:
    """Hear the numbers of signals until nobody can send any more, and end the process if need be.

    The handlers themselves run in the main thread, and only when that comes to it.
    """
    asked: float | None = None
    with ears:
        while True:
            now = time.monotonic()
            left = None if asked is None else max(asked + _GRACE_SECONDS - now, 0.001)
            ears.settimeout(left)
            try:
                heard = ears.recv(64)
            except TimeoutError:
                os._exit(EXIT_CODE)
            if not heard:
                return
            if not set(heard) & set(SIGNALS):
                continue
            ask_to_stop()
            if asked is None:
                asked = time.monotonic()
            elif time.monotonic() - asked > _ECHO_SECONDS:
                os._exit(EXIT_CODE)
