"""BANANAS: Bayesian optimisation with neural architectures.

1. The first `n_startup_trials` architectures are random.
2. An ensemble of neural networks learns to predict the error of an architecture from its
   encoding.
3. Candidates are made, mostly mutations of the best architectures so far.
4. Independent Thompson sampling scores the candidates: one draw from each one's predictive
   distribution.
5. The `batch_size` best are evaluated one after the other, or by as many workers at once; then
   the ensemble learns again.

Reference: C. White, W. Neiswanger, Y. Savani, *BANANAS: Bayesian Optimization with Neural
Architectures for Neural Architecture Search*, AAAI 2021, arXiv 1910.11858.

*Departures*: a batch is tied to trial numbers, so that the sampler keeps no state: trial `n` gets
the best candidate that is still free among those ranked from the trials before its batch. Killed
and restarted, it ranks the same candidates again.
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
    JoinedCandidates,
    MutationCandidates,
    Pool,
    RandomCandidates,
)
from optuna_nas.surrogates.encodings import (
    AdjacencyEncoding,
    Encoding,
    OneHotEncoding,
    PathEncoding,
    TruncatedPathEncoding,
)
from optuna_nas.surrogates.losses import MAE, MAPE, MSE, Loss
from optuna_nas.surrogates.predictors import MLPEnsemble, Predictor

_ENCODINGS: dict[str, type[Encoding]] = {
    "adjacency": AdjacencyEncoding,
    "one_hot": OneHotEncoding,
    "path": PathEncoding,
    "truncated_path": TruncatedPathEncoding,
}
_LOSSES: dict[str, type[Loss]] = {"mae": MAE, "mape": MAPE, "mse": MSE}
_ACQUISITIONS: dict[str, Acquisition] = {
    "ei": acquisitions.ei,
    "its": acquisitions.its,
    "pi": acquisitions.pi,
    "ts": acquisitions.ts,
    "ucb": acquisitions.ucb,
}
_CANDIDATES: dict[str, Callable[[], CandidateGenerator]] = {
    "mutation": MutationCandidates,
    "mutation_random": lambda: JoinedCandidates(MutationCandidates(), RandomCandidates()),
    "random": RandomCandidates,
}


class BananasSampler(ArchitectureSampler):
    """Model-based search with an ensemble of neural networks.

    Each component is a small object, or the name of one with its defaults.

    Args:
        space: The search space; None finds it on the study, or searches the study's parameters
            as they are if it has none.
        n_startup_trials: Random architectures before the model takes over.
        batch_size: Trials between two fits of the ensemble.
        encoding: `"path"`, `"truncated_path"`, `"adjacency"`, `"one_hot"`, or an
            :class:`~optuna_nas.surrogates.Encoding`. None takes paths in a space that has them,
            one-hot elsewhere.
        predictor: A :class:`~optuna_nas.surrogates.Predictor`; None is
            :class:`~optuna_nas.surrogates.MLPEnsemble` with `loss`.
        loss: `"mae"`, `"mse"`, `"mape"` or a :class:`~optuna_nas.surrogates.Loss`, for the default
            predictor. Errors are in the unit of the study's values.
        acquisition: `"its"`, `"ts"`, `"ucb"`, `"ei"`, `"pi"`, or a function
            `(members, incumbent, rng) -> scores`.
        candidates: `"mutation"`, `"random"`, `"mutation_random"`, or a
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
        batch_size: int = 10,
        encoding: str | Encoding | None = None,
        predictor: Predictor | None = None,
        loss: str | Loss | None = None,
        acquisition: str | Acquisition = "its",
        candidates: str | CandidateGenerator = "mutation",
        deduplicate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, deduplicate=deduplicate, seed=seed)
        if predictor is not None and loss is not None:
            raise ValueError(
                "`loss` belongs to the default predictor; give it to your `predictor` instead."
            )
        self._n_startup_trials = checked_integer("n_startup_trials", n_startup_trials)
        self._batch_size = checked_integer("batch_size", batch_size)
        self._encoding = (
            encoding
            if encoding is None or isinstance(encoding, Encoding)
            else choose("encoding", encoding, _ENCODINGS)()
        )
        if loss is not None and not isinstance(loss, Loss):
            loss = choose("loss", loss, _LOSSES)()
        self._predictor = predictor or MLPEnsemble(loss=loss)
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

    def propose(self, request: Request) -> Iterable[Architecture]:
        """Return the candidates of the trial's batch, best score first."""
        if self._encoding is not None:
            self._encoding.dimension(request.space)  # what does not fit fails at the first trial
        startup = self._n_startup_trials
        start = startup + (request.number - startup) // self._batch_size * self._batch_size
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
        encoding = self._encoding or _default_encoding(request.space)
        with single_blas_thread():
            features = encoding.encode(
                request.space, [o.architecture for o in history.observations]
            )
            self._predictor.fit(features, history.values, rng)
            members = self._predictor.predict(encoding.encode(request.space, candidates))
        scores = self._acquisition(members, float(history.values.min()), rng)
        return _sorted_by(candidates, scores)


def _sorted_by(candidates: Sequence[Architecture], scores: np.ndarray) -> list[Architecture]:
    return [candidates[index] for index in np.argsort(scores, kind="stable")]


def _default_encoding(space: SearchSpace) -> Encoding:
    return PathEncoding() if space.path_blocks else OneHotEncoding()
