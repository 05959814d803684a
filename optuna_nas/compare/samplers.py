"""Which samplers to compare: names, names with arguments, or functions of a seed.

`tpe`, `TPESampler`, `tpe:multivariate=false`, `my_package.samplers:MySampler:size=5`: after the
name, or `module:class`, follow the keyword arguments of the constructor, separated by colons.
Values are read as JSON, and as plain text where they are none.
"""

from __future__ import annotations

import importlib
import inspect
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler

from optuna_nas._sampler_names import SAMPLERS

SamplerFactory = Callable[..., BaseSampler]
"""Called with the keyword argument `seed`."""

NAMES: dict[str, str] = {
    **SAMPLERS,
    "cmaes": "optuna.samplers:CmaEsSampler",
    "gp": "optuna.samplers:GPSampler",
    "nsgaiii": "optuna.samplers:NSGAIIISampler",
    "qmc": "optuna.samplers:QMCSampler",
    "rnn": "optuna_nas.samplers:RNNSampler",
}
_MODULES = ("optuna.samplers", "optuna_nas.samplers")


@dataclass(frozen=True)
class Contestant:
    """A sampler of a comparison.

    Attributes:
        label: What it is called in tables and figures.
        factory: Makes a fresh sampler.
        description: What the factory makes, as text: runs of one label must agree in it.
    """

    label: str
    factory: SamplerFactory = field(repr=False)
    description: str

    def make(self, seed: int) -> BaseSampler:
        """Make a sampler; that it is experimental is no news in a comparison."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return self.factory(seed=seed)


def contestants(
    samplers: Sequence[str] | Mapping[str, str | SamplerFactory],
) -> list[Contestant]:
    """Read what a user wants to compare, and make each sampler once to see that it can be made.

    Args:
        samplers: Texts (see the module), or by label a text or a function of `seed`: a sampler
            class, a `functools.partial` of one, or a function of your own.

    Raises:
        ValueError: A text is unknown, an argument is wrong, or two have the same label.
        TypeError: Something is neither a text nor a function, or makes no sampler.
    """
    if isinstance(samplers, str):
        raise TypeError(f"`samplers` is {samplers!r}; allowed is a list of names.")
    labelled = (
        list(samplers.items())
        if isinstance(samplers, Mapping)
        else [(text, text) for text in samplers]
    )
    labels = [label for label, _ in labelled]
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"`samplers` is {labels}; allowed are one or more different samplers.")
    found = []
    for label, choice in labelled:
        if isinstance(choice, str):
            contestant = _named(label, choice)
        elif callable(choice):
            contestant = Contestant(label, choice, _describe(choice))
        else:
            raise TypeError(
                f"`samplers[{label!r}]` is {choice!r}; allowed are names, module:class, and "
                "functions of `seed` that make a sampler."
            )
        _check(contestant)
        found.append(contestant)
    return found


def _named(label: str, text: str) -> Contestant:
    first, *rest = text.split(":")
    if rest and "=" not in rest[0]:
        target = f"{first}:{rest.pop(0)}"
    else:
        target = NAMES.get(first) or _class_name(text, first)
    arguments = dict(_argument(text, part) for part in rest)
    factory = _imported(text, target)
    known = inspect.signature(factory).parameters
    if unknown := sorted(set(arguments) - set(known) | {"seed"} - set(known)):
        raise ValueError(
            f"`samplers` has {text!r}, but {target} has no arguments {unknown}; allowed are "
            f"{[name for name in known if name != 'seed']}, and `seed` is needed."
        )
    if "seed" in arguments:
        raise ValueError(f"`samplers` has {text!r}; the seed is set by the comparison.")
    described = "".join(f":{name}={value!r}" for name, value in sorted(arguments.items()))
    return Contestant(label, partial(factory, **arguments), target + described)


def _class_name(text: str, name: str) -> str:
    for module in _MODULES:
        if name.endswith("Sampler") and hasattr(importlib.import_module(module), name):
            return f"{module}:{name}"
    raise ValueError(
        f"`samplers` has {text!r}; allowed are {sorted(NAMES)}, classes of optuna.samplers, "
        "module:class, each with arguments such as tpe:multivariate=false."
    )


def _argument(text: str, part: str) -> tuple[str, Any]:
    name, equals, value = part.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"`samplers` has {text!r}; {part!r} is not of the form name=value.")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _imported(text: str, target: str) -> type[BaseSampler]:
    module, _, attribute = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"`samplers` has {text!r}, which cannot be imported ({error})."
        ) from error
    if not (isinstance(found, type) and issubclass(found, BaseSampler)):
        raise TypeError(f"`samplers` has {text!r}, which is no Optuna sampler but {found!r}.")
    return found


def _check(contestant: Contestant) -> None:
    try:
        sampler = contestant.make(seed=0)
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        raise ValueError(f"`samplers`: {contestant.label!r} cannot be made: {error}") from error
    if not isinstance(sampler, optuna.samplers.BaseSampler):
        raise TypeError(f"`samplers`: {contestant.label!r} makes {sampler!r}, no Optuna sampler.")


def _describe(factory: SamplerFactory) -> str:
    if isinstance(factory, partial):
        arguments = [*map(repr, factory.args)]
        arguments += [f"{name}={value!r}" for name, value in sorted(factory.keywords.items())]
        return f"{_describe(factory.func)}({', '.join(arguments)})"
    module = getattr(factory, "__module__", "")
    return f"{module}:{getattr(factory, '__qualname__', type(factory).__qualname__)}"
