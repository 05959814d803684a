"""One whole search on shared weights as one trial.

One trial:

1. the training images are split in two: one part for the weights of the supernet, one for the
   architecture;
2. the supernet is trained for `epochs` epochs by the method's steps (see `methods.engine`); after
   each epoch the accuracy on the validation images, which neither has seen, is reported (the
   pruner may stop the trial) and a checkpoint is written;
3. the architecture is chosen as the method does, and what was asked for is measured of its
   network, as it would be trained next.

The value is the supernet's validation accuracy after the last epoch. It says how well the search
went, not how good the architecture is: for that, train the architecture, which waits in the
trial as parameters of the space::

    study.enqueue_trial(derived_params(search.best_trial))
    study.optimize(CellCNN(space, data), n_trials=1)

The trial gets the user attributes `architecture`, `derived_params`, `supernet_parameters`,
`validation_images` (how many its accuracy is of), `seconds` and, if the method has stopped the
search, `kept_epochs` (how many it went back to), and the artifacts `cell.svg`,
`learning_curve.svg`, `trajectory.npz` (the strengths of the operations after each epoch, an array
for each kind of cell), `trajectory.svg` (their picture) and `derived_cells.csv` (the architecture
after each epoch). A trial that diverges is pruned, and the user attribute `diverged` says how.

*Departures*: the publications report the accuracy on the images that the architecture is learnt
on; here it is that on images of a third part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from optuna_nas._options import documented, set_options
from optuna_nas.data import ImageData
from optuna_nas.methods import Engine, Method
from optuna_nas.networks import build_network, count_parameters
from optuna_nas.objectives.architecture_path import derived_csv, path_svg
from optuna_nas.objectives.method_choice import MethodChoice
from optuna_nas.objectives.options import OneShotOptions
from optuna_nas.objectives.search_parts import SearchObjective
from optuna_nas.objectives.training_objective import Finished
from optuna_nas.spaces import Architecture, SearchSpace, remember_space
from optuna_nas.supernets import Supernet, build_supernet
from optuna_nas.trials import Stage, Stages
from optuna_nas.visualization.cells import cell_svg

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.trial import BaseTrial, FrozenTrial

    from optuna_nas.measures import Measurements
    from optuna_nas.spaces import Architecture

PARAMS_ATTR = "derived_params"
"""Trial user attribute with the parameters of the derived architecture."""


def derived_params(trial: FrozenTrial | BaseTrial) -> dict[str, Any]:
    """The architecture that a search found, as parameters of its space, for `enqueue_trial`.

    Args:
        trial: A finished trial of a search.

    Raises:
        ValueError: The trial derived no architecture.
    """
    params = trial.user_attrs.get(PARAMS_ATTR)
    if params is None:
        raise ValueError(
            f"`trial` is trial {trial.number}, which has derived no architecture; allowed are "
            "trials of a search such as `Darts` that are complete or pruned."
        )
    return dict(params)


@documented
@dataclass(eq=False, repr=False, init=False)
class OneShotSearch(SearchObjective, OneShotOptions):
    """Search an architecture on shared weights, in one trial; see the module for what it does.

    Args:
        space: The search space; it must have a supernet.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        method: The name of a method (see :data:`optuna_nas.methods.METHODS`), a
            :class:`~optuna_nas.methods.Method`, or a categorical distribution of names, of which
            each trial suggests one.
        **options: The options below, and those of the method (see `Method.options`), such as
            `epochs` or `architecture_learning_rate`. Of the latter, those that are tunable may be
            Optuna distributions; each trial then suggests them under their names.

    Raises:
        TypeError: `space` is no search space, or has no supernet.
        ValueError: The method or an option is unknown, a number is out of range, an operation of
            the space is not registered, the images are too small or too few, `device` cannot be
            used, or `artifacts` is a file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> space = nas.spaces.NASBench201Space()
        >>> search = nas.objectives.OneShotSearch(
        ...     space, "digits", method="gdas", epochs=5, channels=8, cells=1
        ... )
        >>> study = optuna.create_study(direction="maximize")
        >>> study.optimize(search, n_trials=4)  # doctest: +SKIP
    """

    metric_name = "validation accuracy of the supernet"

    def __init__(
        self,
        space: SearchSpace,
        data: ImageData | str | Path,
        *,
        method: str | Method | CategoricalDistribution = "darts",
        **options: Any,
    ) -> None:
        self.space, self.data = space, data
        rest = set_options(self, options)
        self.search = MethodChoice(method, rest, self.preset)
        self.__post_init__()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_supernets()

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The settings that trials suggest."""
        return self.search.distributions

    def build(
        self, generator: torch.Generator | None = None, method: Method | None = None
    ) -> Supernet:
        """Build the supernet in this objective's size, on the CPU.

        Args:
            generator: What draws the initial weights; None means one with this objective's seed.
            method: The method that it is for; None for the first one.
        """
        method = next(iter(self.search.methods.values())) if method is None else method
        return build_supernet(
            self.space,
            channels=self.channels,
            cells=self.cells,
            partial_channels=method.execution.partial_channels,
            generator=generator or self._generator(),
            **self._ends,
        )

    def _suggest(self, trial: BaseTrial) -> Method:
        remember_space(trial, self.space, derived=True)
        return self.search.suggest(trial)

    def _fingerprint(self, suggested: Method) -> dict[str, Any]:
        return suggested.describe()

    def _train(self, suggested: Method, stages: Stages, measured: Measurements) -> Finished:
        run, generator = stages.run, stages.generator()
        supernet = self.build(generator, suggested)
        architecture = suggested.architecture(suggested, supernet, generator)
        run.log(supernet_parameters=count_parameters(supernet))
        run.log(validation_images=len(self.data.validation))
        train, held_out = self._parts
        engine = Engine(
            suggested,
            supernet.to(self.device),
            architecture.to(self.device),
            train,
            held_out,
            task=self.task,
            generator=generator,
        )
        stage = Stage(
            engine,
            lambda: self._validated(*engine.networks()),
            over=lambda: engine.kept_epochs is not None,
        )
        try:
            stages.train(stage, suggested.schedule.epochs)
        except BaseException:
            if run.curve and engine.alphas:  # what there is: a selection may take its time
                self._publish(stages, engine, supernet.derive(engine.strengths()))
            raise
        if engine.kept_epochs is not None:
            run.log(kept_epochs=engine.kept_epochs)
        derived = suggested.selection(engine)
        self._publish(stages, engine, derived)
        if measured.wanted:
            measured.after_training(self._derived_network(derived), self._example)
        return Finished(stages.value)

    def _derived_network(self, architecture: Architecture) -> torch.nn.Module:
        """The network of an architecture as it would be trained next."""
        network = build_network(
            architecture,
            channels=self.channels,
            cells=self.cells,
            auxiliary=False,
            generator=self._generator(),
            **self._ends,
        )
        return network.to(self.device)

    def _publish(self, stages: Stages, engine: Engine, architecture: Architecture) -> None:
        run = stages.run
        run.trial.set_user_attr("architecture", str(architecture))
        run.trial.set_user_attr(PARAMS_ATTR, architecture.params)
        run.publish("cell.svg", cell_svg(architecture))
        if engine.alphas:
            title = f"Trial {run.trial.number}: weights of the operations by epoch"
            run.publish("trajectory.npz", engine.trajectory.npz())
            run.publish("trajectory.svg", path_svg(engine, title))
            run.publish("derived_cells.csv", derived_csv(engine, run.curve))

    def _check_supernets(self) -> None:
        """Build each supernet once, so that what cannot work is said before training."""
        for method in self.search.methods.values():
            generator = self._generator()
            supernet = self.build(generator, method)
            weights = method.architecture(method, supernet, generator).strengths()
            with torch.no_grad():
                supernet(torch.zeros(2, *self.task.input_shape), weights)
            derived = supernet.derive(weights)
            if self._goals.measures:
                self._derived_network(derived)
