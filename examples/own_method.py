"""A method of one's own: DARTS that is made to decide.

The entropy of each edge's weights is added to the loss of the architecture, the more the later, so
that in the end few operations are left to choose from. From the command line, in the folder of
this file; the same command goes on with a search that was stopped:

    optuna-nas search --objective one-shot --method own_method:DECIDED --preset small \
        --channels 8 --cells 1 --trials 2
    optuna-nas report
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import optuna
import torch

import optuna_nas as nas
from optuna_nas.methods import Engine, option
from optuna_nas.methods.darts import DARTS
from optuna_nas.supernets import Weights


@dataclass(frozen=True)
class EntropyPenalty:
    """A price of what is undecided: its options are options of the method."""

    entropy_price: float = option(0.2, "Price of a nat of entropy at the end.", tunable=True)

    def __call__(
        self, loss: torch.Tensor, weights: Weights, search: Engine, generator: torch.Generator
    ) -> torch.Tensor:
        """The loss and the price."""
        entropies = [-(w * w.clamp_min(1e-9).log()).sum(dim=-1).mean() for w in weights.values()]
        mean = torch.stack(entropies).mean()
        return loss + self.entropy_price * search.progress * mean


DECIDED = replace(
    DARTS,
    name="decided",
    summary="DARTS with a price of what is undecided",
    regulariser=EntropyPenalty(),
)

if __name__ == "__main__":
    search = nas.objectives.OneShotSearch(
        nas.spaces.NASBench201Space(),
        "digits",
        method=DECIDED,
        preset="small",
        channels=8,
        cells=1,
        entropy_price=0.5,
    )
    study = optuna.create_study(direction="maximize")
    study.optimize(search, n_trials=1)
    print(study.best_value, study.best_trial.user_attrs["architecture"])
