"""Energy: the millijoules of a forward pass of one example, where the machine tells.

1. Forward passes run for about a second, after some that do not count.
2. The machine's counter of energy is read before and after; the difference is divided by the
   number of passes. What the machine would have used while idle is part of it.

Counters: of CPUs the Linux interface `powercap` (Intel and AMD, RAPL), which often only root may
read; of NVIDIA GPUs since Volta that of NVML, by the package `nvidia-ml-py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from optuna_nas.errors import UserError
from optuna_nas.measures.measure import Inputs, Measure, device_of, forward
from optuna_nas.measures.timing import alone

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ENERGY", "cpu_counter", "energy_of", "gpu_counter"]

Counter: TypeAlias = Callable[[], float]
"""Tells how many joules were used since any moment; it never goes back."""

_POWERCAP = Path("/sys/class/powercap")
_SECONDS = 1.0
_WARM_UP = 3


def energy_of(
    run: Callable[[], object],
    counter: Counter,
    wait: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Measure the joules of a call.

    Args:
        run: The call.
        counter: The machine's counter.
        wait: Waits until what was called is done.
        clock: Tells the time in seconds.

    Raises:
        UserError: The counter does not count.
    """
    for _ in range(_WARM_UP):
        run()
    wait()
    calls, started, before = 0, clock(), counter()
    while clock() - started < _SECONDS:
        run()
        wait()
        calls += 1
    used = counter() - before
    if not used > 0:
        raise UserError(f"The counter of energy counted {used} joules in {calls} forward passes.")
    return used / calls


def cpu_counter(powercap: Path = _POWERCAP) -> Counter:
    """The counter of the CPUs of this machine.

    Args:
        powercap: Where Linux has its counters.

    Raises:
        UserError: There is none, or it may not be read.
    """
    packages = [_Package(folder) for folder in sorted(powercap.glob("intel-rapl:[0-9]"))]
    if not packages:
        raise UserError(
            f"`energy` cannot be measured on this CPU: there is no counter in {powercap} (Linux "
            "has one for Intel and AMD, seldom within virtual machines)."
        )
    return lambda: sum(package.joules() for package in packages)


class _Package:
    """One processor's counter, which begins anew at its largest value."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._last = self._read(self._file)
        self._range = self._read(folder / "max_energy_range_uj")
        self._rounds = 0

    def joules(self) -> float:
        now = self._read(self._file)
        self._rounds += now < self._last
        self._last = now
        return (now + self._rounds * self._range) / 1e6

    @staticmethod
    def _read(file: Path) -> int:
        try:
            return int(file.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"`energy` cannot be measured on this CPU: {str(file)!r} cannot be read "
                f"({error}); on most machines only root may, or whom root lets."
            ) from error


def gpu_counter(device: torch.device) -> Counter:
    """The counter of an NVIDIA GPU.

    Raises:
        UserError: There is none, or the package that reads it is missing.
    """
    import torch

    try:
        import pynvml

        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except ImportError as error:
        raise UserError(
            "`energy` of a GPU needs NVIDIA's library: pip install nvidia-ml-py"
        ) from error
    except Exception as error:  # NVML has errors of its own
        raise UserError(f"`energy` cannot be measured on {device} ({error}).") from error
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000


def _energy(network: nn.Module, inputs: Inputs) -> float:
    import torch

    device = device_of(inputs)
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"`energy` cannot be measured on {device}; allowed are cpu and cuda.")
    counter = gpu_counter(device) if device.type == "cuda" else cpu_counter()
    with alone(device) as wait, torch.inference_mode():
        return 1000 * energy_of(lambda: forward(network, inputs), counter, wait)


ENERGY = Measure("energy", _energy, unit="mJ", summary="energy of a forward pass of one example")
