"""The options of all objectives as options of one command.

An option that several objectives have is listed once, with what each says of it. None of them has
a default for the parser, so that what was not given can be told from what was.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from optuna_nas.cli.objectives.recipe import Option, Recipe

__all__ = ["check_owner", "defaults_in_words", "with_options"]

Command = TypeVar("Command", bound=Callable[..., None])


def with_options(recipes: Collection[Recipe]) -> Callable[[Command], Command]:
    """Give a command the options of all objectives, as keyword arguments; None if not given.

    Args:
        recipes: The objectives.

    Returns:
        A decorator of a function with `**keywords`.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        added = [_parameter(shared, recipes) for shared in _shared(recipes)]
        signature = signature.replace(parameters=[*own, *added])
        command.__signature__ = signature  # type: ignore[attr-defined]
        return command

    return decorate


def check_owner(recipe: Recipe, given: Mapping[str, Any], recipes: Iterable[Recipe]) -> None:
    """Refuse options of another objective.

    Args:
        recipe: The chosen objective.
        given: All options by name; None for what was not given.
        recipes: All objectives.

    Raises:
        ValueError: There is one; the message names it and the objectives that have it.
    """
    for name, value in given.items():
        if value is None or name in recipe.defaults:
            continue
        owners = [(r, o) for r in recipes for o in r.options if o.name == name]
        raise ValueError(
            f"{owners[0][1].flag} is an option of the objective "
            f"{_listed([owner.name for owner, _ in owners])}, not of {recipe.name}; allowed are "
            f"{', '.join(sorted(option.flag for option in recipe.options))}."
        )


def defaults_in_words(defaults: Mapping[str, Any]) -> str:
    """Write a default as the parser writes its own, or one for each objective that differs.

    Args:
        defaults: The default by the name of the objective.
    """
    groups = _groups(defaults)
    if set(groups) == {None}:
        return ""
    if len(groups) == 1:
        return f" [dim]\\[default: {next(iter(groups))}][/dim]"
    words = (f"{value} ({_listed(names)})" for value, names in groups.items() if value is not None)
    return f" [dim]\\[default: {', '.join(words)}][/dim]"


Shared = list[tuple[Recipe, Option]]
"""The objectives that have an option of one name."""


def _shared(recipes: Collection[Recipe]) -> list[Shared]:
    """All options by name: first those of every objective, and last those of one."""
    by_name: dict[str, Shared] = {}
    for recipe in recipes:
        for option in recipe.options:
            by_name.setdefault(option.name, []).append((recipe, option))
    return sorted(by_name.values(), key=lambda shared: -len(shared))


def _parameter(shared: Shared, recipes: Collection[Recipe]) -> inspect.Parameter:
    [name], [kind] = {o.name for _, o in shared}, {o.kind for _, o in shared}
    minima = [option.minimum for _, option in shared]
    least = [minimum for minimum in minima if minimum is not None]
    helps = _groups({recipe.name: option.help for recipe, option in shared})
    words = [text if len(helps) == 1 else f"{_listed(n)}: {text}" for text, n in helps.items()]
    option = typer.Option(
        help=" ".join(words)
        + defaults_in_words({r.name: o.shown or o.default for r, o in shared}),
        min=min(least) if len(least) == len(minima) else None,
        rich_help_panel=_panel(shared, recipes),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _panel(shared: Shared, recipes: Collection[Recipe]) -> str:
    if len(shared) == len(recipes) > 1:
        return "Every objective"
    return f"Objective {_listed([recipe.name for recipe, _ in shared])}"


def _groups(values: Mapping[str, Any]) -> dict[Any, list[str]]:
    """Turn names with values round: the names of each value."""
    groups: dict[Any, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    return groups


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
