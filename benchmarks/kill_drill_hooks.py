"""In each worker of the kill drill: steps take longer, and an order that lies here is followed.

It becomes the `sitecustomize` of the workers, which Python imports before anything else. What it
changes is not there yet, so it waits for that in a thread.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def _before(place: str, action: Callable[[], None]) -> None:
    """Do something before each call of the function `module:name`, once it is there."""
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    while True:
        try:
            owner: Any = sys.modules[module]
            for part in outer:
                owner = getattr(owner, part)
            function = getattr(owner, name)
            break
        except (KeyError, AttributeError):
            time.sleep(0.002)

    def call(*arguments: Any, **keywords: Any) -> Any:
        action()
        return function(*arguments, **keywords)

    setattr(owner, name, call)


def _follow() -> None:
    """Take one order, and strike where it says; what runs at the start has one of its own."""
    taken = _HERE / f"taken-{os.getpid()}"
    names = ["order-at-start", "order"]
    while True:
        for name in names:
            try:
                (_HERE / name).rename(taken)  # of all workers, one takes it
            except OSError:
                continue
            place, number, calls = json.loads(taken.read_text())
            _before(place, _strike(number, calls))
            return
        names = ["order"]
        time.sleep(0.05)


def _strike(number: int, calls: int) -> Callable[[], None]:
    """What sends this process a signal when it is called for the n-th time."""
    left = [calls]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            (_HERE / f"struck-{os.getpid()}").touch()
            os.kill(os.getpid(), number)

    return count


def _slow_down() -> None:
    seconds = float(os.environ["DRILL_STEP_SECONDS"])
    _before("torch.optim.sgd:SGD.step", lambda: time.sleep(seconds))


if "worker" in sys.orig_argv:
    for task in (_slow_down, _follow):
        threading.Thread(target=task, daemon=True).start()
