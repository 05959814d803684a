"""What is kept of a finished ensemble: reports, pictures and a table of its candidates."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from optuna_nas.ensembles import (
    EnsembleReport,
    accuracy,
    best_ensemble,
    negative_log_likelihood,
)
from optuna_nas.methods import common_edges
from optuna_nas.objectives.edge_nes.search import Candidates
from optuna_nas.visualization.cells import cell_svg
from optuna_nas.visualization.shared_edges import shared_edges_svg

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

    from optuna_nas.spaces import Architecture
    from optuna_nas.trials import TrialRun


@dataclass(frozen=True)
class Outcome:
    """The trained candidates, and which of them are the ensemble.

    Attributes:
        candidates: The architectures.
        validation: Their probabilities on the validation images, `m x n x c`.
        labels: The classes of the validation images.
        chosen: The numbers of the members of the ensemble.
        validation_report: The ensemble on the validation images, on which it was chosen.
        test_report: The ensemble on the test images.
    """

    candidates: Candidates
    validation: NDArray[np.float64]
    labels: NDArray[np.int64]
    chosen: tuple[int, ...]
    validation_report: EnsembleReport
    test_report: EnsembleReport

    @classmethod
    def of(
        cls,
        candidates: Candidates,
        trained: Sequence[Mapping[str, Any]],
        labels: tuple[torch.Tensor, torch.Tensor],
        size: int,
        seconds: Mapping[str, float],
    ) -> Outcome:
        """Choose the ensemble and measure it.

        Args:
            candidates: The architectures.
            trained: The probabilities of each on the `"validation"` and the `"test"` images.
            labels: The classes of these images.
            size: How many members to choose.
            seconds: How long was trained, by purpose.
        """
        validation, test = (
            np.stack([found[name].double().numpy() for found in trained])
            for name in ("validation", "test")
        )
        right, right_test = (split.cpu().numpy() for split in labels)
        chosen = best_ensemble(validation, right, size)
        members = list(chosen)
        reports = [
            EnsembleReport.of(
                given[members],
                known,
                members_drawn=len(trained),
                training_seconds=seconds.get("training", 0.0),
                search_seconds=seconds.get("search", 0.0),
            )
            for given, known in ((validation, right), (test, right_test))
        ]
        return cls(candidates, validation, right, chosen, *reports)

    @property
    def members(self) -> list[Architecture]:
        """The architectures of the ensemble."""
        return [self.candidates.architectures[number] for number in self.chosen]

    @property
    def shared(self) -> list[int] | None:
        """How many edges each candidate shares with the optimum; None without an optimum."""
        optimum = self.candidates.optimum
        if optimum is None:
            return None
        return [common_edges(optimum, a) for a in self.candidates.architectures]

    def describe(self, trial: BaseTrial) -> None:
        """Store what can be read and reused as user attributes of the trial."""
        optimum, shared = self.candidates.optimum, self.shared
        trial.set_user_attr("architecture", " & ".join(map(str, self.members)))
        trial.set_user_attr("members", [str(member) for member in self.members])
        trial.set_user_attr("member_params", [member.params for member in self.members])
        if optimum is not None and shared is not None:
            trial.set_user_attr("optimum", str(optimum))
            trial.set_user_attr("shared_edges", [shared[number] for number in self.chosen])
        if self.candidates.positions:
            positions = [self.candidates.positions[number] for number in self.chosen]
            trial.set_user_attr("lambdas", positions)
        trial.set_user_attr("validation_report", self.validation_report.to_dict())
        trial.set_user_attr("test_report", self.test_report.to_dict())
        trial.set_user_attr("test_accuracy", self.test_report.accuracy)

    def publish(self, run: TrialRun) -> None:
        """Attach pictures, the curve of shared edges and the table of candidates to the trial."""
        name = f"Trial {run.trial.number}"
        optimum, shared = self.candidates.optimum, self.shared
        for number, member in enumerate(self.members, start=1):
            run.publish(f"member_{number}.svg", cell_svg(member, title=f"{name}: member {number}"))
        if optimum is not None:
            run.publish("optimum.svg", cell_svg(optimum, title=f"{name}: optimum"))
        if optimum is not None and shared is not None and self.candidates.curve:
            pairs = list(zip(self.candidates.positions, shared, strict=True))
            picture = shared_edges_svg(
                self.candidates.curve,
                common_edges(optimum, optimum),
                chosen=[pairs[i] for i in self.chosen],
                others=[pair for i, pair in enumerate(pairs) if i not in self.chosen],
                title=f"{name}: shared edges",
            )
            run.publish("shared_edges.svg", picture)
            points = _csv(("lambda", "shared edges"), self.candidates.curve)
            run.publish("shared_edges.csv", points)
        run.publish("candidates.csv", self.table())

    def table(self) -> str:
        """The candidates as CSV: λ, shared edges, and how each is alone on validation images."""
        positions, shared = self.candidates.positions, self.shared
        rows = [
            (
                str(architecture),
                positions[number] if positions else "",
                "" if shared is None else shared[number],
                accuracy(self.validation[number], self.labels),
                negative_log_likelihood(self.validation[number], self.labels),
                int(number in self.chosen),
            )
            for number, architecture in enumerate(self.candidates.architectures)
        ]
        columns = ("architecture", "lambda", "shared edges", "accuracy", "nll", "chosen")
        return _csv(columns, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return file.getvalue()
