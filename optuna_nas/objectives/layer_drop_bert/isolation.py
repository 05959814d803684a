"""A training with transformers' Trainer that leaves no traces in the process around it.

The Trainer seeds the global generators of Python, NumPy and torch, dropout draws from torch's,
and accelerate keeps its state in the process. So trainings in threads take turns, and what was
there before is put back.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from transformers.utils import logging

_turn = threading.RLock()


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Wait for other threads' trainings; keep quiet; restore the generators afterwards.

    Args:
        device: Where the training runs.
    """
    devices = [device.index or 0] if device.type == "cuda" else []
    with _turn, quiet(), torch.random.fork_rng(devices):
        states = random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers log errors only and draw no progress bars."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
