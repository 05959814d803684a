"""In which precision networks are trained, and how exactly a GPU repeats it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from optuna_nas._options import option

if TYPE_CHECKING:
    import torch

_HALF = ("bfloat16", "float16")


def precision_option(*more: str) -> Any:
    """The precision of a network's passes, as a field of a dataclass.

    Args:
        more: What is allowed beside float32, tf32 (float32 whose products round their factors, on
            GPUs that can) and bfloat16.
    """
    allowed = ("float32", "tf32", "bfloat16", *more)
    return option("float32", f"Precision of the passes: {', '.join(allowed)}.", choices=allowed)


def deterministic_option() -> Any:
    """Whether a GPU must repeat itself to the bit, as a field of a dataclass."""
    return option(False, "Take operations of a GPU that repeat themselves only; slower.")


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """A context in which a network computes in a precision; its weights stay as they are."""
    import torch

    half = precision in _HALF
    kind = getattr(torch, precision) if half else None
    return torch.autocast(device.type, kind, enabled=half)


@contextmanager
def numerics(precision: str, *, deterministic: bool) -> Iterator[None]:
    """Let torch compute so, and as before afterwards.

    Args:
        precision: The precision; unless it is float32, products may round factors to TF32.
        deterministic: Whether operations have to repeat themselves.
    """
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    repeats = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = precision != "float32"
        if deterministic:
            cudnn.deterministic, cudnn.benchmark = True, False
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = before
        torch.use_deterministic_algorithms(repeats, warn_only=warns)
