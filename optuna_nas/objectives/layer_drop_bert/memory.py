"""Memory that does not suffice, said before time is spent and with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def clear_memory_errors(batch_size: int) -> Iterator[None]:
    """Turn torch's errors about memory into one that names the arguments to lower.

    Raises:
        RuntimeError: There was not enough memory.
    """
    try:
        yield
    except RuntimeError as error:
        scarce = isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
        if not scarce:
            raise
        raise RuntimeError(
            f"A step does not fit into memory: lower `batch_size` (it is {batch_size}), "
            f"`max_length` or `max_layers`. {str(error).splitlines()[0]}"
        ) from error


def probe(model: Any, batch: Mapping[str, Tensor], device: torch.device) -> None:
    """Make one training step with a batch, to see whether it fits; the model is used up.

    Args:
        model: A copy of the largest model that will be trained.
        batch: The largest batch, with its labels.
        device: Where to train.

    Raises:
        RuntimeError: It does not fit.
    """
    with clear_memory_errors(len(batch["labels"])):
        model.train().to(device)
        optimizer = torch.optim.AdamW(model.parameters())
        model(**{name: tensor.to(device) for name, tensor in batch.items()}).loss.backward()
        optimizer.step()
