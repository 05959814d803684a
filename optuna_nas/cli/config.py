"""What a search is: the settings that the command line, its workers and the study share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna_nas._choices import choose
from optuna_nas._sampler_names import SAMPLERS
from optuna_nas.cli.named import made, named, unfit
from optuna_nas.cli.objectives import DEFAULT_OBJECTIVE, RECIPES
from optuna_nas.cli.pruners import PRUNERS

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from optuna_nas.cli.objectives.recipe import Objective, Recipe
__all__ = ["SAMPLERS", "Given", "SearchConfig"]

_FREE = ("artifacts", "sampler", "pruner")
"""Settings that may change while a study goes on."""


@dataclass(frozen=True)
class Given:
    """What the user said of a search; None for what was left to the study or to the defaults.

    Attributes:
        study: The study's name.
        storage: The storage's address.
        objective: A name of `RECIPES`.
        artifacts: Where pictures, checkpoints and weights are: a folder or `s3://bucket/prefix`.
        sampler: A name of `SAMPLERS`, or `module:class`.
        pruner: A name of `PRUNERS`.
        seed: Seed of the sampler, the splits and the trainings.
        options: The options of all objectives.
    """

    study: str
    storage: str
    objective: str | None = None
    artifacts: str | None = None
    sampler: str | None = None
    pruner: str | None = None
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchConfig:
    """The settings of a search.

    Attributes:
        study: The study's name.
        storage: The storage's address.
        artifacts: The folder of pictures, checkpoints and weights.
        objective: A name of `RECIPES`.
        sampler: A name of `SAMPLERS`, or `module:class`.
        pruner: A name of `PRUNERS`.
        seed: Seed of the sampler, the splits and the trainings.
        options: The options of the objective, by name and complete.
    """

    study: str
    storage: str
    artifacts: str
    objective: str
    sampler: str
    pruner: str
    seed: int
    options: Mapping[str, Any]

    @classmethod
    def resolve(
        cls, given: Given, stored: SearchConfig | None, origin: SearchConfig | None = None
    ) -> SearchConfig:
        """Complete what was given by what the study was made with, and else by the defaults.

        Args:
            given: What was given.
            stored: What the study was made with; None if it is new.
            origin: That of the study that a new one starts from: it has its task and its seed.

        Raises:
            ValueError: The objective is unknown, or an option belongs to another one.
        """
        from optuna_nas.artifacts.opening import is_bucket
        from optuna_nas.cli.objectives.parameters import check_owner

        name = given.objective or (stored.objective if stored else DEFAULT_OBJECTIVE)
        recipe = choose("objective", name, RECIPES)
        check_owner(recipe, given.options, RECIPES.values())
        defaults: dict[str, Any] = {
            "artifacts": _default_folder(given.study),
            "sampler": recipe.sampler,
            "pruner": recipe.pruner,
            "seed": 0,
        }
        options = recipe.defaults
        if origin is not None:
            defaults["seed"] = origin.seed
            options |= recipe.task(origin.recipe.task(origin.options))
        if stored is not None:
            defaults = {name: getattr(stored, name) for name in defaults}
            if stored.objective == name:
                options |= recipe.deciding(stored.options)
        options |= {o: value for o, value in given.options.items() if value is not None}
        settings = {
            name: default if (value := getattr(given, name)) is None else value
            for name, default in defaults.items()
        }
        where = settings["artifacts"]
        settings["artifacts"] = where.rstrip("/") if is_bucket(where) else str(Path(where))
        return cls(
            study=given.study, storage=given.storage, objective=name, options=options, **settings
        )

    def inherited(self, given: Given) -> dict[str, Any]:
        """What was not given and is not the default either, so that it is of the study."""
        fresh = SearchConfig.resolve(replace(given, objective=self.objective), None)
        here, there = ({**vars(config), **config.options} for config in (self, fresh))
        if given.objective is None:
            there["objective"] = DEFAULT_OBJECTIVE
        return {n: v for n, v in here.items() if n != "options" and v != there[n]}

    @property
    def recipe(self) -> Recipe:
        """How the objective is made and shown.

        Raises:
            ValueError: There is none of that name, as in a study of a newer version.
        """
        return choose("objective", self.objective, RECIPES)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {**asdict(self), "options": dict(self.options)}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> SearchConfig:
        """The settings that :meth:`to_dict` wrote, also those from before there were objectives.

        Options that are not there, because they came later, are what they were before.

        Raises:
            ValueError: There are settings of a newer version.
        """
        settings = dict(settings)
        if "objective" not in settings:
            loading, training = settings.pop("loading"), settings.pop("training")
            cell = {"space": settings.pop("space"), "data": settings.pop("data")}
            settings |= {"objective": "cell-cnn", "options": {**cell, **loading, **training}}
        if settings.keys() != (known := {f.name for f in fields(cls)}):
            raise ValueError(
                f"The study's settings {sorted(settings.keys() ^ known)} are of another version "
                "of optuna-nas. Update it, or use another --study."
            )
        recipe = RECIPES.get(settings["objective"])
        defaults = {} if recipe is None else recipe.earlier
        if recipe is not None and (newer := sorted(settings["options"].keys() - defaults.keys())):
            raise ValueError(
                f"The study's options {newer} of {recipe.name} are of another version of "
                "optuna-nas. Update it, or use another --study."
            )
        config = cls(**{**settings, "options": {**defaults, **settings["options"]}})
        config._check_types(recipe)
        return config

    def _check_types(self, recipe: Recipe | None) -> None:
        """Refuse settings that are not of the types that the command line gives them.

        Raises:
            ValueError: One is not; the message names it.
        """
        given = {**self.options, **vars(self)}
        allowed: dict[str, tuple[type, ...]] = {f.name: (str,) for f in fields(self)}
        allowed |= {"seed": (int,), "options": (dict,)}
        for option in () if recipe is None else recipe.options:
            numbers = (int,) if option.kind is float else ()
            nothing = (type(None),) if option.default is None else ()
            allowed[option.name] = (option.kind, *numbers, *nothing)
        for name, types in allowed.items():
            if type(given[name]) not in types:
                raise ValueError(
                    f"`{name}` of the study's settings is {given[name]!r}; allowed is "
                    f"{' or '.join(kind.__name__ for kind in types)}."
                )

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> SearchConfig:
        """The settings that :meth:`to_json` wrote."""
        return cls.from_dict(json.loads(text))

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
        found = named("sampler", self.sampler, SAMPLERS)
        if not (isinstance(found, type) and issubclass(found, ArchitectureSampler)):
            seed = int(np.random.SeedSequence((seed, worker, trials)).generate_state(1)[0])
        arguments = self.recipe.sampler_arguments.get(self.sampler, {})
        sampler = made("sampler", self.sampler, found, seed=seed, **arguments)
        if not isinstance(sampler, BaseSampler):
            raise unfit("sampler", self.sampler, sampler, "a sampler of Optuna")
        return sampler

    def make_pruner(self) -> BasePruner:
        """The pruner, fitted to how often a whole trial reports."""
        return choose("pruner", self.pruner, PRUNERS)(self.recipe.steps(self.options))

    @property
    def local_folder(self) -> Path:
        """A folder of this machine for what only it needs, such as the logs of its workers."""
        from optuna_nas.artifacts.opening import is_bucket

        return Path(_default_folder(self.study) if is_bucket(self.artifacts) else self.artifacts)

    def make_objective(self) -> Objective:
        """The objective, its data loaded."""
        return self.recipe.make_objective(self.options, self.seed, self.artifacts)

    def on_any_machine(self) -> SearchConfig:
        """The settings without what is one machine's own, such as its device."""
        options = {**self.recipe.defaults, **self.recipe.deciding(self.options)}
        return replace(self, options=options)

    def comparable(self) -> dict[str, Any]:
        """The settings on which the values of trials depend."""
        return {
            "objective": self.objective,
            "seed": self.seed,
            **self.recipe.deciding(self.options),
        }

    def check_same_values(self, stored: SearchConfig) -> None:
        """Refuse to go on with a study whose values were made in another way.

        Raises:
            ValueError: A setting differs; the message lists them.
        """
        here, there = self.comparable(), stored.comparable()
        if self.objective != stored.objective:  # whose options are others altogether
            here, there = {"objective": self.objective}, {"objective": stored.objective}
        if changed := _differences(there, here):
            raise ValueError(
                f"The study {self.study!r} was made with other settings, so its values cannot be "
                f"compared: {'; '.join(changed)}. Use the same settings or another --study."
            )

    def changes(self, stored: SearchConfig) -> list[str]:
        """What differs from the stored settings although the values can be compared, in words."""
        there, here = ({name: getattr(c, name) for name in _FREE} for c in (stored, self))
        return _differences(there, here)


def _default_folder(study: str) -> str:
    from optuna_nas.artifacts.names import safe_name

    return f"{safe_name(study)}-artifacts"


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} was {there.get(name)!r} and is {here.get(name)!r}"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
