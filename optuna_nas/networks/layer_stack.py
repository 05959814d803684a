"""The stack of alike layers in a transformer, and copies of the model with fewer of them.

Nothing here knows the names of models. The stack is found by what all of them have in common:

1. the configuration says how many layers there are, under `num_hidden_layers` (configurations
   that call it otherwise, such as DistilBERT's `n_layers`, answer to that name too);
2. the stack is the one `nn.ModuleList` of that many modules, all of one class and with weights of
   the same names and shapes, that is not part of a layer itself.

A model that shares one layer's weights among all (ALBERT), has layers of several kinds, or has an
encoder and a decoder, has no such list or several, and is refused.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from torch import nn

__all__ = ["find_layer_stack", "thin"]

_LAYER_NUMBER = re.compile(r"layer_(idx|id|index|number)")
_LAYER_COUNT = re.compile(r"(n|num|num_hidden)_layers?")


def find_layer_stack(model: nn.Module) -> str:
    """Find the stack of layers of a transformer.

    Args:
        model: A model of transformers, with any head; it may be on the `meta` device.

    Returns:
        The name of the list of layers, for `model.get_submodule`.

    Raises:
        ValueError: The model has no stack of alike layers, or several.
    """
    count = getattr(getattr(model, "config", None), "num_hidden_layers", None)
    if not isinstance(count, int):
        raise ValueError(
            f"{type(model).__name__} does not say how many layers it has: its configuration lacks "
            "`num_hidden_layers`."
        )
    fitting: list[str] = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count and _are_alike(module)
    ]
    outermost = [
        name for name in fitting if not any(name.startswith(f"{other}.") for other in fitting)
    ]
    if len(outermost) != 1:
        found = (
            f"several, {outermost}"
            if outermost
            else "none; layers that share their weights (ALBERT) or differ cannot be dropped"
        )
        raise ValueError(
            f"{type(model).__name__} has {count} layers, so one list of {count} alike modules is "
            f"needed to drop some of them; found {found}."
        )
    return outermost[0]


def thin(model: nn.Module, kept: Sequence[int]) -> Any:
    """Copy a model with some of its layers only.

    The kept layers stay in order with bit-identical weights, are numbered anew, and the copy's
    configuration describes it, so that it can be saved and loaded like any other model. The copy
    shares no memory with the model, and dropped layers are not copied on the way.

    Args:
        model: A model of transformers; it is not changed.
        kept: The numbers of the layers to keep, counted from 0, rising.

    Returns:
        The copy, of the same class.

    Raises:
        ValueError: `kept` is empty, not rising, or names a layer that is not there; or the model
            has no stack of layers.
    """
    name = find_layer_stack(model)
    layers = model.get_submodule(name)
    assert isinstance(layers, nn.ModuleList)
    kept = _checked(kept, len(layers))
    copied: dict[int, Any] = {}  # what deepcopy has copied, by the identity of the original
    stack = nn.ModuleList([copy.deepcopy(layers[number], copied) for number in kept])
    stack.training = layers.training
    copied[id(layers)] = stack
    thinned = copy.deepcopy(model, copied)
    for new, old in enumerate(kept):
        _renumber(stack[new], old, new)
    _describe(thinned, name, len(layers), kept)
    return thinned


def _are_alike(layers: nn.ModuleList) -> bool:
    """Whether any layer could stand in the place of another."""
    forms = [
        (type(layer), {name: tensor.shape for name, tensor in layer.state_dict().items()})
        for layer in layers
    ]
    return bool(forms) and bool(forms[0][1]) and all(form == forms[0] for form in forms)


def _checked(kept: Sequence[int], count: int) -> list[int]:
    numbers = [int(number) for number in kept]
    if not numbers or sorted(set(numbers)) != numbers or numbers[0] < 0 or numbers[-1] >= count:
        raise ValueError(
            f"`kept` is {list(kept)!r}; allowed are one or more rising numbers from 0 to "
            f"{count - 1}."
        )
    return numbers


def _renumber(layer: nn.Module, old: int, new: int) -> None:
    """Tell the parts of a layer its new number: a cache of keys and values goes by it."""
    for module in layer.modules():
        for attribute, value in vars(module).items():
            if _LAYER_NUMBER.fullmatch(attribute) and value == old:
                setattr(module, attribute, new)


def _describe(model: Any, name: str, count: int, kept: Sequence[int]) -> None:
    """Correct what the model and its configuration say about the number and kinds of layers."""
    for attribute, value in list(vars(model.config).items()):
        if "layer" in attribute and isinstance(value, (list, tuple)) and len(value) == count:
            setattr(model.config, attribute, type(value)(value[number] for number in kept))
    model.config.num_hidden_layers = len(kept)
    parts = name.split(".")
    for depth in range(len(parts)):
        parent = model.get_submodule(".".join(parts[:depth]))
        for attribute, value in list(vars(parent).items()):
            if _LAYER_COUNT.fullmatch(attribute) and value == count:
                setattr(parent, attribute, len(kept))
