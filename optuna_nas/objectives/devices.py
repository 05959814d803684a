"""Where to train: whether this machine has a device is said before anything is trained."""

from __future__ import annotations

import torch


def usable_device(device: str | torch.device | None, argument: str = "device") -> torch.device:
    """Return the device to train on.

    Args:
        device: A device of torch or its name; None is a GPU if there is one, else the CPU.
        argument: What it was given for.

    Raises:
        ValueError: There is no such device here.
    """
    gpus = torch.cuda.device_count()  # takes no memory of a GPU, unlike a tensor on it
    if device is None:
        return torch.device("cuda" if gpus else "cpu")
    try:
        found = torch.device(device)
        if found.type != "cuda":
            torch.zeros(1, device=found).item()
        elif (found.index or 0) >= gpus:
            raise RuntimeError(f"torch finds {gpus} CUDA devices")
    except (AssertionError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"`{argument}` is {device!r}, which cannot be used here ({reason}); allowed are None, "
            "'cpu' and the devices that torch finds."
        ) from error
    return found
