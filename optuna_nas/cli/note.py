"""The note on a study, shown by optuna-dashboard: what is searched and how to repeat it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna_dashboard

if TYPE_CHECKING:
    import optuna

    from optuna_nas.cli.config import SearchConfig
    from optuna_nas.objectives import CellCNN


def write_note(
    study: optuna.Study, config: SearchConfig, objective: CellCNN, command: str
) -> None:
    """Write the note."""
    data = objective.data.describe()
    size = objective.space.size
    lines = [
        f"# {config.study}",
        "",
        f"Cells of `{objective.space.name}` ({size:,} settings) on `{data['name']}`: "
        f"{data['train']:,} training, {data['validation']:,} validation and {data['test']:,} test "
        f"images of {data['in_channels']} x {' x '.join(map(str, data['image_size']))}, "
        f"{data['num_classes']} classes."
        if size
        else f"`{objective.space.name}` on `{data['name']}`.",
        "",
        "The value of a trial is its validation accuracy after the last epoch. The test accuracy "
        "is a user attribute; nothing is searched on it.",
        "",
        "Go on with it, or repeat it with another `--study`:",
        "",
        # One option a line, because a note does not wrap what is typed.
        "    " + command.replace(" --", " \\\n        --"),
        "",
        "| setting | value |",
        "|---|---|",
        f"| sampler | {config.sampler} |",
        f"| pruner | {config.pruner} |",
        f"| seed | {config.seed} |",
        *(
            f"| {name.replace('_', ' ')} | {value} |"
            for name, value in config.training.items()
            if value is not None
        ),
    ]
    optuna_dashboard.save_note(study, "\n".join(lines))
