"""How the command line searches with an objective: one recipe for each.

A recipe is made of functions, one for each thing that differs between objectives. They import
what they need when they run, so that `--help` answers at once. A new objective is a new module
with a recipe in it, listed in :mod:`optuna_nas.cli.objectives`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from optuna_nas._options import Option, options_of
from optuna_nas.objectives.options import GoalOptions

if TYPE_CHECKING:
    from pathlib import Path

    import optuna
    from optuna.trial import FrozenTrial

    from optuna_nas.cli.same_data import Data
    from optuna_nas.spaces import SearchSpace
    from optuna_nas.visualization.report_parts import ReportParts

__all__ = ["Exporter", "Objective", "Option", "Options", "Recipe", "declared", "given"]

Options: TypeAlias = Mapping[str, Any]
"""The options of a recipe by name, complete."""


def _accuracy(options: Options) -> str:
    """Trials report their accuracy, whatever the options."""
    return "accuracy"


_ELSEWHERE = {"seed", "artifacts", *options_of(GoalOptions)}
"""Options of objectives that the command line lists elsewhere: of every search, and goals."""


def declared(*kinds: Any) -> tuple[Option, ...]:
    """The options that objectives and their settings are declared with, apart from the common."""
    found = {name: option for kind in kinds for name, option in options_of(kind).items()}
    return tuple(option for name, option in found.items() if name not in _ELSEWHERE)


def given(options: Options, listed: Iterable[Option]) -> dict[str, Any]:
    """The values of some options, without those that are not set: they are what Python has."""
    return {o.name: options[o.name] for o in listed if options[o.name] is not None}


class Objective(Protocol):
    """What the command line needs of every objective."""

    @property
    def space(self) -> SearchSpace:
        """What it searches."""

    @property
    def data(self) -> Data:
        """What it learns from and is measured on."""

    @property
    def directions(self) -> Sequence[optuna.study.StudyDirection]:
        """One direction for each value."""

    @property
    def metric_names(self) -> Sequence[str]:
        """What the values are called."""

    def __call__(self, trial: optuna.Trial) -> float | Sequence[float]:
        """Run a trial."""


class Exporter(Protocol):
    """Writes what a trial has learnt as a folder that others can use."""

    def __call__(
        self,
        objective: Any,
        study: optuna.Study,
        trial: FrozenTrial,
        folder: str | Path,
        *,
        onnx: bool,
        overwrite: bool,
    ) -> Path:
        """Write the folder and return it, absolute.

        Raises:
            OSError: There is something at `folder` that stays, or it cannot be written.
            UserError: The trial has nothing to export.
        """


@dataclass(frozen=True)
class Export:
    """What `optuna-nas export` does with the network that a trial has trained.

    Attributes:
        write: Writes the folder.
        use: The command that uses it.
        description: The file of the folder that says what the network is, as JSON.
    """

    write: Exporter
    use: Callable[[Path], str]
    description: str = "model.json"


@dataclass(frozen=True)
class Recipe:
    """How the command line searches with an objective.

    Attributes:
        name: What `--objective` calls it.
        summary: What one trial does, in a few words.
        options: The options it has beside those of every search.
        make_objective: The objective, its data loaded, from the options, the seed and the folder
            of artifacts. What is wrong with them is a `ValueError` or an `OSError`, before
            anything is trained or written.
        steps: How many values a whole trial reports; pruners and progress are fitted to it.
        describe: What is searched, in sentences, for the note on the study.
        report_parts: What a report and the terminal show of its trials.
        export: What `optuna-nas export` does; None if a trial trains no network, so that the
            command that follows is a search that starts from this one.
        reported: What a trial reports after each step.
        step: What a step is called.
        sampler: The sampler if none is chosen.
        pruner: The pruner if none is chosen.
        sampler_arguments: By the name of a sampler, its arguments beside the seed.
        trials: How many trials a study has in the end if it is not said.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    make_objective: Callable[[Options, int, str], Objective]
    steps: Callable[[Options], int]
    describe: Callable[[Any], Sequence[str]]
    report_parts: Callable[[], ReportParts]
    export: Export | None = None
    reported: Callable[[Options], str] = _accuracy
    step: str = "epoch"
    sampler: str = "bananas"
    pruner: str = "percentile"
    sampler_arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    trials: int = 50

    @property
    def defaults(self) -> dict[str, Any]:
        """The default of each option."""
        return {option.name: option.default for option in self.options}

    @property
    def earlier(self) -> dict[str, Any]:
        """What each option is in a study of the time before there was the option."""
        return {o.name: o.default if o.earlier is None else o.earlier for o in self.options}

    def task(self, options: Options) -> dict[str, Any]:
        """The options that say what is searched and on which data."""
        return {o.name: options[o.name] for o in self.options if o.task and o.name in options}

    def deciding(self, options: Options) -> dict[str, Any]:
        """The options that the values of trials depend on."""
        own = {option.name for option in self.options if not option.decides}
        return {name: value for name, value in options.items() if name not in own}
