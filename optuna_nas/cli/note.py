"""The note on a study, shown by optuna-dashboard: what is searched and how to repeat it."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import optuna_dashboard

from optuna_nas._text import one_line

if TYPE_CHECKING:
    import optuna

    from optuna_nas.cli.config import SearchConfig
    from optuna_nas.cli.objectives.recipe import Objective

__all__ = ["note_text", "replace_note"]


def note_text(config: SearchConfig, objective: Objective, command: str) -> str:
    """Write the note.

    Args:
        config: The settings of the search.
        objective: The objective made from them.
        command: The commands that the study was searched with, one a line.
    """
    settings = {
        "objective": config.objective,
        "sampler": config.sampler,
        "pruner": config.pruner,
        "seed": config.seed,
        **config.options,
    }
    lines = [f"# {_plain(config.study)}"]
    for paragraph in config.recipe.describe(objective):
        lines += ["", paragraph]
    lines += ["", "Go on with it, or repeat it with another `--study`:", ""]
    for line in command.splitlines():
        # One option a line, because a note does not wrap what is typed.
        lines.append("    " + line.replace(" --", " \\\n        --"))
    lines += ["", "| setting | value |", "|---|---|"]
    for name, value in settings.items():
        if value is not None:
            lines.append(f"| {name.replace('_', ' ')} | {_plain(str(value))} |")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A text that Markdown shows as it is, in one line: no link, no HTML, no cell of a table."""
    return re.sub(r"([\\\[\]<`|])", r"\\\1", one_line(text))


def replace_note(study: optuna.Study, text: str, before: str = "") -> None:
    """Put a note on a study unless someone has changed the one before."""
    with suppress(TypeError):  # what is no note is not replaced
        if optuna_dashboard.get_note(study) == before:
            optuna_dashboard.save_note(study, text)
