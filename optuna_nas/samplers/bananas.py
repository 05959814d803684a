"""BANANAS: Bayesian optimisation with neural architectures, with defaults of our own.

1. The first `n_startup_trials` architectures are random.
2. An ensemble of neural networks learns to predict the error of an architecture from its
   encoding. With several objectives there is one ensemble for each, and one for each constraint.
3. Candidates are made: neighbours and mutations of the best architectures so far, and random ones.
4. Independent Thompson sampling scores the candidates: one draw from each one's predictive
   distribution. Several objectives make one score by
   :mod:`optuna_nas.surrogates.criteria`; whatever is predicted to violate a constraint comes last.
5. The best few are evaluated one after the other, or by as many workers at once; then the
   ensemble learns again.

Reference: C. White, W. Neiswanger, Y. Savani, *BANANAS: Bayesian Optimization with Neural
Architectures for Neural Architecture Search*, AAAI 2021, arXiv 1910.11858.

*Departures*: a batch is tied to trial numbers, so that the sampler keeps no state: trial `n` gets
the best candidate that is still free among those ranked from the trials before its batch. Killed
and restarted, it ranks the same candidates again. Several workers share rankings instead (see
`_rankings`), in larger batches where trials begin faster than one ranks. The defaults differ from
the paper's where measurements on NAS-Bench-101 and -201 were clear (docs/bananas.md): the encoding
counts what an architecture is made of, the predictor is shallow and learns the logarithm of the
regret, candidates are whole neighbourhoods of the ten best and what a beam search finds from
there, and batches start with two trials.
:meth:`BananasSampler.published` is the paper's own setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas._checks import checked_integer
from optuna_nas._choices import choose
from optuna_nas._threads import single_blas_thread
from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._history import History, Observation
from optuna_nas.samplers._pace import Pace
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.samplers._rankings import Batch, Ranking, RankingBoard
from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.surrogates import acquisition as acquisitions
from optuna_nas.surrogates.acquisition import Acquisition
from optuna_nas.surrogates.candidates import (
    CandidateGenerator,
    MutationCandidates,
    Pool,
    published_mutation,
)
from optuna_nas.surrogates.constraints import constraint_targets
from optuna_nas.surrogates.criteria import (
    CriterionFactory,
    HypervolumeCriterion,
    SingleCriterion,
)
from optuna_nas.surrogates.encodings import Encoding, OneHotEncoding, TruncatedPathEncoding
from optuna_nas.surrogates.losses import MAPE, Loss
from optuna_nas.surrogates.names import (
    ACQUISITIONS,
    CANDIDATES,
    CRITERIA,
    ENCODINGS,
    LOSSES,
    PREDICTORS,
    TARGETS,
)
from optuna_nas.surrogates.predictors import MLPEnsemble, Predictor
from optuna_nas.surrogates.scaling import tamed
from optuna_nas.surrogates.scorer import Scorer
from optuna_nas.surrogates.surrogate import Surrogate
from optuna_nas.surrogates.targets import TargetTransform, about, identity, log_regret

if TYPE_CHECKING:
    import optuna

_IMPROVEMENTS = (acquisitions.ei, acquisitions.pi)
"""Acquisitions whose scores are not values of the objective."""

_LARGEST_BATCH = 32
"""How many trials share a fit at most, if several workers begin them faster than one ranks."""

_PARENTS = 10
"""Candidates are made around so many of the best, so one of them is a candidate's parent."""

_BATCHES = {0: 2, 100: 5, 500: 10}
"""From which trial on how many trials share a fit, unless `batch_size` is given."""


class BananasSampler(ArchitectureSampler):
    """BANANAS, a model-based search, with defaults that depart from the paper's.

    The paper's own setting is :meth:`BananasSampler.published`. The default has another encoding,
    predictor, target and other candidates, and fits for every two trials at first, not for ten. On
    NAS-Bench-201 its mean regret after 50 trials is 15 to 28 % of that of the paper's setting, and
    after 100 trials it has found the best cell in 97 to 100 % of the runs, the paper's in 37 to
    80 % (docs/bananas.md, *Measured*).

    Each component is a small object, or the name of one with its defaults.

    Args:
        space: The search space; None finds it on the study, or searches the study's parameters
            as they are if it has none.
        n_startup_trials: Random architectures before the model takes over. Where several workers
            have begun so many, it takes over once half of them are finished.
        batch_size: Trials between two fits of the ensemble. None begins with 2 and, as fits take
            longer and tell less that is new, goes on with 5 from trial 100 and 10 from trial 500.
        encoding: `"adaptive"`, `"structure"`, `"connections"`, `"operation_counts"`, `"folded"`,
            `"folded_counts"`, `"path"`, `"truncated_path"`, `"one_hot"` (or
            `"adjacency_one_hot"`), `"adjacency"`, `"adjacency_categorical"`,
            `"adjacency_continuous"`, `"graph"`, or an :class:`~optuna_nas.surrogates.Encoding`;
            None is the predictor's own choice, `"adaptive"` for most.
        predictor: `"mlp"`, `"gp"` (Gaussian process), `"gcn"` (graph networks), `"bnn"` (Bayesian
            network), `"vae"` (variational autoencoder), or a
            :class:`~optuna_nas.surrogates.Predictor`.
        loss: `"mae"`, `"mse"`, `"mape"` or a :class:`~optuna_nas.surrogates.Loss`, for the default
            predictor.
        targets: What the predictor learns: `"log_regret"`, `"identity"`, or a function from `n`
            errors to `n` targets, lower is better in both. None is `"log_regret"`, but
            `"identity"` for the hypervolume of several objectives, where the best value of each
            matters no more than others, and with the loss MAPE, which needs errors in the unit of
            the study's values.
        acquisition: `"its"`, `"ts"`, `"ucb"`, `"ei"`, `"pi"`, or a function
            `(members, incumbent, rng) -> scores`. None is `"its"`, with less of a spread in small
            batches of several workers, and `"ucb"` with several objectives, where independent
            draws of each add up to too much chance.
        candidates: `"mixed"`, `"mutation"`, `"random"`, `"mutation_random"`, `"local_search"`,
            `"evolution"`, `"surroundings"`, or a
            :class:`~optuna_nas.surrogates.CandidateGenerator`.
        multi_objective: How several objectives make one score: `"hypervolume"`, `"chebyshev"`, or
            a function that builds a :class:`~optuna_nas.surrogates.Criterion`.
        deduplicate: Whether an architecture is never proposed twice.
        seed: Seed of all randomness.

    Raises:
        ValueError: A number is below 1, a name is unknown, or the hypervolume is combined with an
            acquisition that it cannot work with.
    """

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        n_startup_trials: int = 10,
        batch_size: int | None = None,
        encoding: str | Encoding | None = None,
        predictor: str | Predictor = "mlp",
        loss: str | Loss | None = None,
        targets: str | TargetTransform | None = None,
        acquisition: str | Acquisition | None = None,
        candidates: str | CandidateGenerator = "mixed",
        multi_objective: str | CriterionFactory = "chebyshev",
        deduplicate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, deduplicate=deduplicate, seed=seed)
        if loss is not None and predictor != "mlp":
            raise ValueError(
                "`loss` belongs to the default predictor; give it to your `predictor` instead."
            )
        self._n_startup_trials = checked_integer("n_startup_trials", n_startup_trials)
        self._batch_size = (
            None if batch_size is None else checked_integer("batch_size", batch_size)
        )
        if loss is not None:
            loss = loss if isinstance(loss, Loss) else choose("loss", loss, LOSSES)()
            predictor = MLPEnsemble(loss=loss)
        self._predictor = (
            predictor
            if isinstance(predictor, Predictor)
            else choose("predictor", predictor, PREDICTORS)()
        )
        if encoding is None:
            encoding = self._predictor.encoding
        self._encoding = (
            encoding
            if isinstance(encoding, Encoding)
            else choose("encoding", encoding, ENCODINGS)()
        )
        self._targets_of_volume: TargetTransform = identity
        if targets is None:
            loss = getattr(self._predictor, "loss", None)
            targets = identity if isinstance(loss, MAPE) else log_regret
        else:
            targets = targets if callable(targets) else choose("targets", targets, TARGETS)
            self._targets_of_volume = targets
        self._targets: TargetTransform = targets
        self._acquisition = (
            acquisition
            if acquisition is None or callable(acquisition)
            else choose("acquisition", acquisition, ACQUISITIONS)
        )
        self._candidate_generator = (
            candidates
            if isinstance(candidates, CandidateGenerator)
            else choose("candidates", candidates, CANDIDATES)()
        )
        self._multi_objective: CriterionFactory = (
            multi_objective
            if callable(multi_objective)
            else choose("multi_objective", multi_objective, CRITERIA)
        )
        if self._multi_objective is HypervolumeCriterion and self._acquisition in _IMPROVEMENTS:
            raise ValueError(
                f"`multi_objective` is 'hypervolume' with the acquisition {acquisition!r}, whose "
                "scores are no values of an objective; allowed with it are 'its', 'ts' and 'ucb', "
                "and 'chebyshev' with any acquisition."
            )
        if space is not None:
            self._encoding.dimension(space)  # what does not fit fails here, not within a study
        self._surrogate = Surrogate(self._predictor, self._encoding)
        self._batch: tuple[object, list[Architecture]] | None = None
        self._ranking: tuple[object, Ranking | None] = None, None
        self._published: Batch | None = None
        self._pace = Pace()

    @classmethod
    def published(
        cls, space: SearchSpace | None = None, *, seed: int | None = None
    ) -> BananasSampler:
        """The setting of the paper: the published encoding, predictor and mutation.

        A study of plain parameters has no paths: there they are one-hot columns.

        Args:
            space: The search space; None finds it on the study.
            seed: Seed of all randomness.
        """
        return cls(
            space,
            batch_size=10,
            encoding=TruncatedPathEncoding(otherwise=OneHotEncoding()),
            predictor=MLPEnsemble.published(),
            targets="identity",
            candidates=MutationCandidates(mutate=published_mutation),
            seed=seed,
        )

    def propose(self, request: Request) -> Iterator[Proposal]:
        """Yield the candidates of the trial's batch, best score first."""
        parents = request.history.best_completed(_PARENTS)
        for architecture in self._ranked(request):
            yield Proposal(architecture, _nearest(architecture, parents))

    def _ranked(self, request: Request) -> Sequence[Architecture]:
        """The candidates of the trial's batch, best score first."""
        self._surrogate.prepare(request.space)  # what does not fit fails at the first trial
        self._pace.begin(request.number)
        startup = self._n_startup_trials
        start = _batch_start(request.number, startup, self._batch_size)
        history = request.history.before(start)
        if history.num_evaluated < startup:
            # Other workers are still busy with the start: take what is known by now.
            start = request.number
            history = request.history
        known = history.num_evaluated
        if known + request.own + request.company < startup or known < startup / 2:
            return ()
        if request.board is not None and request.company and self._deduplicate:
            return self._shared(request, request.board)
        batch = (request.study, start, request.space, tuple(sorted(request.pinned.items())))
        if self._batch is None or self._batch[0] != batch:
            with single_blas_thread():
                calm = request.own > 0 and self._batch_size is None
                self._batch = batch, self._rank(request, history, start, calm=calm)
        # Without the check for duplicates each trial of a batch takes its own rank.
        return self._batch[1] if self._deduplicate else self._batch[1][request.number - start :]

    def _shared(self, request: Request, board: RankingBoard) -> Sequence[Architecture]:
        """Take the ranking that workers share, or make the next one."""
        number, history = request.number, request.history
        workers = request.own + request.company + 1
        known = self._ranking[1] if self._ranking[0] is request.study else None
        last, claim = board.read(known) if not request.pinned else (None, None)
        self._ranking = request.study, last
        smallest = self._batch_size or _default_batch(number)[1]
        left = [] if last is None else last.for_trial(number, history.taken, workers)
        if last is not None and left:
            end = last.batch.end
            if last.batch.size > smallest and last.batch != self._published:
                # In a hurry it is left to who ranked last: who knows candidates takes less time.
                end += last.batch.size
            claimed = claim is not None and last.batch.end <= number < claim.end
            if number < end or claimed:
                return left
        largest = max(smallest, _LARGEST_BATCH)
        batch = Batch(number, self._pace.batch(smallest, largest, workers))
        if not request.pinned:
            board.claim(batch)
        with single_blas_thread(), self._pace.ranking():
            calm = batch.size <= _default_batch(number)[1]
            ranked = self._rank(request, history, number, calm=calm)
        if not request.pinned:
            self._published = Batch(board.last_begun(), batch.size)
            board.publish(Ranking(self._published, ranked))
        return ranked

    def _rank(
        self, request: Request, history: History, start: int, *, calm: bool = False
    ) -> list[Architecture]:
        """Learn from the history, and return candidates for the batch, best first."""
        scorer = self._learn(history, [self._seed, start, 3], calm=calm)
        pool = Pool(
            request.space,
            [o.architecture for o in history.ranked],
            replace(request, history=history).adopt,  # in view of the same trials
            lambda architecture: not self._deduplicate or architecture.key not in history.taken,
            request.rng(start, 2),
            scorer,
        )
        candidates = self._candidate_generator(pool)
        return scorer.order(candidates, self._batch_size or _default_batch(start)[1])

    def _learn(self, history: History, seed: Sequence[int], *, calm: bool) -> Scorer:
        """Fit the surrogate to the history, and return what scores candidates."""
        several = history.num_objectives > 1
        build = self._multi_objective if several else SingleCriterion
        volume = build is HypervolumeCriterion
        transform = self._targets_of_volume if volume else self._targets
        valued = [o.architecture for o in history.valued]
        feasible = np.array([o.violation == 0 for o in history.valued], dtype=bool)
        targets = _learnt(history.values, feasible, transform)  # n x k
        self._surrogate.fit(
            [(valued, column) for column in targets.T],
            [
                ([history.observations[row].architecture for row in rows], constraint_targets(c))
                for rows, c in history.constraints.values()
            ],
            [*seed, 0],
        )
        observed = targets[feasible] if feasible.any() else targets
        if not valued:  # all were pruned, but told their constraints
            observed = np.zeros((1, history.num_objectives))
        acquisition = self._acquisition or _default_acquisition(several, calm)
        criterion = build(observed, acquisition, [*seed, 1])
        return Scorer(self._surrogate.predict, criterion, [*seed, 2])

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._surrogate = Surrogate(self._predictor, self._encoding)
        self._batch = None

    def _check_objectives(self, study: optuna.Study) -> None:
        """Any number of objectives will do."""


def _nearest(architecture: Architecture, parents: Sequence[Observation]) -> int | None:
    """The trial whose architecture differs in the fewest parameters, of equals the best one.

    A candidate may be several changes away from the one it was made from, and comes from another
    worker's ranking as a text. None if half of the parameters differ from all: it was random.
    """
    params = architecture.params
    differences = [
        sum(params.get(name) != value for name, value in parent.architecture.params.items())
        for parent in parents
    ]
    least = min(differences, default=len(params))
    return parents[differences.index(least)].number if 2 * least < len(params) else None


def _learnt(errors: np.ndarray, feasible: np.ndarray, transform: TargetTransform) -> np.ndarray:
    """What is learnt of `n` times `k` errors."""
    if not len(errors):
        return errors
    errors = tamed(errors, axis=0)
    if feasible.all() or not feasible.any():
        columns = [transform(column) for column in errors.T]
    else:
        best = errors[feasible].min(axis=0)
        columns = [about(column, b, transform) for column, b in zip(errors.T, best, strict=True)]
    return np.stack(columns, axis=1)


def _default_acquisition(several: bool, calm: bool) -> Acquisition:
    """The acquisition, unless one is given.

    Args:
        several: Whether there are several objectives.
        calm: Whether small batches of several workers explore already by knowing nothing of
            each other. A large batch would be of one kind without all of the spread.
    """
    if several:
        return acquisitions.ucb
    return acquisitions.calm_its if calm else acquisitions.its


def _default_batch(number: int) -> tuple[int, int]:
    """From where on the trials of a batch are counted, and how many share a fit."""
    first = max(first for first in _BATCHES if first <= number)
    return first, _BATCHES[first]


def _batch_start(number: int, startup: int, size: int | None) -> int:
    """The first trial of the batch that a trial belongs to."""
    first, default = _default_batch(number)
    if size is not None:
        first, default = startup, size
    first = max(first, startup)
    return first + (number - first) // default * default
