"""What a study searches and how it was started, as names and texts for a report."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from optuna_nas.visualization.records import stored_space

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

__all__ = ["SearchDescription", "SpaceDescription", "describe_search", "describe_space"]

SEARCH_ATTRIBUTE = "optuna_nas:search"
"""Study user attribute with the command line and the settings of a search."""

_PASSWORD = re.compile(r"(://[^:/@\s]*:)\S+(?=@)")  # up to the last @: a password may hold one
_COMMAND = "command"
_MAX_NAMES = 6


@dataclass(frozen=True)
class SpaceDescription:
    """A search space in words.

    Attributes:
        name: Its name; empty if the study has none.
        note: Why there is no space, or how large it is.
        parameters: What the parameters may be, by their names; equal ones are put together.
    """

    name: str
    note: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class SearchDescription:
    """How a search was started.

    Attributes:
        command: The command line; empty if it is not known.
        settings: The settings that were given, by name.
    """

    command: str
    settings: Mapping[str, str]


def describe_space(study: optuna.Study) -> SpaceDescription:
    """Describe the stored space of a study, or else the parameters of its trials."""
    space, problem = stored_space(study)
    if space is None:
        return SpaceDescription("", problem, _parameters(_seen_distributions(study)))
    size = "Continuous" if space.size is None else f"{space.size:,} settings"
    note = f"{size} of {len(space.distributions)} parameters."
    return SpaceDescription(space.name, note, _parameters(space.distributions))


def describe_search(study: optuna.Study) -> SearchDescription | None:
    """Describe how the search was started, without passwords; None if the study does not say."""
    stored = study.user_attrs.get(SEARCH_ATTRIBUTE)
    if isinstance(stored, str):
        try:
            stored = json.loads(stored)
        except json.JSONDecodeError:
            return None
    if not isinstance(stored, Mapping):
        return None
    command = stored.get(_COMMAND)
    settings = {name: value for name, value in stored.items() if name != _COMMAND}
    return SearchDescription(_hide_password(command or ""), _settings(settings))


def _seen_distributions(study: optuna.Study) -> dict[str, BaseDistribution]:
    seen: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        seen |= trial.distributions
    return seen


def _parameters(distributions: Mapping[str, BaseDistribution]) -> dict[str, str]:
    """Say what parameters may be, those with equal distributions in one line."""
    groups: dict[str, list[str]] = {}
    for name, distribution in distributions.items():
        groups.setdefault(_in_words(distribution), []).append(name)
    return {_listed(names): words for words, names in groups.items()}


def _in_words(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(map(str, distribution.choices))
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    kind = "integers" if isinstance(distribution, IntDistribution) else "numbers"
    log = ", on a logarithmic scale" if distribution.log else ""
    steps = "" if distribution.step in (None, 1) else f" in steps of {distribution.step}"
    return f"{kind} from {distribution.low} to {distribution.high}{steps}{log}"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _MAX_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: _MAX_NAMES - 1])}, … {names[-1]} ({len(names)} parameters)"


def _settings(stored: Mapping[str, Any]) -> dict[str, str]:
    """Write the settings that were given as texts, under the shortest names that differ."""
    flat = [(path, value) for path, value in _leaves(stored) if value is not None]
    counts = Counter(path[-1] for path, _ in flat)
    return {
        path[-1] if counts[path[-1]] == 1 else ".".join(path): _hide_password(value)
        for path, value in flat
    }


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what is not a mapping, with the keys that lead to it."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    else:
        yield path, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _hide_password(value: object) -> str:
    return _PASSWORD.sub(r"\1***", str(value))
