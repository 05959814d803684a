"""Peak activation memory: the most bytes that tensors of one forward pass take at once.

1. A forward pass is computed, and every tensor that comes out of an operation is noted.
2. A tensor counts from the operation that made it until nothing holds it any more. Tensors that
   share their memory, as views do, count once; the inputs count all the time; weights and
   statistics never do.
3. The most bytes that counted at one moment are the result.

It depends on the network and on its inputs only, not on the machine. Reference for the quantity
as a limit of small devices: J. Lin et al., "MCUNet: Tiny Deep Learning on IoT Devices", NeurIPS
2020, arXiv:2007.10319.

*Departures*: workspaces within a kernel do not count, and no in-place execution is assumed that
the network does not have: a runtime for microcontrollers may need less.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna_nas.measures.measure import Inputs, Measure, forward

if TYPE_CHECKING:
    import torch
    from torch import nn


class _Account:
    """What is held at the moment, and the most that was.

    Args:
        free: Memory that never counts, by its key.
    """

    def __init__(self, free: set[int]) -> None:
        self.held = 0
        self.most = 0
        self._known = free

    def note(self, tensor: torch.Tensor) -> None:
        """Count a tensor, unless its memory is counted already, until it is let go."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.held += size
        self.most = max(self.most, self.held)
        weakref.finalize(storage, self._let_go, key, size)

    def _let_go(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.held -= size


def _memory(network: nn.Module, inputs: Inputs) -> float:
    from torch.utils._python_dispatch import TorchDispatchMode

    weights = [*network.parameters(), *network.buffers()]
    account = _Account({weight.untyped_storage()._cdata for weight in weights})

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self,
            func: Callable[..., Any],
            types: Sequence[type],
            args: Sequence[Any] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> Any:
            made = func(*args, **(kwargs or {}))
            for tensor in _tensors(made):
                account.note(tensor)
            return made

    for tensor in _tensors(inputs):
        account.note(tensor)
    with Watch():  # type: ignore[no-untyped-call]
        forward(network, inputs)
    return account.most


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    from torch import Tensor
    from torch.utils._pytree import tree_leaves

    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


MEMORY = Measure(
    "memory", _memory, unit="bytes", summary="peak memory of activations", additive=False
)
