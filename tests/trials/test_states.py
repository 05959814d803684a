from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from optuna_nas.artifacts.folder import LocalFile
from optuna_nas.trials import states
from optuna_nas.trials.states import CorruptStateError


def write_state(path: Path, state: dict[Any, Any], header: dict[str, Any]) -> None:
    states.write_state(LocalFile(path), state, header)


def read_state(path: Path) -> tuple[dict[Any, Any], dict[str, Any]]:
    return states.read_state(LocalFile(path))


def round_trip(path: Path, state: dict[Any, Any]) -> dict[Any, Any]:
    write_state(path, state, {"kind": "test"})
    restored, header = read_state(path)
    assert header == {"kind": "test"}
    return restored


def assert_same(left: Any, right: Any) -> None:
    """Equal to the last bit, with types, orders, dtypes and shapes."""
    if isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype and left.shape == right.shape
        plain = left.detach().contiguous().view(-1), right.contiguous().view(-1)
        assert torch.equal(plain[0].view(torch.uint8), plain[1].view(torch.uint8))
    elif isinstance(left, dict):
        assert list(left) == list(right) and [type(k) for k in left] == [type(k) for k in right]
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, (list, tuple)):
        assert type(left) is type(right) and len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert_same(a, b)
    else:
        assert type(left) is type(right)
        assert left == right or (math.isnan(left) and math.isnan(right))


def test_a_real_training_state_survives_exactly(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, betas=(0.8, 0.9))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        model(torch.randn(2, 3, 8, 8, generator=generator)).square().sum().backward()
        optimizer.step()
        schedule.step()
    state = {
        "model": dict(model.state_dict()),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "generator": generator.get_state(),
        "numpy": np.random.default_rng(0).bit_generator.state,
        "epoch": 3,
        "curve": [0.1, 0.30000000000000004],
    }
    restored = round_trip(tmp_path / "state", state)
    assert_same(state, restored)
    assert list(restored["optimizer"]["state"]) == [0, 1, 2, 3]  # integers
    assert restored["optimizer"]["param_groups"][0]["betas"] == (0.8, 0.9)

    twin = torch.optim.AdamW(model.parameters(), lr=0.5)
    twin.load_state_dict(restored["optimizer"])
    assert_same(twin.state_dict(), optimizer.state_dict())
    fresh = torch.Generator()
    fresh.set_state(restored["generator"])
    assert torch.equal(torch.rand(5, generator=fresh), torch.rand(5, generator=generator))


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.uint16, torch.uint32, torch.uint64, torch.complex64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn),
    ],
)
def test_every_dtype_and_shape(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.arange(24).to(dtype).reshape(2, 3, 4)
    shapes = {"cube": values, "scalar": values[1, 2, 3], "empty": values[:0], "row": values[1, :1]}
    assert_same(shapes, round_trip(tmp_path / "state", shapes))


def test_views_strides_and_shared_tensors(tmp_path: Path) -> None:
    images = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    weight = torch.nn.Parameter(torch.randn(4, 4))
    state = {
        "channels_last": images,
        "transposed": weight.t(),
        "slice": weight[:, 1],
        "expanded": torch.ones(1).expand(3, 3),
        "encoder": weight,
        "decoder": weight,
    }
    restored = round_trip(tmp_path / "state", state)
    assert_same(state, restored)
    assert (
        restored["encoder"] is restored["decoder"]
    )  # tied weights stay tied, and are stored once
    assert len(load_file(tmp_path / "state")) == 5
    assert not torch.equal(restored["transposed"], restored["encoder"])


def test_plain_values_keep_their_types(tmp_path: Path) -> None:
    state = {
        "numbers": [0, -1, 2**70, 1e-320, -0.0, math.inf, -math.inf, math.nan, 0.1 + 0.2],
        "others": [None, True, False, "", "ünï\ud800\n\x00", (), [], {}, ((1,), [2])],
        "keys": {0: "zero", "0": "text", None: 1, (1, "a"): 2, 2.5: 3, True: 4},
        "order": {"b": 1, "a": 2},
    }
    assert_same(state, round_trip(tmp_path / "state", state))
    restored = round_trip(tmp_path / "state", {"n": np.int64(3), "x": np.float32(0.5)})
    assert_same(restored, {"n": 3, "x": 0.5})
    assert math.copysign(1, round_trip(tmp_path / "state", {"zero": -0.0})["zero"]) == -1


def test_tensor_names_that_collide(tmp_path: Path) -> None:
    tensors = [torch.tensor(float(i)) for i in range(5)]
    state = {
        "a.b": tensors[0],
        "a": {"b": tensors[1]},
        "__metadata__": tensors[2],
        "": tensors[3],
        "ü\ud800": tensors[4],
    }
    assert_same(state, round_trip(tmp_path / "state", state))


def test_a_flat_state_is_an_ordinary_safetensors_file(tmp_path: Path) -> None:
    weights = torch.nn.Linear(2, 3).state_dict()
    write_state(tmp_path / "weights", weights, {})
    assert_same(dict(weights), {name: load_file(tmp_path / "weights")[name] for name in weights})


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"a": {"b": [1, object()]}}, r"state\['a'\]\['b'\]\['1'\] is a builtins\.object"),
        ({"a": np.zeros(2)}, r"state\['a'\] is a numpy\.ndarray"),
        ({"a": {1, 2}}, r"state\['a'\] is a builtins\.set"),
        ({"a": torch.zeros(2, dtype=torch.complex128)}, r"state\['a'\].*complex128"),
        ({"a": torch.zeros(2).to_sparse()}, r"state\['a'\].*sparse"),
        ({"a": torch.zeros(2, device="meta")}, r"state\['a'\].*meta"),
    ],
)
def test_what_cannot_be_stored_is_named(tmp_path: Path, state: Any, place: str) -> None:
    with pytest.raises(TypeError, match=place):
        write_state(tmp_path / "state", state, {})
    assert list(tmp_path.iterdir()) == []


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_state(path, {"model": {"w": torch.randn(30)}, "n": 1}, {"kind": "test"})
    content = path.read_bytes()
    for length in [0, 1, 8, 9, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(CorruptStateError, match="state"):
            read_state(path)
    for foreign in [b"\x80\x04N.", b"\xff" * 300, b"\0" * 300, b"PK\3\4" * 50]:
        path.write_bytes(foreign)
        with pytest.raises(CorruptStateError):
            read_state(path)
    for metadata in [
        None,
        {"optuna_nas": "["},
        {"optuna_nas": "[]"},
        {"optuna_nas": '{"format": 1, "header": {}, "state": {"tensor": "missing"}}'},
        {"optuna_nas": '{"format": 1, "header": {}, "state": {"pickle": "x"}}'},
        {"optuna_nas": '{"format": 1, "header": {}, "state": {"dict": [[[1], 2]]}}'},
        {"optuna_nas": '{"format": 1, "header": 3, "state": {}}'},
        {"optuna_nas": '{"format": 1, "header": {}, "state": ' + "[" * 9999 + "]" * 9999 + "}"},
    ]:
        save_file({"w": torch.zeros(1)}, path, metadata)
        with pytest.raises(CorruptStateError):
            read_state(path)
    save_file({}, path, {"optuna_nas": '{"format": 2, "header": {}, "state": {"dict": []}}'})
    with pytest.raises(CorruptStateError, match="written in format 2, this version reads 1"):
        read_state(path)
    with pytest.raises(FileNotFoundError):
        read_state(tmp_path / "none")


def test_whatever_changes_in_a_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = {"model": {"w": torch.randn(3), "b": torch.arange(2)}, "epoch": 1, "curve": [0.5]}
    write_state(path, state, {"kind": "test", "accuracy": 0.54})
    content = path.read_bytes()
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            restored, header = read_state(path)
        except CorruptStateError:
            refused += 1
        else:  # the name of the checksum itself is damaged, and nothing else
            assert header == {"kind": "test", "accuracy": 0.54}
            assert_same(state, restored)
    assert refused > len(content) - 20
    for sector in range(0, len(content), 64):
        path.write_bytes(content[:sector] + b"\0" * 64 + content[sector + 64 :])
        with pytest.raises(CorruptStateError):
            read_state(path)


def test_a_file_of_a_version_without_checksums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state"
    tree = {"dict": [["w", {"tensor": "w"}], ["epoch", 3]]}
    text = json.dumps({"format": 1, "header": {"kind": "test"}, "state": tree})
    save_file({"w": torch.arange(3)}, path, {"format": "pt", "optuna_nas": text})
    state, header = read_state(path)
    assert_same(state, {"w": torch.arange(3), "epoch": 3})
    assert header == {"kind": "test"}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    write_state(path, {"n": 1}, {})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_state(path, {"n": 2}, {})
    assert read_state(path)[0] == {"n": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_state_stays_valid_when_its_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_state(path, {"w": torch.full((1000,), 1.0)}, {})
    restored, _ = read_state(path)
    with path.open("r+b") as file:  # in place, as a careless tool would do it
        file.write(b"\xff" * path.stat().st_size)
    assert torch.equal(restored["w"], torch.full((1000,), 1.0))
