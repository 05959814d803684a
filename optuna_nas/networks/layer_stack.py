"""The stack of alike layers in a transformer, and copies of the model with fewer of them.

Nothing here knows the names of models. The stack is found by what all of them have in common:

1. the configuration says how many layers there are, under `num_hidden_layers` (configurations
   that call it otherwise, such as DistilBERT's `n_layers`, answer to that name too);
2. the stack is the one `nn.ModuleList` of that many modules, all of one class and with weights of
   the same names and shapes, that is not part of a layer itself.

A model that shares one layer's weights among all (ALBERT), has layers of several kinds, or has an
encoder and a decoder, has no such list or several, and is refused.

A copy with some of the layers is made in three steps:

1. The configuration is shortened: the number of layers, and every list of the model's own that has
   an entry for each layer, whatever it is called.
2. From what would be saved of it, the model is built anew. So what follows from the number of a
   layer, or of all layers (a scale, the kind of attention, the shape of a tensor), is in the copy
   what it is in the model that is loaded later.
3. The weights of the kept layers, and all others, are copied. If the names or shapes of the two
   models differ, the model is refused.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from optuna_nas.networks.initial_weights import WithoutInitialValues

__all__ = ["check_thinnable", "find_layer_stack", "thin"]


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

    The kept layers stay in order with bit-identical weights and are numbered anew. The copy is
    what its configuration describes, so that it can be saved and loaded like any other model:
    where a layer computes with its number, it does so with the new one. The copy shares no memory
    with the model.

    Args:
        model: A model of transformers; it is not changed.
        kept: The numbers of the layers to keep, counted from 0, rising.

    Returns:
        The copy, of the same class.

    Raises:
        ValueError: `kept` is empty, not rising, or names a layer that is not there; the model has
            no stack of layers, or is not determined by its configuration and its weights.
    """
    name = find_layer_stack(model)
    kept = _checked(kept, len(model.get_submodule(name)))  # type: ignore[arg-type]
    weights = _kept_weights(model, name, kept)
    with next(model.parameters()).device:
        thinned = _built(model, kept)
    _check_alike(model, kept, weights, thinned)
    trained = {name for name, tensor in weights.items() if tensor.requires_grad}
    for name, tensor in thinned.state_dict(keep_vars=True).items():
        tensor.data = weights[name].detach().clone()
    for name, parameter in thinned.named_parameters():
        parameter.requires_grad_(name in trained)
    return thinned.train(model.training)


def check_thinnable(model: nn.Module) -> None:
    """Make sure that layers of a model can be dropped, without a copy of its weights.

    Raises:
        ValueError: They cannot; see :func:`thin`.
    """
    name = find_layer_stack(model)
    kept = range(1, len(model.get_submodule(name)))  # type: ignore[arg-type]
    if kept:
        with torch.device("meta"):
            thinned = _built(model, kept)
        _check_alike(model, kept, _kept_weights(model, name, kept), thinned)


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


def _kept_weights(model: nn.Module, name: str, kept: Sequence[int]) -> dict[str, torch.Tensor]:
    """The parameters and buffers of the copy, by their names in it."""
    numbers = {str(old): str(new) for new, old in enumerate(kept)}
    found = {}
    for key, tensor in model.state_dict(keep_vars=True).items():
        if key.startswith(f"{name}."):
            old, _, rest = key.removeprefix(f"{name}.").partition(".")
            if old not in numbers:
                continue
            key = f"{name}.{numbers[old]}.{rest}"
        found[key] = tensor
    return found


def _built(model: Any, kept: Sequence[int]) -> Any:
    """The copy before it has its weights."""
    try:
        with WithoutInitialValues():
            return type(model)(_thinned_config(model.config, kept))
    except Exception as error:  # of whatever kind: the configuration is the model's own code
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            f"{type(model).__name__} cannot be built with {len(kept)} of its "
            f"{model.config.num_hidden_layers} layers, so none can be dropped: {reason}"
        ) from error


def _thinned_config(config: Any, kept: Sequence[int]) -> Any:
    """The configuration of the copy, as it is when it has been saved and loaded."""
    shortened = copy.deepcopy(config)
    count = config.num_hidden_layers
    for attribute, value in _own_attributes(config).items():
        if isinstance(value, (list, tuple)) and len(value) == count:
            setattr(shortened, attribute, type(value)(value[number] for number in kept))
    shortened.num_hidden_layers = len(kept)
    again = type(config).from_dict(json.loads(shortened.to_json_string()))
    again.name_or_path = config.name_or_path
    again._attn_implementation = config._attn_implementation
    return again


def _own_attributes(config: Any) -> dict[str, Any]:
    """What a kind of model adds to what all configurations have, such as names of classes."""
    from transformers import PretrainedConfig

    common = vars(PretrainedConfig())
    return {name: value for name, value in vars(config).items() if name not in common}


def _check_alike(
    model: nn.Module, kept: Sequence[int], weights: dict[str, torch.Tensor], thinned: nn.Module
) -> None:
    built = {name: tensor.shape for name, tensor in thinned.state_dict().items()}
    ours = {name: tensor.shape for name, tensor in weights.items()}
    differing = [name for name in built | ours if built.get(name) != ours.get(name)]
    if differing:
        raise ValueError(
            f"{type(model).__name__} with {len(kept)} layers has other tensors than the kept "
            f"layers and the rest of the model, so none can be dropped: {', '.join(differing[:5])}"
            f"{' and others' if len(differing) > 5 else ''}."
        )
