"""What is said of a finished ensemble."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from optuna_nas.ensembles.measures import (
    Labels,
    Probabilities,
    accuracy,
    calibration_error,
    disagreement,
    mean_probabilities,
    negative_log_likelihood,
)


@dataclass(frozen=True)
class EnsembleReport:
    """The quality of an ensemble on one set of images, and what it cost.

    Attributes:
        accuracy: The accuracy of the mean of the probabilities, from 0 to 1.
        nll: Its negative log-likelihood, in nats.
        calibration_error: Its expected calibration error, from 0 to 1.
        disagreement: The share of images of which two members predict different classes.
        mean_member_accuracy: The mean of the accuracies of the members alone.
        mean_member_nll: The mean of their negative log-likelihoods, never below `nll`.
        size: How many members the ensemble has.
        members_drawn: How many candidates were trained to choose from.
        training_seconds: How long the candidates were trained, evaluations not included.
        search_seconds: How long was searched before, likewise.
    """

    accuracy: float
    nll: float
    calibration_error: float
    disagreement: float
    mean_member_accuracy: float
    mean_member_nll: float
    size: int
    members_drawn: int
    training_seconds: float
    search_seconds: float

    @classmethod
    def of(
        cls,
        members: Probabilities,
        labels: Labels,
        *,
        members_drawn: int,
        training_seconds: float,
        search_seconds: float,
    ) -> EnsembleReport:
        """Measure an ensemble.

        Args:
            members: The probabilities of each member, `m x n x c`.
            labels: The right classes, `n`.
            members_drawn: How many candidates were trained to choose from.
            training_seconds: How long the candidates were trained.
            search_seconds: How long was searched before.
        """
        mean = mean_probabilities(members)
        return cls(
            accuracy=accuracy(mean, labels),
            nll=negative_log_likelihood(mean, labels),
            calibration_error=calibration_error(mean, labels),
            disagreement=disagreement(members),
            mean_member_accuracy=sum(accuracy(m, labels) for m in members) / len(members),
            mean_member_nll=sum(negative_log_likelihood(m, labels) for m in members)
            / len(members),
            size=len(members),
            members_drawn=members_drawn,
            training_seconds=training_seconds,
            search_seconds=search_seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields by name."""
        return asdict(self)
