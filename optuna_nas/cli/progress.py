"""The live view of a search: one line for each finished trial, and what runs now below."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from optuna_nas._attributes import read_number
from optuna_nas._ranking import best_trials, is_feasible
from optuna_nas.storages.retries import queued_again, state_name
from optuna_nas.visualization.formats import format_measured
from optuna_nas.visualization.records import objective_names, value_errors

if TYPE_CHECKING:
    import optuna

    from optuna_nas.cli.objectives.recipe import Options, Recipe

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_STYLES = {TrialState.COMPLETE: "green", TrialState.PRUNED: "yellow", TrialState.FAIL: "red"}


class Progress:
    """Shows a study while other processes work on it.

    Args:
        console: Where to show it. Without a terminal only finished trials are printed.
        study: The study.
        target: Finished trials to reach.
        recipe: How the objective is made and shown.
        options: The objective's options.
    """

    def __init__(
        self,
        console: Console,
        study: optuna.Study,
        target: int,
        recipe: Recipe,
        options: Options,
    ) -> None:
        self._console = console
        self._study = study
        self._target = target
        self._step = recipe.step
        self._reported = recipe.reported(options)
        self._steps = recipe.steps(options)
        trials = study.get_trials(deepcopy=False)
        self._shown = {t.number for t in trials if t.state.is_finished()}
        self._done_before = sum(t.state in _FINISHED for t in trials)
        self._started = time.time()
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._task = self._bar.add_task(
            "search", total=target, completed=self._done_before, left=""
        )
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        self.update()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.update()
        self._live.stop()

    def update(self) -> None:
        """Read the study and redraw."""
        trials = self._study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self._shown:
                self._shown.add(trial.number)
                self._console.print(self._line(trial, trials), soft_wrap=True)
        done = sum(trial.state in _FINISHED for trial in trials)
        left = self._time_left(done)
        self._bar.update(self._task, completed=min(done, self._target), left=left)
        running = [t for t in trials if t.state == TrialState.RUNNING]
        self._live.update(Group(*map(self._running_line, running), self._bar))

    def _line(self, trial: FrozenTrial, trials: list[FrozenTrial]) -> Text:
        line = Text(f"trial {trial.number:>4}  ")
        continued = trial.number in queued_again(trials)
        state = state_name(trial, continued=continued) + ", goes on" * continued
        line.append(f"{state:<9}", _STYLES[trial.state])
        last = trial.last_step
        if trial.state in _FINISHED and last is not None:
            self._add_value(line, trial, last)
            self._add_step(line, last + 1)
        size = read_number(trial.user_attrs, "parameters")
        if size is not None:
            line.append(f"  {size:>10,} parameters", "dim")
        return line.append(self._best(trials), "bold")

    def _running_line(self, trial: FrozenTrial) -> Text:
        last = trial.last_step
        line = Text(f"trial {trial.number:>4}  ", "cyan")
        line.append("running  ")
        if last is not None:
            self._add_value(line, trial, last)
        self._add_step(line, 0 if last is None else last + 1)
        return line

    def _add_value(self, line: Text, trial: FrozenTrial, step: int) -> None:
        value = trial.intermediate_values[step]
        line.append(f" {self._reported} {format_measured(value, _error(trial, self._study))}")

    def _add_step(self, line: Text, step: int) -> None:
        line.append(f"  {self._step} {step:>3}/{self._steps}", "dim")

    def _best(self, trials: Sequence[FrozenTrial]) -> str:
        """The best value so far, or with several objectives those on the Pareto front."""
        best = best_trials(trials, self._study.directions)
        if len(self._study.directions) > 1:
            return f"  {len(best)} on the Pareto front"
        if best:
            value = format_measured(best[0].values[0], _error(best[0], self._study))
            return f"  best {value} (trial {best[0].number})"
        infeasible = any(t.state == TrialState.COMPLETE and not is_feasible(t) for t in trials)
        return "  none is feasible yet" if infeasible else ""

    def _time_left(self, done: int) -> str:
        fresh = done - self._done_before
        if fresh < 2:
            return ""
        seconds = (time.time() - self._started) / fresh * max(self._target - done, 0)
        minutes, seconds = divmod(round(seconds), 60)
        return f"about {minutes:.0f}:{seconds:02.0f} left"


def _error(trial: FrozenTrial, study: optuna.Study) -> float | None:
    """The standard error of the first value of a complete trial, if it is known."""
    errors = value_errors(trial, objective_names(study))
    return errors[0] if errors else None
