"""Which method a trial searches by, and with which options: given, or suggested by the trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from optuna_nas._options import preset_values
from optuna_nas.methods import METHODS, Method
from optuna_nas.objectives.tunables import extremes
from optuna_nas.spaces.base import suggest_parameter

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


class MethodChoice:
    """A method, or several of which each trial suggests one, and its options.

    Args:
        method: The name of a method, a method, or a categorical distribution of names.
        options: Options by name: values, or distributions that each trial suggests them from. One
            that not all of several methods have counts for those that have it.
        preset: `"published"`, or `"small"` for the options that fit small data.

    Attributes:
        methods: The methods by name, with the options that are the same in all trials.

    Raises:
        TypeError: `method` is none of these.
        ValueError: A method or an option is unknown, or a value, or one that a distribution can
            suggest, is not allowed.
    """

    def __init__(
        self,
        method: str | Method | CategoricalDistribution,
        options: Mapping[str, Any],
        preset: str = "published",
    ) -> None:
        self._method = method
        self._options = dict(options)
        found = [m.with_options(**preset_values(m, preset)) for m in _methods(method)]
        known = {name for m in found for name in m.options}
        if unknown := sorted(options.keys() - known):
            raise ValueError(
                f"`{unknown[0]}` is {options[unknown[0]]!r}, but it is no option of "
                f"{[m.name for m in found]}; allowed are {sorted(known)}."
            )
        self.methods = {m.name: self._fixed(m) for m in found}
        for name, value in self._options.items():
            if isinstance(value, BaseDistribution):
                for m in found:
                    self._check_distribution(m, name, value)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What trials suggest."""
        chosen = {"method": self._method, **self._options}
        return {n: v for n, v in chosen.items() if isinstance(v, BaseDistribution)}

    def suggest(self, trial: BaseTrial) -> Method:
        """The method of a trial, which suggests what is to be suggested."""
        name = next(iter(self.methods))
        if isinstance(self._method, BaseDistribution):
            name = suggest_parameter(trial, "method", self._method)
        method = self.methods[name]
        options = [o for o in method.options.values() if o.name in self.distributions]
        for option in sorted(options, key=lambda o: o.needs is not None):
            if option.needs is None or method.values[option.needs[0]] == option.needs[1]:
                value = suggest_parameter(trial, option.name, self._options[option.name])
                method = self._with(method, **{option.name: value})
        return method

    def _fixed(self, method: Method) -> Method:
        """A method with the options that are the same in all trials.

        An option that needs a value of another one, which trials suggest, waits for it.
        """
        values = {
            name: value
            for name, value in self._options.items()
            if name in method.options
            and not isinstance(value, BaseDistribution)
            and not self._waits(method, name)
        }
        return method.with_options(**values)

    def _with(self, method: Method, **values: Any) -> Method:
        """A method with more options, and with those that waited for them."""
        for name, value in self._options.items():
            needs = method.options[name].needs if name in method.options else None
            fixed = not isinstance(value, BaseDistribution)
            if fixed and needs is not None and values.get(needs[0]) == needs[1]:
                values[name] = value
        return method.with_options(**values)

    def _waits(self, method: Method, name: str) -> bool:
        needs = method.options[name].needs
        return needs is not None and isinstance(self._options.get(needs[0]), BaseDistribution)

    def _check_distribution(self, method: Method, name: str, given: BaseDistribution) -> None:
        option = method.options.get(name)
        if option is None:
            return
        if not option.tunable:
            tunable = sorted(o.name for o in method.options.values() if o.tunable)
            raise ValueError(
                f"`{name}` is {given!r}; trials cannot suggest it. They can suggest {tunable}."
            )
        needed = dict([option.needs]) if option.needs and self._waits(method, name) else {}
        for value in extremes(given):
            try:
                self.methods[method.name].with_options(**{**needed, name: value})
            except ValueError as error:
                raise ValueError(
                    f"`{name}` is {given!r}, which can suggest what is not allowed: {error}"
                ) from error


def _methods(method: object) -> list[Method]:
    if isinstance(method, Method):
        return [method]
    names = method.choices if isinstance(method, CategoricalDistribution) else (method,)
    for name in names:
        if not isinstance(name, str) or name not in METHODS:
            raise ValueError(
                f"`method` is {name!r}; allowed are {sorted(METHODS)}, a Method, and a "
                "categorical distribution of these names."
            )
    return [METHODS[str(name)] for name in names]
