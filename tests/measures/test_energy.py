"""Energy of a call, with counters that are made up."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from optuna_nas.errors import UserError
from optuna_nas.measures import MEASURES, energy
from optuna_nas.measures.energy import cpu_counter, energy_of, gpu_counter


class Meter:
    """A machine that needs 0.2 s and 3 J for a call."""

    def __init__(self) -> None:
        self.seconds = self.joules = 0.0

    def run(self) -> None:
        self.seconds += 0.2
        self.joules += 3.0


def test_what_is_used_for_a_call() -> None:
    meter = Meter()
    used = energy_of(meter.run, lambda: meter.joules, clock=lambda: meter.seconds)
    assert used == pytest.approx(3.0)
    assert meter.seconds > 1.5  # the calls to warm up, and more than a second


def test_a_counter_that_stands_still() -> None:
    meter = Meter()
    with pytest.raises(UserError, match=r"counted 0\.0 joules in \d forward passes"):
        energy_of(meter.run, lambda: 7.0, clock=lambda: meter.seconds)


def package(folder: Path, number: int, used: int) -> Path:
    place = folder / f"intel-rapl:{number}"
    place.mkdir(exist_ok=True)
    (place / "energy_uj").write_text(f"{used}\n")
    (place / "max_energy_range_uj").write_text("10000000\n")
    part = folder / f"intel-rapl:{number}:0"  # of the package, so that it is counted already
    part.mkdir(exist_ok=True)
    (part / "energy_uj").write_text("1\n")
    (part / "max_energy_range_uj").write_text("10000000\n")
    return place


def test_the_counters_of_all_processors_also_when_they_begin_anew(tmp_path: Path) -> None:
    package(tmp_path, 0, 9_000_000)
    package(tmp_path, 1, 500_000)
    counter = cpu_counter(tmp_path)
    before = counter()
    package(tmp_path, 0, 2_000_000)  # 3 J further, past 10 J
    package(tmp_path, 1, 750_000)
    assert counter() - before == pytest.approx(3.25)
    package(tmp_path, 0, 1_000_000)
    assert counter() - before == pytest.approx(12.25)


def test_a_machine_without_counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^`energy` cannot be measured on this CPU: there is no"):
        cpu_counter(tmp_path)
    (package(tmp_path, 0, 1) / "energy_uj").unlink()
    with pytest.raises(UserError, match=r"energy_uj' cannot be read .* only root may"):
        cpu_counter(tmp_path)
    monkeypatch.setattr(energy, "cpu_counter", lambda: cpu_counter(tmp_path / "none"))
    with pytest.raises(UserError, match=r"^`energy` cannot be measured on this CPU"):
        MEASURES["energy"](nn.Identity(), torch.zeros(1))
    with pytest.raises(UserError, match=r"^`energy` cannot be measured on meta; allowed are cpu"):
        MEASURES["energy"](nn.Identity(), torch.zeros(1, device="meta"))


def test_the_counter_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def handle(uuid: str) -> str:
        asked.append(uuid)
        return "handle"

    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=handle,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 1500,  # millijoules
    )
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12-34")
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert gpu_counter(torch.device("cuda", 1))() == 1.5
    assert asked == ["GPU-12-34"]

    def broken(handle: str) -> int:
        raise RuntimeError("Not Supported")

    library.nvmlDeviceGetTotalEnergyConsumption = broken
    with pytest.raises(UserError, match=r"measured on cuda:1 \(Not Supported\)"):
        gpu_counter(torch.device("cuda", 1))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(UserError, match="pip install nvidia-ml-py"):
        gpu_counter(torch.device("cuda", 1))
