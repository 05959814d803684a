"""What a report and the terminal show of the trials of one objective.

Most of a report is the same for every study. What differs is one small object: how the
architectures of a trial are drawn, what the drawings are called, which user attributes are worth
showing, which figures are added, and which files that trials have published. `CELLS` is that of
cells, and of spaces without drawings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group
from rich.text import Text

from optuna_nas.trials.architectures import trial_architectures
from optuna_nas.visualization.cells import cell_svg
from optuna_nas.visualization.drawing.terminal import cell_text
from optuna_nas.visualization.formats import format_value

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go
    from optuna.trial import FrozenTrial
    from rich.console import RenderableType

    from optuna_nas.spaces import SearchSpace

__all__ = ["CELLS", "Drawing", "ReportParts", "attribute_texts"]


class Drawing(NamedTuple):
    """The drawing of an architecture.

    Attributes:
        key: Equal for architectures that are the same, which are drawn once.
        svg: Draws it, as a self-contained SVG document.
    """

    key: str
    svg: Callable[[], str]


def draw_cells(trial: FrozenTrial, space: SearchSpace | None) -> Sequence[Drawing]:
    """Draw the cells of a trial that have edges to draw."""
    return [
        Drawing(architecture.key, partial(cell_svg, architecture))
        for architecture in trial_architectures(trial, space)
        if architecture.graph.edges  # a flat one is no picture
    ]


def write_cells(trial: FrozenTrial, space: SearchSpace | None) -> RenderableType | None:
    """Draw the cells of a trial for the terminal; None if it has none."""
    drawn = [cell_text(architecture) for architecture in trial_architectures(trial, space)]
    if len(drawn) < 2:
        return drawn[0] if drawn else None
    headed = ((Text(f"member {n}", "bold"), cell) for n, cell in enumerate(drawn, start=1))
    return Group(*(part for pair in headed for part in (*pair, "")))


def _no_figures(study: optuna.Study) -> Sequence[go.Figure]:
    return ()


@dataclass(frozen=True)
class ReportParts:
    """What is shown of the trials of one objective beside what every study has.

    Attributes:
        gallery: The heading of the drawings of the best trials.
        front: That of the drawings of a Pareto front.
        draw: Draws the architectures of a trial, given their space.
        write: Draws them for the terminal; None if there is nothing.
        attributes: User attributes of the best trial to show, with their headings.
        figures: Figures to add, with a title each; those without data say why in an annotation.
        step: What trials report after.
        published: Pictures (SVG) that trials publish and that are shown of the best one, by the
            names of their files, with their headings.
    """

    gallery: str = "The best cells"
    front: str = "Cells on the Pareto front"
    draw: Callable[[FrozenTrial, SearchSpace | None], Sequence[Drawing]] = draw_cells
    write: Callable[[FrozenTrial, SearchSpace | None], RenderableType | None] = write_cells
    attributes: Mapping[str, str] = field(default_factory=dict)
    figures: Callable[[optuna.Study], Sequence[go.Figure]] = _no_figures
    step: str = "epoch"
    published: Mapping[str, str] = field(default_factory=dict)


CELLS = ReportParts()


def attribute_texts(trial: FrozenTrial, attributes: Mapping[str, str]) -> dict[str, str]:
    """Write the user attributes that a trial has, by their headings.

    Args:
        trial: The trial.
        attributes: Headings by attribute.
    """
    return {
        heading: _in_words(trial.user_attrs[name])
        for name, heading in attributes.items()
        if trial.user_attrs.get(name) is not None
    }


def _in_words(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        items = value if isinstance(value, (list, tuple)) else [value]
        return ", ".join(map(str, items))
    return f"{value:,}" if isinstance(value, int) else format_value(value)
