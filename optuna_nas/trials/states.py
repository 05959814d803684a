"""Training state in a file: one safetensors file, exact and never pickled.

1. The state, a tree of dicts, lists, tuples, tensors, numbers, strings, booleans and None, is
   walked once. Tensors are set aside under readable names (`model.conv.weight`); two references to
   the same tensor are stored once.
2. What is left, the tree with the tensors' names in it, becomes JSON in the metadata of the file,
   next to a header that says whose state it is. Dicts are written as pairs, so that integer keys
   (optimizers have them) stay integers.
3. A checksum of the whole file joins the metadata: a SHA-256, made with zeros in its own place. A
   file in which anything has changed since, a bit or a sector, is refused. Those of versions that
   wrote none are read as they are.
4. The file is replaced in one step: readers see the old one or the new one, never half of one.

Values, shapes and dtypes survive to the last bit. Strides, devices and subclasses of dict do not:
tensors come back contiguous on the CPU.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save

from optuna_nas.artifacts import StoredFile

__all__ = ["CorruptStateError", "read_state", "write_state"]

_KEY = "optuna_nas"
_SUM_KEY = "optuna_nas_sha256"
_SUM = re.compile(rb'"%s":"(.{64})' % _SUM_KEY.encode(), re.DOTALL)
_NO_SUM = "0" * 64
_LONGEST_HEADER = 100_000_000
"""That of safetensors: what is longer is no file of it."""
_FORMAT = 1
_DTYPES = frozenset(
    {
        *(torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
        *(torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
        *(torch.float8_e4m3fn, torch.float8_e5m2),
    }
)


class CorruptStateError(ValueError):
    """A file is not a state this version can read: truncated, damaged or foreign."""


def write_state(file: StoredFile, state: Mapping[Any, Any], header: Mapping[str, Any]) -> None:
    """Write `state` and `header` to `file` in one atomic step.

    Args:
        file: Where to.
        state: A tree of dicts, lists, tuples, tensors, numbers, strings, booleans and None.
        header: What the file is about, as JSON.

    Raises:
        TypeError: If the state holds anything else; the message names the place.
        OSError: If the file cannot be written. The old file is then still there.
    """
    encoder = _Encoder()
    tree = encoder.encode(state, ())
    about = {"format": _FORMAT, "header": dict(header), "state": tree}
    text = json.dumps(about, separators=(",", ":"))
    file.write(_sealed(save(encoder.tensors, {"format": "pt", _KEY: text, _SUM_KEY: _NO_SUM})))


def read_state(file: StoredFile) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Read a state and its header back.

    Raises:
        CorruptStateError: If the file is no state of ours.
        OSError: If it cannot be read at all.
    """
    with file.local() as path:
        header, state = _read(path, str(file))
    if not isinstance(state, dict):
        raise CorruptStateError(f"{file}: a state is a dict, this file holds a {type(state)}.")
    return state, header


class _Encoder:
    """Turns a state into JSON values and collects its tensors on the way."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._names: dict[tuple[Any, ...], str] = {}

    def encode(self, value: Any, place: tuple[str, ...]) -> Any:
        """Return `value` as JSON; every JSON object has one key that names what it stands for."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool):
            return value
        for kind in (int, float, str):
            if isinstance(value, kind):
                return kind(value)
        if isinstance(value, torch.Tensor):
            return {"tensor": self._store(value, place)}
        if isinstance(value, Mapping):
            return {
                "dict": [
                    [self.encode(key, place), self.encode(item, (*place, str(key)))]
                    for key, item in value.items()
                ]
            }
        if isinstance(value, (list, tuple)):
            items = [self.encode(item, (*place, str(i))) for i, item in enumerate(value)]
            return items if isinstance(value, list) else {"tuple": items}
        raise TypeError(
            f"state{_place(place)} is a {type(value).__module__}.{type(value).__qualname__}; a "
            "state holds dicts, lists, tuples, tensors, numbers, strings, booleans and None."
        )

    def _store(self, tensor: torch.Tensor, place: tuple[str, ...]) -> str:
        if tensor.layout is not torch.strided or tensor.dtype not in _DTYPES or tensor.is_meta:
            raise TypeError(
                f"state{_place(place)} is a {tensor.layout} tensor of {tensor.dtype} on "
                f"{tensor.device}; a state holds dense tensors with data, of one of the dtypes "
                f"{', '.join(sorted(str(dtype) for dtype in _DTYPES))}."
            )
        identity = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        if tensor.numel() and identity in self._names:
            return self._names[identity]
        plain = ".".join(place).encode("ascii", "backslashreplace").decode()
        name, copies = plain, 1
        while name in self.tensors or name in ("", "__metadata__"):
            copies += 1
            name = f"{plain}#{copies}"
        # A copy of its own: safetensors refuses views of one storage.
        self.tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        self._names[identity] = name
        return name


def _place(place: tuple[str, ...]) -> str:
    return "".join(f"[{key!r}]" for key in place)


def _sealed(content: bytes) -> bytes:
    """Put the checksum into the place that is kept for it."""
    place = _SUM.search(content)
    assert place is not None
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[: place.start(1)] + digest + content[place.end(1) :]


def _check_sum(path: Path) -> None:
    """Compare a file with its checksum, if it has one.

    Raises:
        ValueError: It was changed since it was written.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, _LONGEST_HEADER))
        place = _SUM.search(header)
        if place is None:
            return
        digest = hashlib.sha256(length.to_bytes(8, "little") + header[: place.start(1)])
        digest.update(_NO_SUM.encode() + header[place.end(1) :])
        while part := file.read(1 << 20):
            digest.update(part)
    if digest.hexdigest().encode() != place[1]:
        raise ValueError("it is damaged: its checksum differs")


def _read(path: Path, name: str) -> tuple[dict[str, Any], Any]:
    try:
        _check_sum(path)
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            if about["format"] != _FORMAT:
                raise CorruptStateError(
                    f"{name}: written in format {about['format']}, this version reads {_FORMAT}."
                )
            # Copied: the file is mapped into memory, and may be replaced while we train.
            found = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        return dict(about["header"]), _decode(about["state"], found)
    except CorruptStateError:
        raise
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError, RecursionError) as e:
        raise CorruptStateError(f"{name}: {type(e).__name__}: {e}") from e


def _decode(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_decode(item, tensors) for item in content)
    if kind == "dict":
        return {_decode(key, tensors): _decode(item, tensors) for key, item in content}
    raise ValueError(f"unknown kind {kind!r}")
