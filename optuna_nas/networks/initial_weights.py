"""Initial weights from a generator of one's own.

Modules initialise themselves from torch's default generator. To seed that one and put it back
afterwards would disturb whoever draws from it meanwhile in another thread, and be disturbed. Here
each random operation of this thread is given the generator instead; the default one is neither
read nor written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def weights_from(generator: torch.Generator | None) -> Iterator[None]:
    """Let modules that are made in the block draw their initial weights from a generator.

    Args:
        generator: A generator on the CPU, which moves by one draw however many weights there are;
            None leaves modules to torch's default generator.
    """
    if generator is None:
        yield
        return
    seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
    with DrawnFrom(torch.Generator().manual_seed(seed)):
        yield


class DrawnFrom(TorchDispatchMode):
    """In the block, what this thread draws on the CPU comes from a generator.

    Draws that name a generator themselves are left as they are.

    Args:
        generator: The generator, on the CPU.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = generator

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation, a random one with the generator."""
        given = dict(kwargs or {})
        seeded = _with_generator(func)
        if seeded is not None and given.get("generator") is None and _on_cpu(args, given):
            return seeded(*args, **given | {"generator": self._generator})
        return func(*args, **given)


class WithoutInitialValues(TorchDispatchMode):
    """In the block, this thread's random fillings are left out: the values are set afterwards."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation, unless it fills its first argument with random values."""
        if torch.Tag.nondeterministic_seeded in func.tags and func._schema.is_mutable:
            return args[0]
        return func(*args, **dict(kwargs or {}))


@cache
def _with_generator(operation: Any) -> Any:
    """The form of a random operation that takes a generator; None of any other operation."""
    if torch.Tag.nondeterministic_seeded not in operation.tags:
        return None
    packet = operation.overloadpacket
    forms = [operation, *(getattr(packet, name) for name in packet.overloads())]
    needed = [name for name in _arguments(operation) if name != "generator"]
    return next(
        (f for f in forms if sorted(_arguments(f)) == sorted([*needed, "generator"])), None
    )


def _arguments(operation: Any) -> list[str]:
    return [argument.name for argument in operation._schema.arguments]


def _on_cpu(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    tensors = (value for value in args if isinstance(value, torch.Tensor))
    device = kwargs.get("device") or next((tensor.device for tensor in tensors), None)
    return device is None or torch.device(device).type == "cpu"
