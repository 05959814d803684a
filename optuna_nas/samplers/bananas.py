"""BANANAS: Bayesian optimisation with neural architectures.

1. The first `n_startup_trials` architectures are random.
2. An ensemble of neural networks learns to predict the error of an architecture from its
   encoding.
3. Candidates are made: neighbours and mutations of the best architectures so far, and random ones.
4. Independent Thompson sampling scores the candidates: one draw from each one's predictive
   distribution.
5. The best few are evaluated one after the other, or by as many workers at once; then the
   ensemble learns again.

Reference: C. White, W. Neiswanger, Y. Savani, *BANANAS: Bayesian Optimization with Neural
Architectures for Neural Architecture Search*, AAAI 2021, arXiv 1910.11858.

*Departures*: a batch is tied to trial numbers, so that the sampler keeps no state: trial `n` gets
the best candidate that is still free among those ranked from the trials before its batch. Killed
and restarted, it ranks the same candidates again. The defaults differ from the paper's where
measurements on NAS-Bench-101 and -201 were clear (docs/bananas.md): the encoding folds what does
not matter, the predictor is shallow and learns the logarithm of the regret, candidates are whole
neighbourhoods of the ten best, and batches start with two trials.
:meth:`BananasSampler.published` is the paper's own setting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from optuna_nas._checks import checked_integer
from optuna_nas._choices import choose
from optuna_nas._threads import single_blas_thread
from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._history import History
from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.surrogates import acquisition as acquisitions
from optuna_nas.surrogates.acquisition import Acquisition
from optuna_nas.surrogates.candidates import (
    CandidateGenerator,
    FadingRandomCandidates,
    JoinedCandidates,
    MutationCandidates,
    NeighborCandidates,
    Pool,
    RandomCandidates,
    ScatteredCandidates,
)
from optuna_nas.surrogates.encodings import (
    AdjacencyEncoding,
    Encoding,
    FoldedEncoding,
    OneHotEncoding,
    PathEncoding,
    TruncatedPathEncoding,
)
from optuna_nas.surrogates.losses import MAE, MAPE, MSE, Loss
from optuna_nas.surrogates.predictors import MLPEnsemble, Predictor
from optuna_nas.surrogates.targets import TargetTransform, identity, log_regret

_ENCODINGS: dict[str, type[Encoding]] = {
    "adjacency": AdjacencyEncoding,
    "folded": FoldedEncoding,
    "one_hot": OneHotEncoding,
    "path": PathEncoding,
    "truncated_path": TruncatedPathEncoding,
}
_PREDICTORS: dict[str, Callable[[], Predictor]] = {"mlp": MLPEnsemble}
_LOSSES: dict[str, type[Loss]] = {"mae": MAE, "mape": MAPE, "mse": MSE}
_ACQUISITIONS: dict[str, Acquisition] = {
    "ei": acquisitions.ei,
    "its": acquisitions.its,
    "pi": acquisitions.pi,
    "ts": acquisitions.ts,
    "ucb": acquisitions.ucb,
}
_TARGETS: dict[str, TargetTransform] = {"identity": identity, "log_regret": log_regret}
_CANDIDATES: dict[str, Callable[[], CandidateGenerator]] = {
    "mixed": lambda: JoinedCandidates(
        NeighborCandidates(), ScatteredCandidates(), FadingRandomCandidates()
    ),
    "mutation": MutationCandidates,
    "mutation_random": lambda: JoinedCandidates(MutationCandidates(), RandomCandidates()),
    "random": RandomCandidates,
}


_BATCHES = {0: 2, 100: 5, 500: 10}
"""From which trial on how many trials share a fit, unless `batch_size` is given."""


class BananasSampler(ArchitectureSampler):
    """Model-based search with an ensemble of neural networks.

    Each component is a small object, or the name of one with its defaults.

    Args:
        space: The search space; None finds it on the study, or searches the study's parameters
            as they are if it has none.
        n_startup_trials: Random architectures before the model takes over.
        batch_size: Trials between two fits of the ensemble. None begins with 2 and, as fits take
            longer and tell less that is new, goes on with 5 from trial 100 and 10 from trial 500.
        encoding: `"folded"`, `"path"`, `"truncated_path"`, `"adjacency"`, `"one_hot"`, or an
            :class:`~optuna_nas.surrogates.Encoding`; None is the predictor's own choice, for most
            of them `"folded"`.
        predictor: `"mlp"` or a :class:`~optuna_nas.surrogates.Predictor`.
        loss: `"mae"`, `"mse"`, `"mape"` or a :class:`~optuna_nas.surrogates.Loss`, for the default
            predictor.
        targets: What the predictor learns: `"log_regret"`, `"identity"`, or a function from `n`
            errors to `n` targets, lower is better in both. None is `"log_regret"`, but
            `"identity"` with the loss MAPE, which needs errors in the unit of the study's values.
        acquisition: `"its"`, `"ts"`, `"ucb"`, `"ei"`, `"pi"`, or a function
            `(members, incumbent, rng) -> scores`.
        candidates: `"mixed"`, `"mutation"`, `"random"`, `"mutation_random"`, or a
            :class:`~optuna_nas.surrogates.CandidateGenerator`.
        deduplicate: Whether an architecture is never proposed twice.
        seed: Seed of all randomness.

    Raises:
        ValueError: A number is below 1 or a name is unknown.
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
        acquisition: str | Acquisition = "its",
        candidates: str | CandidateGenerator = "mixed",
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
            loss = loss if isinstance(loss, Loss) else choose("loss", loss, _LOSSES)()
            predictor = MLPEnsemble(loss=loss)
        self._predictor = (
            predictor
            if isinstance(predictor, Predictor)
            else choose("predictor", predictor, _PREDICTORS)()
        )
        if encoding is None:
            encoding = self._predictor.encoding
        self._encoding = (
            encoding
            if isinstance(encoding, Encoding)
            else choose("encoding", encoding, _ENCODINGS)()
        )
        if targets is None:
            loss = getattr(self._predictor, "loss", None)
            targets = identity if isinstance(loss, MAPE) else log_regret
        self._targets = targets if callable(targets) else choose("targets", targets, _TARGETS)
        self._acquisition = (
            acquisition
            if callable(acquisition)
            else choose("acquisition", acquisition, _ACQUISITIONS)
        )
        self._candidate_generator = (
            candidates
            if isinstance(candidates, CandidateGenerator)
            else choose("candidates", candidates, _CANDIDATES)()
        )
        self._batch: tuple[object, list[Architecture]] | None = None
        self._rows: dict[Architecture, np.ndarray] = {}
        self._prepared_for: SearchSpace | None = None

    @classmethod
    def published(
        cls, space: SearchSpace | None = None, *, seed: int | None = None
    ) -> BananasSampler:
        """The setting of the paper, with the published path encoding and predictor."""
        return cls(
            space,
            batch_size=10,
            encoding="truncated_path",
            predictor=MLPEnsemble.published(),
            targets="identity",
            candidates="mutation",
            seed=seed,
        )

    def propose(self, request: Request) -> Iterable[Architecture]:
        """Return the candidates of the trial's batch, best score first."""
        if request.space != self._prepared_for:  # what does not fit fails at the first trial
            self._predictor.prepare(request.space, self._encoding)
            self._encoding.dimension(request.space)
            self._prepared_for = request.space
        startup = self._n_startup_trials
        start = _batch_start(request.number, startup, self._batch_size)
        history = request.history.before(start)
        if len(history.observations) < startup:
            # Other workers are still busy with the start: take what is known by now.
            start = request.number
            history = request.history
        if len(history.observations) < startup:
            return ()
        batch = (request.study, start, request.space, tuple(sorted(request.pinned.items())))
        if self._batch is None or self._batch[0] != batch:
            self._batch = batch, self._rank(request, history, start)
        # Without the check for duplicates each trial of a batch takes its own rank.
        return self._batch[1] if self._deduplicate else self._batch[1][request.number - start :]

    def _rank(self, request: Request, history: History, start: int) -> list[Architecture]:
        rng = request.rng(start, 2)
        pool = Pool(
            request.space,
            [o.architecture for o in history.ranked],
            request.adopt,
            lambda architecture: not self._deduplicate or architecture.key not in history.taken,
            rng,
        )
        candidates = self._candidate_generator(pool)
        if not candidates:
            return []
        evaluated = [o.architecture for o in history.observations]
        features = self._encode(request.space, [*evaluated, *candidates])
        targets = self._targets(history.values)
        with single_blas_thread():
            self._predictor.fit(features[: len(evaluated)], targets, rng)
            members = self._predictor.predict(features[len(evaluated) :])
        scores = self._acquisition(members, float(targets.min()), rng)
        return [candidates[index] for index in np.argsort(scores, kind="stable")]

    def _encode(self, space: SearchSpace, architectures: Sequence[Architecture]) -> np.ndarray:
        """Encode architectures, `n x d`; those of the call before are not encoded again."""
        fresh = [a for a in dict.fromkeys(architectures) if a not in self._rows]
        encoded = self._encoding.encode(space, fresh)
        rows = {a: row.copy() for a, row in zip(fresh, encoded, strict=True)}
        self._rows = {a: rows[a] if a in rows else self._rows[a] for a in architectures}
        return np.stack([self._rows[a] for a in architectures])


def _batch_start(number: int, startup: int, size: int | None) -> int:
    """The first trial of the batch that a trial belongs to."""
    if size is not None:
        return startup + (number - startup) // size * size
    first = max(first for first in _BATCHES if first <= number)
    size = _BATCHES[first]
    first = max(first, startup)
    return first + (number - first) // size * size
