"""The tables of a comparison, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_nas._checks import user_path
from optuna_nas.artifacts.atomic import write_output

if TYPE_CHECKING:
    from optuna_nas.compare.comparison import Comparison


def summary_rows(
    comparison: Comparison, budgets: Sequence[int] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return the head and a row of texts for each sampler."""
    summaries = comparison.summary(budgets)
    chosen = list(dict.fromkeys(s.budget for s in summaries))
    head = ["sampler", "seeds"]
    for budget in chosen:
        head += [f"mean @{budget}", f"median @{budget}", f"found @{budget}"]
    head += ["ms/ask"]
    rows = []
    for sampler in comparison.samplers:
        own = [s for s in summaries if s.sampler == sampler]
        row = [sampler, str(own[0].seeds)]
        for summary in own:
            row += [
                f"{regret(summary.mean)} ± {regret(summary.standard_error)}",
                regret(summary.median),
                f"{summary.found:.0%}",
            ]
        rows.append([*row, f"{own[0].ms_per_ask:.2f}"])
    return head, rows


def pair_rows(
    comparison: Comparison, budget: int | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return the head and a row of texts for each pair of samplers."""
    head = ["pair", "win/tie/loss", "difference", "p", "p (Holm)"]
    rows = [
        [
            f"{test.first} vs {test.second}",
            f"{test.wins}/{test.ties}/{test.losses}",
            f"{test.difference:+.3f}",
            p_value(test.p),
            p_value(test.p_holm),
        ]
        for test in comparison.tests(budget)
    ]
    return head, rows


def markdown(comparison: Comparison, budgets: Sequence[int] | None = None) -> str:
    """Write a comparison as Markdown: the summary, and the tests.

    Args:
        comparison: The comparison.
        budgets: Numbers of trainings, tested after each; None is a third, two thirds and all,
            tested at the end.

    Raises:
        ValueError: A budget is not between 1 and `n_trials`.
    """
    parts = [
        f"## {_cell(comparison.name)}: {_cell(comparison.metric)}",
        f"Regret after so many trainings (@): the optimum is "
        f"{comparison.settings['optimum']:.6g}. Means over the seeds with their standard error; "
        "*found* is the share of seeds that found the optimum.",
        _table(*summary_rows(comparison, budgets)),
    ]
    for budget in budgets or [comparison.n_trials]:
        head, rows = pair_rows(comparison, budget)
        if rows:
            parts += [
                f"Pairs after {budget} trainings, paired by seed: how often the first has less "
                "regret, the mean difference of regrets, and Wilcoxon's signed-rank test, "
                "two-sided, also adjusted for the number of pairs.",
                _table(head, rows),
            ]
    return "\n\n".join(parts) + "\n"


def write_csv(
    comparison: Comparison, path: str | Path, budgets: Sequence[int] | None = None
) -> None:
    """Write the summary as CSV, a row for each sampler and budget.

    Raises:
        ValueError: A budget is not between 1 and `n_trials`.
        OSError: The file cannot be written.
    """
    rows = [asdict(summary) for summary in comparison.summary(budgets)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_output(user_path(path), text.getvalue().encode())


def regret(value: float) -> str:
    """Write a regret; a small one that is not zero never as zero."""
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.0005 else f"{value:.1g}"


def p_value(value: float) -> str:
    """Write a p-value with two digits."""
    return f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = [list(head)]
    cells += [["---"] + ["---:"] * (len(cells[0]) - 1)]
    cells += [[_cell(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _cell(text: str) -> str:
    """Text that cannot end a cell or a line."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
