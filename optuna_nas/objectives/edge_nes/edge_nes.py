"""EdgeNES: an ensemble around one optimum, by the number of edges shared with it, as one trial.

1. DARTS searches one architecture, the optimum.
2. A hypernetwork learns architectures that share λ edges with it, for all λ from 0 to Λ at once,
   together with the weights of a supernet (see `methods.edge_nes.hypernetwork`).
3. λ is drawn several times; the architectures there are the candidates.
4. They are trained from scratch, and the best ensemble of them is chosen and measured (see
   `ensemble_search`, which tells what a trial reports and keeps).

So the architectures of the whole ensemble cost two trainings of a supernet, of 50 and of 150
epochs as published, where an ensemble of independent searches costs one search of 50 epochs for
each member.

Reference: P. Babkin, EdgeNES, 2024, https://github.com/intsystems/2023-Project-120.

*Departures*: the signs and formulas as in the modules of `methods.edge_nes`. Accuracies that
are reported are those on images that neither weights nor architectures are learnt on. The
ensemble is chosen by the negative log-likelihood of the mean of the probabilities; the published
code applies a second softmax to the mean. λ is drawn from U(0, Λ), and candidates that would occur
twice are drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optuna_nas._options import documented, from_preset, with_default
from optuna_nas.objectives.edge_nes.ensemble_search import EnsembleSearch
from optuna_nas.objectives.edge_nes.members import HypernetworkMembers, MemberSource
from optuna_nas.objectives.ensemble_settings import HypernetworkSettings, SupernetSettings
from optuna_nas.spaces import EdgeNESSpace, SearchSpace


@documented
@dataclass(eq=False, repr=False)
class EdgeNES(EnsembleSearch):
    """Find an ensemble around one optimum, in one trial; see the module for what it does.

    Args:
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        space: The search space, one with a supernet; None for `EdgeNESSpace()`.
        search: How the optimum is searched; None for the `SupernetSettings` of the preset.
        hypernetwork: How the hypernetwork is trained; None for the `HypernetworkSettings` of the
            preset.
        training: How candidates are trained; None for the `TrainingSettings` of the preset.

    Raises:
        TypeError: `space` is no search space, or has no network or no supernet.
        ValueError: A number is out of range, there are fewer candidates than members, the images
            are too small or too few, `device` cannot be used, or `artifacts` is a file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> study = optuna.create_study(direction="maximize")
        >>> study.optimize(nas.objectives.EdgeNES("digits"), n_trials=1)  # doctest: +SKIP
        >>> study.best_trial.user_attrs["test_report"]  # doctest: +SKIP
    """

    space: SearchSpace = field(default=None, kw_only=True)  # type: ignore[assignment]
    members: MemberSource = field(init=False)
    candidates: int = with_default(HypernetworkMembers, "candidates", 6, kw_only=True)
    search: SupernetSettings | None = field(default=None, kw_only=True)
    hypernetwork: HypernetworkSettings | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.space is None:
            self.space = EdgeNESSpace()
        self.members = HypernetworkMembers(
            self.candidates,
            self.search or from_preset(SupernetSettings, self.preset),
            self.hypernetwork or from_preset(HypernetworkSettings, self.preset),
        )
        super().__post_init__()
