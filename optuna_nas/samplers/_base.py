"""What all samplers of architectures share.

A sampler is stateless given the study. For each trial it

1. finds the space: its own argument, else the one that `space.suggest` stored on the study, else
   a flat space of the parameters seen so far;
2. reads the history from the storage and asks the subclass for proposals, best first;
3. takes the first proposal whose key is neither finished nor pending, publishes it on the trial,
   and looks again: if another worker published the same key meanwhile, it takes the next one;
4. stores on the trial which trial's architecture was changed, if one was.

All randomness is derived from the seed and the trial's number, so a study that is reopened in
another process goes on as it would have.
"""

from __future__ import annotations

import os
import threading
import weakref
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from optuna.samplers import BaseSampler, PartialFixedSampler
from optuna.trial import FrozenTrial, TrialState

from optuna_nas import _optuna
from optuna_nas._attributes import read_mapping
from optuna_nas._checks import checked_integer
from optuna_nas._proposals import PROPOSAL_ATTRIBUTE, remember_origin, remember_proposal
from optuna_nas.samplers._history import History
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.samplers._rankings import RankingBoard
from optuna_nas.samplers._reading import HistoryReader
from optuna_nas.samplers._view import StudyView
from optuna_nas.spaces import Architecture, FlatSpace, SearchSpace, recall_space
from optuna_nas.spaces.choices import is_plain, read_choice
from optuna_nas.spaces.values import draw

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

_ATTEMPTS = 300
"""How often a new architecture is looked for before a space counts as exhausted."""


@dataclass(frozen=True)
class Request:
    """What a subclass needs to propose architectures for one trial.

    Attributes:
        study: Stands for the study: the same object in all requests of one study.
        number: The trial's number.
        space: The search space.
        history: What is known.
        pinned: Parameters that are already decided (enqueued or fixed).
        seed: The sampler's seed.
        lean: Whether parts that cannot reach the output are left out of what is proposed.
        own: How many other trials of this sampler are under way.
        company: How many trials of other workers are under way.
        board: Where workers share rankings; None if there is no study to share it on.
    """

    study: object
    number: int
    space: SearchSpace
    history: History
    pinned: dict[str, Any]
    seed: int
    lean: bool = False
    own: int = 0
    company: int = 0
    board: RankingBoard | None = None

    def rng(self, *salt: int) -> np.random.Generator:
        """A generator that depends on the seed and the salt only."""
        return np.random.default_rng([self.seed, *salt])

    def adopt(self, architecture: Architecture) -> Architecture | None:
        """Set the pinned parameters, and leave out unused ones; None if nothing can be built."""
        simple = self.space.simplify(architecture) if self.lean else architecture
        if simple is architecture and not self.pinned:
            return self.history.activity.reduced(architecture)
        # What was left out may lack parameters, which every trial needs.
        full = self.space.read({**architecture.params, **simple.params, **self.pinned})
        return None if full is None else self.history.activity.reduced(full)


class ArchitectureSampler(BaseSampler):
    """Base class of the samplers.

    Args:
        space: The search space; None finds it on the study.
        deduplicate: Whether an architecture is never proposed twice. Switch it off for an
            objective whose noise is worth averaging.
        seed: Seed of all randomness, 0 or more. Workers may share it.

    Raises:
        TypeError: `space` is not a search space.
        ValueError: `seed` is not an integer of 0 or more.
    """

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        deduplicate: bool = True,
        seed: int | None = None,
    ) -> None:
        if space is not None and not isinstance(space, SearchSpace):
            raise TypeError(
                f"`space` is {space!r}; allowed are None and a search space such as "
                "NASBench201Space()."
            )
        self._space = space
        self._deduplicate = deduplicate
        self._seed = _entropy() if seed is None else checked_integer("seed", seed, 0)
        self._viewed: tuple[object, StudyView] = (None, StudyView())
        self._begun: set[tuple[int, datetime | None]] = set()
        self._lock = threading.RLock()
        _living.add(self)

    @abstractmethod
    def propose(self, request: Request) -> Iterable[Proposal]:
        """Return what to evaluate, best first.

        The architectures need not be new; when they run out, random new ones follow.
        """

    def reseed_rng(self) -> None:
        """Take a new random seed, as Optuna asks of samplers in parallel optimisation."""
        self._seed = _entropy()

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Take note that the trial is this sampler's own."""
        with self._lock:
            self._begun.add(_identity(trial))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the distributions of the whole space."""
        space = self._space or recall_space(study)
        if space is not None:
            distributions = space.distributions
        else:
            with self._lock:
                distributions = self._view(study).distributions
        return {name: d for name, d in distributions.items() if not d.single() and is_plain(d)}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Propose an architecture (see the module's description)."""
        self._check_objectives(study)
        with self._lock:
            self._begun.add(_identity(trial))
            view = self._view(study)
            space = self._space or recall_space(study)
            if space is None:
                odd = {n: d for n, d in view.distributions.items() if not is_plain(d)}
                if not search_space and not odd:
                    return {}
                space = FlatSpace({**odd, **search_space})
            reader = view.reader(space)
            history = reader.read(study, view.trials, except_number=trial.number)
            pinned = _pinned(study, trial, space)
            # Dead parts cost time and memory for nothing, which other objectives may measure.
            lean = len(study.directions) > 1 or bool(history.constraints)
            request = Request(
                view.token,
                trial.number,
                space,
                history,
                pinned,
                self._seed,
                lean,
                *self._under_way(view, trial),
                RankingBoard(study, space),
            )
            architecture = self._claim(study, trial, request, reader)
        # A conditional parameter that the parent did not have is sampled independently.
        return {name: architecture[name] for name in search_space if name in architecture}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a parameter outside of the space uniformly.

        Choices such as tuples are not what they were when they come back from a storage, so that
        Optuna would refuse them. They are left out of the relative search space, and what was
        proposed is found here, among the choices as the objective has them.
        """
        self._check_objectives(study)
        if not is_plain(param_distribution):
            proposed = read_choice(
                trial.system_attrs.get(PROPOSAL_ATTRIBUTE), param_name, param_distribution
            )
            if proposed is not None:
                return proposed
        rng = np.random.default_rng([self._seed, trial.number, crc32(param_name.encode())])
        return draw(param_distribution, rng)

    def _check_objectives(self, study: optuna.Study) -> None:
        """Raise `ValueError` if the study has more objectives than the sampler can deal with."""
        self._raise_error_if_multi_objective(study)

    def _claim(
        self, study: optuna.Study, trial: FrozenTrial, request: Request, reader: HistoryReader
    ) -> Architecture:
        """Take the first proposal that nobody else has, and tell the other workers."""
        taken = set(request.history.taken) if self._deduplicate else set()
        for proposal in self._candidates(request):
            architecture = proposal.architecture
            if architecture.key in taken:
                continue
            remember_proposal(study, trial, str(architecture))
            # Every worker writes before it reads, so of two equal proposals one is seen.
            if self._deduplicate:
                now = _optuna.trials_now(study)
                taken |= reader.taken(study, now, except_number=trial.number)
            if architecture.key not in taken:
                remember_origin(study, trial, proposal.parent, proposal.notes)
                return architecture
        # Everything within reach is taken: the space is exhausted, so repeat something.
        return request.adopt(request.space.random(request.rng(request.number, 1))) or next(
            iter(self._random(request))
        )

    def _candidates(self, request: Request) -> Iterator[Proposal]:
        yield from self._adopted(request)
        yield from map(Proposal, islice(self._random(request), _ATTEMPTS))

    def _adopted(self, request: Request) -> Iterator[Proposal]:
        for proposal in islice(self.propose(request), _ATTEMPTS):
            if not isinstance(proposal, Proposal):
                raise TypeError(
                    f"{type(self).__name__}.propose returned {proposal!r:.200}; allowed are "
                    "instances of optuna_nas.samplers.Proposal."
                )
            adopted = request.adopt(proposal.architecture)
            if adopted is not None:
                yield replace(proposal, architecture=adopted)

    @staticmethod
    def _random(request: Request) -> Iterator[Architecture]:
        rng = request.rng(request.number)
        while True:
            for _ in range(_ATTEMPTS):
                architecture = request.adopt(request.space.random(rng))
                if architecture is not None:
                    yield architecture
                    break
            else:
                raise ValueError(
                    f"No architecture of {request.space.name} has the fixed parameters "
                    f"{request.pinned}."
                )

    def _view(self, study: optuna.Study) -> StudyView:
        # Identifiers are unique within a storage only: all studies in memory have the same. And
        # a database gives that of a deleted study to the next one.
        storage = weakref.ref(_optuna.storage(study))
        which = storage, _optuna.study_id(study), tuple(study.directions)
        trials = _optuna.trials_now(study)
        with self._lock:
            # One study at a time is kept, so that a sampler used for many does not grow.
            if self._viewed[0] != which or not self._viewed[1].continues(trials):
                self._viewed = which, StudyView()
            view = self._viewed[1]
            view.look(trials)
            return view

    def _under_way(self, view: StudyView, trial: FrozenTrial) -> tuple[int, int]:
        """How many other trials of this sampler, and of other workers, are under way."""
        concerned = view.company.concerned(view.trials)
        own = [t for t in concerned if _identity(t) in self._begun]
        numbers = {t.number for t in own}
        running = sum(t.state == TrialState.RUNNING and t.number != trial.number for t in own)
        return running, view.company.look(t for t in concerned if t.number not in numbers)

    def __getstate__(self) -> dict[str, Any]:
        seen = {"_viewed": (None, StudyView()), "_begun": set()}
        return {**self.__dict__, **seen, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.RLock())
        _living.add(self)

    def _begin_anew(self) -> None:
        """Leave what another thread was about when the process was forked: it is not here."""
        self._lock = threading.RLock()
        self._viewed = (None, StudyView())
        self._begun = set()


_living: weakref.WeakSet[ArchitectureSampler] = weakref.WeakSet()


def _after_fork() -> None:
    for sampler in list(_living):
        sampler._begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing is forked
    os.register_at_fork(after_in_child=_after_fork)


def _identity(trial: FrozenTrial) -> tuple[int, datetime | None]:
    # Without its number in the storage, which may be given out again.
    return trial.number, trial.datetime_start


def _pinned(study: optuna.Study, trial: FrozenTrial, space: SearchSpace) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    if isinstance(study.sampler, PartialFixedSampler):
        fixed |= _optuna.fixed_params(study.sampler)
    fixed |= read_mapping(trial.system_attrs, "fixed_params")
    fixed |= trial.params
    return {name: value for name, value in fixed.items() if name in space.distributions}


def _entropy() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
