"""Find, train and choose the members of an ensemble, as one trial.

One trial:

1. a source finds candidate architectures, by searches or without (see `members`);
2. every candidate is trained from scratch, with weights and batches of its own;
3. the ensemble of `size` candidates whose mean of probabilities has the smallest negative
   log-likelihood on the validation images is chosen: by trying all combinations, or by forward
   selection where there are too many (see `ensembles.selection`);
4. it is measured once on the test images; nothing is searched on them.

After each epoch of each search and each training a value is reported (the pruner may stop the
trial) and a checkpoint is written. The values are validation accuracies: of the supernet while
searching, and of the ensemble of all candidates so far while training.

The value of the trial is the validation accuracy of the ensemble.

The trial gets the user attributes `members` and `member_params` (the chosen architectures, as
texts and as parameters of the space), `architecture` (all of them in one line), `optimum`,
`shared_edges` and `lambdas` where there are such, `validation_report` and `test_report` (see
`EnsembleReport`), `test_accuracy`, `parameters` (of all members together), `search_seconds`,
`training_seconds` and `seconds`, and the artifacts `member_1.svg` and so on, `optimum.svg`,
`shared_edges.svg` and `shared_edges.csv` (for a hypernetwork: how many edges the architecture at λ
shares with the optimum), `learning_curve.svg` and `candidates.csv`. A trial that diverges is
pruned, and the user attribute `diverged` says how.

`search_seconds` and `training_seconds` are those of the epochs of training; the evaluations after
them do not count.

References: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120; S. Zaidi et
al., "Neural Ensemble Search for Uncertainty Estimation and Dataset Shift", NeurIPS 2021,
arXiv:2006.08573.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from optuna_nas._checks import checked_integer
from optuna_nas._options import documented, from_preset
from optuna_nas.networks import EnsembleNetwork, build_network, count_macs
from optuna_nas.objectives.edge_nes.candidates import joined_weights, train_candidates
from optuna_nas.objectives.edge_nes.members import MemberSource
from optuna_nas.objectives.edge_nes.outcome import Outcome
from optuna_nas.objectives.edge_nes.search import Search, check_supernet
from optuna_nas.objectives.ensemble_settings import TrainingSettings
from optuna_nas.objectives.options import EnsembleOptions
from optuna_nas.objectives.search_parts import SearchObjective
from optuna_nas.objectives.training_objective import Finished
from optuna_nas.spaces import remember_space
from optuna_nas.trials import Stages, load_weights

if TYPE_CHECKING:
    import torch
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial
    from torch import nn

    from optuna_nas.measures import Measurements
    from optuna_nas.spaces import Architecture


@documented
@dataclass(eq=False, repr=False)
class EnsembleSearch(SearchObjective, EnsembleOptions):
    """Find an ensemble in one trial; see the module for what it does.

    Args:
        space: The search space; it must have networks, and a supernet if the source searches.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        members: Where candidates come from.
        training: How candidates are trained; None for the `TrainingSettings` of the preset.

    Raises:
        TypeError: `space` is no search space, or has no network or no supernet, or the `repr` of
            `members` does not tell its settings.
        ValueError: A number is out of range, there are fewer candidates than members, an operation
            of the space is not registered, the images are too small or too few, `device` cannot
            be used, or `artifacts` is a file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> from optuna_nas.objectives.edge_nes import EnsembleSearch, RandomMembers
        >>> search = EnsembleSearch(nas.spaces.EdgeNESSpace(), "digits", RandomMembers(6))
        >>> study = optuna.create_study(direction="maximize")
        >>> study.optimize(search, n_trials=1)  # doctest: +SKIP
    """

    metric_name = "validation accuracy of the ensemble"

    members: MemberSource  # type: ignore[misc]  # `data` has no default
    training: TrainingSettings | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if type(self.members).__repr__ is object.__repr__:
            raise TypeError(
                f"`members` is {self.members!r}, whose `repr` does not tell its settings; needed "
                "is a `__repr__` that does, as a dataclass has: checkpoints of other settings are "
                "told by it."
            )
        checked_integer("size", self.size, 1, self.members.candidates)
        super().__post_init__()
        self._training = self.training or from_preset(TrainingSettings, self.preset)
        self._check_networks()

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """What a trial suggests: nothing. Its architectures are found by its own searches."""
        return {}

    def settings(self) -> dict[str, Any]:
        """What decides the outcome of a trial; JSON values."""
        return {
            **super().settings(),
            "members": repr(self.members),
            "training": asdict(self._training),
        }

    def evaluate(self, params: Mapping[str, Any] | None = None) -> Any:
        """Find an ensemble, outside of any study.

        Args:
            params: Nothing is read from it: a trial has no parameters.

        Returns:
            The validation accuracy of the ensemble, from 0 to 1.
        """
        return super().evaluate(params or {})

    def build(
        self, architecture: Architecture, generator: torch.Generator | None = None
    ) -> nn.Module:
        """Build the network of a candidate in this objective's size, on the CPU.

        Args:
            architecture: What to build.
            generator: What draws the initial weights; None means one with this objective's seed.
        """
        return build_network(
            architecture,
            channels=self._training.channels,
            cells=self._training.cells,
            generator=generator or self._generator(),
            **self._ends,
        )

    def load(self, study: optuna.Study, number: int) -> EnsembleNetwork:
        """Build the trained ensemble of a trial, on the CPU.

        Args:
            study: The study.
            number: The trial's number, e.g. `study.best_trial.number`.

        Returns:
            The ensemble, which maps images to logits.

        Raises:
            ValueError: The objective has no folder, or the trial has found no ensemble.
            FileNotFoundError: The trial's weights were not kept, as others are better.
        """
        if self.artifacts is None:
            raise ValueError("`artifacts` is None, so that no weights were kept.")
        texts = study.trials[number].user_attrs.get("members")
        if texts is None:
            raise ValueError(f"`number` is {number}, a trial that has found no ensemble.")
        members = [self.space.parse(text) for text in texts]
        return self._ensemble(members, load_weights(self.artifacts, study, number)).cpu()

    def _suggest(self, trial: BaseTrial) -> None:
        remember_space(trial, self.space, derived=True)

    def _fingerprint(self, suggested: None) -> dict[str, Any]:
        return {}

    def _train(self, suggested: None, stages: Stages, measured: Measurements) -> Finished:
        run = stages.run
        candidates = self.members.find(Search(self, stages))
        trained = train_candidates(self, candidates.architectures, stages)
        labels = self._on_device.validation.targets, self._on_device.test.targets
        outcome = Outcome.of(candidates, trained, labels, self.size, stages.seconds)
        outcome.describe(run.trial)
        members = [trained[number] for number in outcome.chosen]
        parameters = sum(member["parameters"] for member in members)
        run.log(parameters=parameters, **self.data.measured_on)
        outcome.publish(run)
        weights = joined_weights(members)
        if self._goals.measures:
            measured.after_training(self._ensemble(outcome.members, weights), self._example)
        return Finished(outcome.validation_report.accuracy, weights)

    def _ensemble(
        self, members: Sequence[Architecture], weights: Mapping[str, torch.Tensor]
    ) -> EnsembleNetwork:
        ensemble = EnsembleNetwork(map(self.build, members))
        ensemble.load_state_dict(dict(weights))
        return ensemble.to(self.device).eval()

    def _check_networks(self) -> None:
        """Build everything once, so that what cannot work is said before anything is trained."""
        generator = self._generator()
        architecture = self.space.random(np.random.default_rng(self.seed))
        count_macs(self.build(architecture, generator), self.task.input_shape)
        for settings in self.members.searches:
            check_supernet(self, settings, generator)
