"""What a search is: the settings that the command line, its workers and the study share."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna_nas._choices import choose

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from optuna_nas.objectives import CellCNN
    from optuna_nas.spaces import SearchSpace

CONFIG_ATTRIBUTE = "optuna_nas:search"
"""Study user attribute with the settings of the search."""

SPACES = {
    "nasbench101": "optuna_nas.spaces:NASBench101Space",
    "nasbench201": "optuna_nas.spaces:NASBench201Space",
    "darts": "optuna_nas.spaces:DARTSSpace",
}
SAMPLERS = {
    "bananas": "optuna_nas.samplers:BananasSampler",
    "evolution": "optuna_nas.samplers:RegularizedEvolutionSampler",
    "local-search": "optuna_nas.samplers:LocalSearchSampler",
    "random": "optuna.samplers:RandomSampler",
    "tpe": "optuna.samplers:TPESampler",
}


def _median(epochs: int) -> BasePruner:
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=5, n_warmup_steps=max(epochs // 4, 1))


def _percentile(epochs: int) -> BasePruner:
    from optuna.pruners import PercentilePruner

    # Accuracies jump while the learning rate is high: look late, seldom, and for the worst only.
    return PercentilePruner(
        75.0,
        n_startup_trials=5,
        n_warmup_steps=max(epochs // 3, 1),
        interval_steps=max(epochs // 6, 1),
    )


def _halving(epochs: int) -> BasePruner:
    from optuna.pruners import SuccessiveHalvingPruner

    return SuccessiveHalvingPruner(min_resource=max(epochs // 4, 1), reduction_factor=2)


def _hyperband(epochs: int) -> BasePruner:
    from optuna.pruners import HyperbandPruner

    return HyperbandPruner(
        min_resource=max(epochs // 9, 1), max_resource=epochs, reduction_factor=3
    )


def _no_pruner(epochs: int) -> BasePruner:
    from optuna.pruners import NopPruner

    return NopPruner()


PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "halving": _halving,
    "hyperband": _hyperband,
    "median": _median,
    "none": _no_pruner,
    "percentile": _percentile,
}


@dataclass(frozen=True)
class SearchConfig:
    """The settings of a search with the objective `CellCNN`.

    Attributes:
        study: The study's name.
        storage: The storage's address.
        artifacts: The folder of pictures, checkpoints and weights.
        space: A name of `SPACES`, or `module:object`.
        sampler: A name of `SAMPLERS`, or `module:class`.
        pruner: A name of `PRUNERS`.
        data: The source of the images.
        seed: Seed of the sampler, the splits and the trainings.
        loading: Further arguments of `load_images`.
        training: Further arguments of `CellCNN`.
    """

    study: str
    storage: str
    artifacts: str
    space: str
    sampler: str
    pruner: str
    data: str
    seed: int
    loading: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SearchConfig:
        """The settings that :meth:`to_json` wrote."""
        return cls(**json.loads(text))

    def make_space(self) -> SearchSpace:
        """The search space."""
        from optuna_nas.spaces import SearchSpace

        found = _named("space", self.space, SPACES)
        made = _made("space", self.space, found) if isinstance(found, type) else found
        if not isinstance(made, SearchSpace):
            raise _unfit("space", self.space, made, "a SearchSpace")
        return made

    def make_sampler(self, worker: int = 0, trials: int = 0) -> BaseSampler:
        """The sampler.

        Ours share one seed. Others would propose the same in each worker, and the same again
        when a search goes on, so they get a seed for each worker and number of trials.

        Args:
            worker: The number of the worker.
            trials: How many trials the study has.
        """
        import numpy as np
        from optuna.samplers import BaseSampler

        from optuna_nas.samplers import ArchitectureSampler

        seed = self.seed
        found = _named("sampler", self.sampler, SAMPLERS)
        if not (isinstance(found, type) and issubclass(found, ArchitectureSampler)):
            seed = int(np.random.SeedSequence((seed, worker, trials)).generate_state(1)[0])
        made = _made("sampler", self.sampler, found, seed=seed)
        if not isinstance(made, BaseSampler):
            raise _unfit("sampler", self.sampler, made, "a sampler of Optuna")
        return made

    def make_pruner(self) -> BasePruner:
        """The pruner, its steps fitted to the epochs of a training."""
        return choose("pruner", self.pruner, PRUNERS)(self.training["epochs"])

    def make_objective(self, **overrides: Any) -> CellCNN:
        """The objective, its images loaded."""
        from optuna_nas.data import load_images
        from optuna_nas.objectives import CellCNN

        space = self.make_space()
        data = load_images(self.data, seed=self.seed, **self.loading)
        arguments = {"seed": self.seed, "artifacts": self.artifacts, **self.training, **overrides}
        return CellCNN(space, data, **arguments)

    def comparable(self) -> dict[str, Any]:
        """The settings on which the values of trials depend."""
        settings = asdict(self)
        ignored = ("study", "storage", "artifacts", "sampler", "pruner")
        return {
            **{name: value for name, value in settings.items() if name not in ignored},
            "training": {k: v for k, v in settings["training"].items() if k != "device"},
        }

    def check_same_values(self, stored: SearchConfig) -> None:
        """Refuse to go on with a study whose values were made in another way.

        Raises:
            ValueError: A setting differs; the message lists them.
        """
        here, there = self.comparable(), stored.comparable()
        here |= {**here.pop("loading"), **here.pop("training")}
        there |= {**there.pop("loading"), **there.pop("training")}
        changed = [
            f"{name} was {there.get(name)!r} and is {here.get(name)!r}"
            for name in sorted(here.keys() | there.keys())
            if here.get(name) != there.get(name)
        ]
        if changed:
            raise ValueError(
                f"The study {self.study!r} was made with other settings, so its values cannot be "
                f"compared: {'; '.join(changed)}. Use the same settings or another --study."
            )


def _named(argument: str, name: str, known: Mapping[str, str]) -> Any:
    """The object of a known name or of `module:object`."""
    allowed = f"allowed are {sorted(known)} and module:object"
    if ":" not in name and name not in known:
        raise ValueError(f"`{argument}` is {name!r}; {allowed}.")
    if ":" in name and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # one's own modules, also if this is run as an installed program
    module, _, attribute = known.get(name, name).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module of the user's may fail in any way
        raise ValueError(
            f"`{argument}` is {name!r}, which cannot be imported "
            f"({type(error).__name__}: {error}); {allowed}."
        ) from error


def _made(argument: str, name: str, factory: Any, **arguments: Any) -> Any:
    try:
        return factory(**arguments)
    except TypeError as error:
        raise ValueError(
            f"`{argument}` is {name!r}, which cannot be called with "
            f"{', '.join(arguments) or 'no arguments'} ({error}); allowed for module:object is "
            "what can."
        ) from error


def _unfit(argument: str, name: str, made: Any, allowed: str) -> ValueError:
    return ValueError(f"`{argument}` is {name!r}, a {type(made).__name__}; allowed is {allowed}.")


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str | None) -> float | None:
    """Read a duration such as `90`, `90s`, `15m`, `2h` or `3d`.

    Raises:
        ValueError: The text is no positive duration.
    """
    if text is None:
        return None
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        value = float(number) * _UNITS[unit]
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"`timeout` is {text!r}; allowed are durations such as 90s, 15m or 2h.")
    return value
