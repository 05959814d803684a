"""A network as an ONNX file, checked against the network it comes from.

1. torch traces the network and translates it, with axes of any length where the caller says so.
2. onnxruntime runs the file on real inputs, and on batches of other sizes; a logit that differs
   by more than 1e-4 is an error.
3. Both are timed on one input and one thread, in turn, so that a busy machine is unfair to none.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optuna_nas._extras import require
from optuna_nas.errors import UserError

__all__ = ["ONNX_NAME", "OnnxFile", "OnnxReport", "onnx_file", "require_onnx"]

ONNX_NAME = "model.onnx"
"""What the file is called in an export."""

_TOLERANCE = 1e-4
_WARM_UP = 5
_REPETITIONS = 30
_TRANSLATOR = "torch.onnx._internal.exporter"


@dataclass(frozen=True)
class OnnxReport:
    """How a file compares with the network that torch runs.

    Attributes:
        bytes: Its size.
        torch_bytes: The size of the weights that torch loads.
        largest_difference: Of a logit, over all inputs that were compared.
        compared: How many inputs those are.
        milliseconds: For one input on one thread, the median of thirty.
        torch_milliseconds: Those of torch, likewise.
    """

    bytes: int
    torch_bytes: int
    largest_difference: float
    compared: int
    milliseconds: float
    torch_milliseconds: float

    def __str__(self) -> str:
        return (
            f"{ONNX_NAME}: {self.bytes / 1e6:.2f} MB (torch: {self.torch_bytes / 1e6:.2f} MB), "
            f"{self.milliseconds:.2f} ms for one input on one thread (torch: "
            f"{self.torch_milliseconds:.2f} ms), logits differ by at most "
            f"{self.largest_difference:.1e} on {self.compared} validation inputs"
        )


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file that agrees with its network.

    Attributes:
        content: Its bytes.
        report: How it compares.
    """

    content: bytes
    report: OnnxReport

    @property
    def described(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self.report)


def require_onnx() -> None:
    """Make sure that the packages are there, before anything is trained.

    Raises:
        MissingPackageError: One is not installed.
    """
    require("An export to ONNX", "onnx", "onnx", "onnxruntime", "onnxscript")


def onnx_file(
    network: nn.Module,
    batches: Sequence[Sequence[Tensor]],
    *,
    names: Sequence[str],
    axes: Mapping[int, str],
    metadata: Mapping[str, Any],
) -> OnnxFile:
    """Translate a network, and compare it with the file.

    Args:
        network: Maps its inputs, which are positional, to logits `B classes`; on the CPU, in
            evaluation mode.
        batches: Real inputs, in batches of different sizes, of two inputs at least in the first
            and one in the last, which is timed.
        names: The names of the inputs.
        axes: Which axes of the inputs may have any length, with their names.
        metadata: What the file says of itself, as JSON values by name.

    Raises:
        MissingPackageError: onnx, onnxruntime or onnxscript is not installed.
        UserError: torch cannot translate the network, or the file computes something else.
    """
    require_onnx()
    content = _translated(network, batches[0], names, axes, metadata)
    run = _runner(content, names)
    with torch.inference_mode():
        differences = [
            float((torch.from_numpy(run(batch)) - network(*batch)).abs().max())
            for batch in batches
        ]
    if not max(differences) <= _TOLERANCE:  # nor NaN
        raise UserError(
            f"The ONNX file is not written: its logits differ from torch's by {max(differences)}; "
            f"allowed is {_TOLERANCE}."
        )
    milliseconds, torch_milliseconds = _timed(
        lambda: run(batches[-1]), lambda: network(*batches[-1])
    )
    weights = (*network.parameters(), *network.buffers())
    report = OnnxReport(
        bytes=len(content),
        torch_bytes=sum(tensor.numel() * tensor.element_size() for tensor in weights),
        largest_difference=max(differences),
        compared=sum(len(batch[0]) for batch in batches),
        milliseconds=milliseconds,
        torch_milliseconds=torch_milliseconds,
    )
    return OnnxFile(content, report)


class _Positional(nn.Module):
    """Takes any number of inputs, whatever the network calls them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(*inputs)
        return logits


def _translated(
    network: nn.Module,
    example: Sequence[Tensor],
    names: Sequence[str],
    axes: Mapping[int, str],
    metadata: Mapping[str, Any],
) -> bytes:
    import onnx

    dynamic = dict.fromkeys(axes, torch.export.Dim.DYNAMIC)
    with torch.no_grad(), _quiet():
        try:
            traced = torch.export.export(
                _Positional(network),
                tuple(example),
                dynamic_shapes=(tuple(dynamic for _ in example),),
                strict=False,
            )
            program = torch.onnx.export(
                traced, input_names=list(names), output_names=["logits"], verbose=False
            )
        except (RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"torch cannot write this network as ONNX: {reason}") from error
    assert program is not None
    model = program.model_proto
    texts = {name: json.dumps(value, allow_nan=False) for name, value in metadata.items()}
    onnx.helper.set_model_props(model, texts)
    for value in model.graph.input:
        for axis, name in axes.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _runner(content: bytes, names: Sequence[str]) -> Callable[[Sequence[Tensor]], Any]:
    """What runs the file on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}

    def run(batch: Sequence[Tensor]) -> Any:
        inputs = {n: t.numpy() for n, t in zip(names, batch, strict=True) if n in wanted}
        return session.run(["logits"], inputs)[0]

    return run


def _timed(*calls: Callable[[], object]) -> list[float]:
    """The median milliseconds of each call, on one thread of torch, in turn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            rounds = [[_seconds(call) for call in calls] for _ in range(_WARM_UP + _REPETITIONS)]
    finally:
        torch.set_num_threads(threads)
    columns = zip(*rounds[_WARM_UP:], strict=True)
    return [1000 * statistics.median(column) for column in columns]


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch's translator says of its own parts: the result is checked."""
    logger = logging.getLogger(_TRANSLATOR)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
