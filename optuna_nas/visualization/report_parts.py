"""What a report and the terminal show of the trials of one objective.

Most of a report is the same for every study. What differs is one small object: how the
architecture of a trial is drawn, what the drawings are called, which user attributes are worth
showing, and which figures are added. `CELLS` is that of cells, and of spaces without drawings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from optuna_nas.visualization.cells import cell_svg, cell_text
from optuna_nas.visualization.formats import format_value

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go
    from optuna.trial import FrozenTrial
    from rich.console import RenderableType

    from optuna_nas.spaces import SearchSpace

__all__ = ["CELLS", "Drawing", "ReportParts", "attribute_texts"]


class Drawing(NamedTuple):
    """The drawing of a trial's architecture.

    Attributes:
        key: Equal for architectures that are the same, which are drawn once.
        svg: Draws it, as a self-contained SVG document.
    """

    key: str
    svg: Callable[[], str]


def draw_cell(trial: FrozenTrial, space: SearchSpace | None) -> Drawing | None:
    """Draw the cell of a trial; None if it has none, or no edges to draw."""
    architecture = None if space is None else space.read(trial.params)
    if architecture is None or not architecture.graph.edges:  # a flat one is no picture
        return None
    return Drawing(architecture.key, partial(cell_svg, architecture))


def write_cell(trial: FrozenTrial, space: SearchSpace | None) -> RenderableType | None:
    """Draw the cell of a trial for the terminal; None if it has none."""
    architecture = None if space is None else space.read(trial.params)
    return None if architecture is None else cell_text(architecture)


def _no_figures(study: optuna.Study) -> Sequence[go.Figure]:
    return ()


@dataclass(frozen=True)
class ReportParts:
    """What is shown of the trials of one objective beside what every study has.

    Attributes:
        gallery: The heading of the drawings of the best trials.
        front: That of the drawings of a Pareto front.
        draw: Draws the architecture of a trial, given its space; None if there is nothing.
        write: Draws it for the terminal.
        attributes: User attributes of the best trial to show, with their headings.
        figures: Figures to add, with a title each; those without data say why in an annotation.
    """

    gallery: str = "The best cells"
    front: str = "Cells on the Pareto front"
    draw: Callable[[FrozenTrial, SearchSpace | None], Drawing | None] = draw_cell
    write: Callable[[FrozenTrial, SearchSpace | None], RenderableType | None] = write_cell
    attributes: Mapping[str, str] = field(default_factory=dict)
    figures: Callable[[optuna.Study], Sequence[go.Figure]] = _no_figures


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
