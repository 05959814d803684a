"""Any sampler of Optuna, without repeats.

Optuna's samplers do not know when two settings of a space are one architecture, and propose again
what was evaluated. The wrapper

1. asks the sampler for all parameters of the space;
2. asks again, up to `attempts` times, as long as the architecture was evaluated, is under way, or
   cannot be built;
3. then changes the last one, a mutation at a time, until it is new.

So workers of a study never evaluate one architecture twice, as with all samplers of this package.

*Departure* from the sampler: it is asked for all parameters at once, before the first one is
suggested. It may be asked several times for one trial; what it stores of its own answers is then
of the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler

from optuna_nas._checks import checked_integer
from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.spaces import Architecture, SearchSpace
from optuna_nas.spaces.choices import is_plain

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState


class Deduplicated(ArchitectureSampler):
    """A sampler that proposes no architecture twice: `Deduplicated(TPESampler())`.

    Args:
        sampler: Any sampler of Optuna.
        space: The search space; None finds it on the study.
        attempts: How often the sampler is asked for one trial.
        seed: Seed of the mutations.

    Raises:
        TypeError: `sampler` is no sampler of Optuna, or one that has no repeats by itself.
        ValueError: `attempts` is below 1.
    """

    def __init__(
        self,
        sampler: BaseSampler,
        space: SearchSpace | None = None,
        *,
        attempts: int = 20,
        seed: int | None = None,
    ) -> None:
        if not isinstance(sampler, BaseSampler) or isinstance(sampler, ArchitectureSampler):
            raise TypeError(
                f"`sampler` is {sampler!r}; allowed are samplers of Optuna such as TPESampler(). "
                "Those of this package have no repeats by themselves."
            )
        super().__init__(space, seed=seed)
        self._sampler = sampler
        self._attempts = checked_integer("attempts", attempts)
        self._asking: tuple[optuna.Study, FrozenTrial] | None = None

    def propose(self, request: Request) -> Iterator[Proposal]:
        """Yield what the sampler answers, then mutants of the last answer."""
        assert self._asking is not None
        study, trial = self._asking
        last: Architecture | None = None
        for _ in range(self._attempts):
            params = self._answer(study, trial, request.space)
            last = request.space.read({**params, **request.pinned}) or last
            if last is not None:
                yield Proposal(last)
        rng = request.rng(request.number, 2)
        while last is not None:
            last = request.space.mutate(last, rng)
            yield Proposal(last)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Let the sampler propose what is new."""
        with self._lock:
            self._asking = study, trial
            try:
                return super().sample_relative(study, trial, search_space)
            finally:
                self._asking = None

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Let the sampler draw a parameter outside of the space."""
        if not is_plain(param_distribution):
            return super().sample_independent(study, trial, param_name, param_distribution)
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Take new random seeds."""
        super().reseed_rng()
        self._sampler.reseed_rng()

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Tell the sampler as well."""
        super().before_trial(study, trial)
        self._sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Tell the sampler."""
        self._sampler.after_trial(study, trial, state, values)

    def _answer(
        self, study: optuna.Study, trial: FrozenTrial, space: SearchSpace
    ) -> dict[str, Any]:
        """All parameters of the space, as the sampler would have them."""
        wanted = space.distributions
        inferred = self._sampler.infer_relative_search_space(study, trial)
        found = self._sampler.sample_relative(study, trial, inferred)
        params = {name: value for name, value in found.items() if name in wanted}
        for name, distribution in wanted.items():
            if name not in params:
                params[name] = self._sampler.sample_independent(study, trial, name, distribution)
        return params

    def _check_objectives(self, study: optuna.Study) -> None:
        """The sampler says what it can do."""
