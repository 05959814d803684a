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

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import torch

from optuna_nas._checks import checked_integer, checked_share
from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.data import ImageData, load_images
from optuna_nas.data.few import warn_of_few
from optuna_nas.networks import EnsembleNetwork, build_network, count_macs
from optuna_nas.objectives.devices import usable_device
from optuna_nas.objectives.directions import check_directions
from optuna_nas.objectives.edge_nes.candidates import CandidateTraining, joined_weights
from optuna_nas.objectives.edge_nes.images import Images
from optuna_nas.objectives.edge_nes.members import MemberSource
from optuna_nas.objectives.edge_nes.outcome import Outcome
from optuna_nas.objectives.edge_nes.search import Search, check_supernet
from optuna_nas.objectives.edge_nes.settings import TrainingSettings
from optuna_nas.objectives.options import ARTIFACTS
from optuna_nas.objectives.search_parts import part_sizes
from optuna_nas.spaces import SearchSpace, remember_space
from optuna_nas.tasks import image_classification
from optuna_nas.trials import Stages, TrialRun, load_weights
from optuna_nas.trials.divergence import DivergedError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial
    from torch import nn

    from optuna_nas.spaces import Architecture


class EnsembleSearch:
    """Find an ensemble in one trial; see the module for what it does.

    Args:
        space: The search space; it must have networks, and a supernet if the source searches.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        members: Where candidates come from.
        size: How many of them the ensemble has.
        training: How candidates are trained; None for `TrainingSettings()`.
        held_out: The share of the training images that a search learns architectures on.
        flip: Whether images are mirrored at random. None: if they are coloured.
        crop_padding: Pixels of padding before the random crop. None: an eighth of the side.
        cutout: Side of the square that is blanked in training images, in pixels.
        device: Where to train; None is a GPU if there is one.
        seed: Seed of everything. Trial `n` is seeded with this and `n`.
        artifacts: Folder or bucket (see :func:`optuna_nas.artifacts.open_artifacts`) of pictures,
            checkpoints and the weights of the best ensembles, shared by all workers; None keeps no
            files, so that an interrupted trial starts again.

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

    directions = (optuna.study.StudyDirection.MAXIMIZE,)
    metric_names = ("validation accuracy of the ensemble",)

    def __init__(
        self,
        space: SearchSpace,
        data: ImageData | str | Path,
        members: MemberSource,
        *,
        size: int = 3,
        training: TrainingSettings | None = None,
        held_out: float = 0.5,
        flip: bool | None = None,
        crop_padding: int | None = None,
        cutout: int = 0,
        device: str | torch.device | None = None,
        seed: int = 0,
        artifacts: str | Path | ArtifactPlace | None = ARTIFACTS,
    ) -> None:
        if not isinstance(space, SearchSpace):
            raise TypeError(
                f"`space` is {space!r}; allowed are search spaces such as EdgeNESSpace()."
            )
        if type(members).__repr__ is object.__repr__:
            raise TypeError(
                f"`members` is {members!r}, whose `repr` does not tell its settings; needed is a "
                "`__repr__` that does, as a dataclass has: checkpoints of other settings are told "
                "by it."
            )
        self.space = space
        self.members = members
        self.size = checked_integer("size", size, 1, members.candidates)
        self.training = TrainingSettings() if training is None else training
        self.held_out = checked_share("held_out", held_out)
        self.device = usable_device(device)
        self.seed = checked_integer("seed", seed, 0, 2**31 - 1)
        self.artifacts = artifacts
        if artifacts is not None:
            open_artifacts(artifacts)  # refuses what is none
        self.data = data if isinstance(data, ImageData) else load_images(data)
        warn_of_few(self.data)
        self.task = image_classification(
            self.data, flip=flip, crop_padding=crop_padding, cutout=cutout
        )
        part_sizes(self.data, self.held_out)  # refuses empty ones
        self._check_networks()

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """What a trial suggests: nothing. Its architectures are found by its own searches."""
        return {}

    def settings(self) -> dict[str, Any]:
        """What decides the outcome of a trial; JSON values."""
        return {
            "space": self.space.to_dict(),
            "data": self.data.describe(),
            "members": repr(self.members),
            "size": self.size,
            "training": asdict(self.training),
            "held_out": self.held_out,
            **self.task.settings,
            "seed": self.seed,
        }

    def __call__(self, trial: BaseTrial) -> float:
        """Find an ensemble.

        Returns:
            The validation accuracy of the ensemble, from 0 to 1.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial, or a training diverged.
            ValueError: The study does not maximise.
        """
        check_directions(trial, self.metric_names, self.directions)
        remember_space(trial, self.space, derived=True)
        with TrialRun(trial, self.artifacts, fingerprint=self.settings()) as run:
            try:
                return self._run(trial, run)
            except DivergedError as error:
                trial.set_user_attr("diverged", str(error))
                raise optuna.TrialPruned(f"A training diverged: {error}.") from error

    def evaluate(self, params: Mapping[str, Any] | None = None) -> float:
        """Find an ensemble, outside of any study.

        Args:
            params: Nothing is read from it: a trial has no parameters.

        Returns:
            The validation accuracy of the ensemble, from 0 to 1.
        """
        return self(optuna.trial.FixedTrial(dict(params or {})))

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
            num_classes=self.task.outputs,
            in_channels=self.data.in_channels,
            channels=self.training.channels,
            cells=self.training.cells,
            generator=generator or torch.Generator().manual_seed(self.seed),
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
        ensemble = EnsembleNetwork(self.build(self.space.parse(text)) for text in texts)
        ensemble.load_state_dict(load_weights(self.artifacts, study, number))
        return ensemble.eval()

    def _run(self, trial: BaseTrial, run: TrialRun) -> float:
        stages = Stages(run, self.seed)
        images = self._images
        search = Search(self.space, images, self.task, self.device, stages)
        candidates = self.members.find(search)
        trained = CandidateTraining(
            self.build, images, self.training, self.task, self.device, stages
        ).train(candidates.architectures)
        labels = images.validation.labels, images.test.labels
        outcome = Outcome.of(candidates, trained, labels, self.size, stages.seconds)
        outcome.describe(trial)
        members = [trained[number] for number in outcome.chosen]
        run.log(
            parameters=sum(member["parameters"] for member in members),
            **self.data.measured_on,
        )
        outcome.publish(trial, run)
        value = outcome.validation_report.accuracy
        run.finish(value, joined_weights(members))
        return value

    @cached_property
    def _images(self) -> Images:
        return Images.of(self.data, self.held_out, self.seed, self.device)

    def _check_networks(self) -> None:
        """Build everything once, so that what cannot work is said before anything is trained."""
        generator = torch.Generator().manual_seed(self.seed)
        architecture = self.space.random(np.random.default_rng(self.seed))
        count_macs(self.build(architecture, generator), self.task.input_shape)
        for settings in self.members.searches:
            check_supernet(self.space, self.task, settings, generator)
