"""Reinforcement learning: a policy proposes architectures, and learns from their values.

1. A policy chooses one parameter after the other (:mod:`optuna_nas.samplers._policies`).
2. The value of a finished trial becomes a reward (:mod:`optuna_nas.samplers._rewards`). Its
   advantage is the reward minus a baseline, the moving average of all rewards.
3. After each `batch_size` finished trials the policy learns from them
   (:mod:`optuna_nas.samplers._policy_gradient`).

References: B. Zoph, Q. V. Le, *Neural Architecture Search with Reinforcement Learning*, ICLR 2017,
arXiv 1611.01578; B. Zoph, V. Vasudevan, J. Shlens, Q. V. Le, *Learning Transferable Architectures
for Scalable Image Recognition*, CVPR 2018, arXiv 1707.07012.

*Departures*: the policy is not kept but learnt again from the study's finished trials in the order
they ended (:mod:`optuna_nas.samplers._outcomes`), so that it survives a restart and is shared by
all workers. It learns from every trial as if it had proposed it, also from what was enqueued. What
was evaluated, or cannot be built, is not proposed: the policy is asked again, and if it only
repeats itself, random ones follow. The published settings are for ten thousand trainings and more;
the defaults learn faster. A trial that was pruned or failed counts as the worst that completed by
then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas._checks import checked_integer, checked_positive, checked_share
from optuna_nas._choices import choose
from optuna_nas._threads import single_blas_thread
from optuna_nas.samplers._actions import ActionCodes, settled
from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._outcomes import Fold, Outcome, outcomes
from optuna_nas.samplers._policies import FactorizedPolicy, LSTMPolicy, Policy, PolicyFactory
from optuna_nas.samplers._policy_gradient import PPO, UPDATES, Adam, PolicyUpdate, entropy
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.samplers._rewards import OF_ONE_OBJECTIVE, REWARDS, Ledger, Reward
from optuna_nas.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    import optuna

POLICIES: dict[str, PolicyFactory] = {"factorized": FactorizedPolicy, "lstm": LSTMPolicy}

_AT_ONCE = (1, 4, 16, 64)
"""So many architectures are drawn at once, the more often the first ones were known already."""

_TURNS = 5
"""After so many draws the policy only repeats itself, or what cannot be built."""


@dataclass
class _Learner:
    """What has been learnt.

    Attributes:
        policy: The policy.
        optimizer: Its optimiser.
        ledger: Gives rewards.
        baseline: The moving average of the rewards; None before the first one.
        waiting: Actions and advantages of the batch that is not full yet.
    """

    policy: Policy
    optimizer: Adam
    ledger: Ledger
    baseline: float | None = None
    waiting: list[tuple[np.ndarray, float]] = field(default_factory=list)


class ReinforceSampler(ArchitectureSampler):
    """A policy that learns by REINFORCE or PPO.

    Args:
        space: The search space; None finds it on the study.
        policy: `"lstm"`, `"factorized"`, or a function of the numbers of actions and a generator
            that makes a :class:`Policy`, such as `partial(LSTMPolicy, hidden=100)`.
        update: `"reinforce"`, `"ppo"` or a :class:`PolicyUpdate` such as `PPO(clip=0.1)`.
        reward: `"rank"`, `"score"`, `"cubed"`, or a function of the scores, `n x k` and higher is
            better, and the violations of constraints, `n`, of the trials so far, which returns the
            reward of the last one.
        batch_size: The finished trials that the policy learns from at once.
        learning_rate: That of Adam; None is .1 for a factorised policy and .01 for others.
        entropy_weight: What the entropy of the policy, in nats, is worth in rewards.
        baseline_decay: What is left of the baseline with each reward.
        num_bins: Into how many choices the range of a number is cut.
        deduplicate: Whether an architecture is never proposed twice.
        seed: Seed of all randomness.

    Raises:
        ValueError: A number is out of its range, or a name is unknown.
    """

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        policy: str | PolicyFactory = "lstm",
        update: str | PolicyUpdate = "reinforce",
        reward: str | Reward = "rank",
        batch_size: int = 4,
        learning_rate: float | None = None,
        entropy_weight: float = 0.01,
        baseline_decay: float = 0.95,
        num_bins: int = 10,
        deduplicate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, deduplicate=deduplicate, seed=seed)
        self._policy = policy if callable(policy) else choose("policy", policy, POLICIES)
        self._update = update if callable(update) else choose("update", update, UPDATES)()
        self._reward = reward if callable(reward) else choose("reward", reward, REWARDS)
        self._batch_size = checked_integer("batch_size", batch_size)
        if learning_rate is None:
            learning_rate = 0.1 if self._policy is FactorizedPolicy else 0.01
        self._learning_rate = checked_positive("learning_rate", learning_rate)
        self._entropy_weight = entropy_weight and checked_positive(
            "entropy_weight", entropy_weight
        )
        self._baseline_decay = checked_share("baseline_decay", baseline_decay)
        self._num_bins = checked_integer("num_bins", num_bins, 2)
        self._fold = Fold[_Learner]()

    @classmethod
    def zoph_le(
        cls, space: SearchSpace | None = None, *, seed: int | None = None
    ) -> ReinforceSampler:
        """The setting of Zoph & Le for images, which took 12,800 trainings.

        Args:
            space: The search space; None finds it on the study.
            seed: Seed of all randomness.
        """
        return cls(
            space,
            policy=partial(LSTMPolicy, hidden=35, layers=2),
            reward="cubed",
            batch_size=8,
            learning_rate=6e-4,
            entropy_weight=0.0,
            deduplicate=False,
            seed=seed,
        )

    @classmethod
    def nasnet(
        cls, space: SearchSpace | None = None, *, seed: int | None = None
    ) -> ReinforceSampler:
        """The setting of NASNet, which took 20,000 trainings.

        Args:
            space: The search space; None finds it on the study.
            seed: Seed of all randomness.
        """
        return cls(
            space,
            policy=partial(LSTMPolicy, hidden=100),
            update=PPO(),
            reward="score",
            batch_size=20,
            learning_rate=3.5e-4,
            entropy_weight=1e-5,
            deduplicate=False,
            seed=seed,
        )

    def propose(self, request: Request) -> Iterator[Proposal]:
        """Yield what the policy draws."""
        codes = ActionCodes(request.space, self._num_bins)
        learner = self._learnt(request, codes)
        known: set[bytes] = set()
        one_by_one = request.history.activity.conditional
        for turn in range(sum(_AT_ONCE) if one_by_one else _TURNS):
            with single_blas_thread():
                drawn = self._drawn(request, codes, learner.policy, turn, known)
            for architecture, nats in drawn:
                notes = {"entropy": round(nats, 4), "baseline": learner.baseline}
                yield Proposal(architecture, notes=notes)

    def _drawn(
        self,
        request: Request,
        codes: ActionCodes,
        policy: Policy,
        turn: int,
        known: set[bytes],
    ) -> list[tuple[Architecture, float]]:
        """Architectures that can be built, and the entropy of the choices that led to each.

        Args:
            request: The request.
            codes: Translate actions.
            policy: The policy.
            turn: How often it was asked before.
            known: What it chose then, to which its new choices are added.
        """
        activity = request.history.activity
        size = 1 if activity.conditional else _AT_ONCE[min(turn, len(_AT_ONCE) - 1)]
        uniforms = request.rng(request.number, 2, turn).random((size, len(codes.names)))
        within = partial(request.rng, request.number, 3, turn)

        def draw(absent: np.ndarray) -> np.ndarray:
            return policy.sample(uniforms, np.broadcast_to(absent, uniforms.shape))

        found: list[Architecture | None]
        if activity.conditional:
            chosen, architecture = settled(codes, activity, lambda absent: draw(absent)[0], within)
            actions, found = chosen[None], [architecture]
        else:
            actions, rng = draw(np.zeros(len(codes.names), dtype=bool)), within()
            actions = _unknown(actions, known)
            found = [codes.decode(row, rng) for row in actions]
        nats = entropy(policy.probabilities(actions), actions).tolist()
        return [(a, h) for a, h in zip(found, nats, strict=True) if a is not None]

    def _learnt(self, request: Request, codes: ActionCodes) -> _Learner:
        """What is learnt from the trials that ended."""

        def start() -> _Learner:
            policy = self._policy(codes.sizes, request.rng(0, 4))
            return _Learner(policy, Adam(self._learning_rate), Ledger(self._reward))

        key = request.study, request.space, request.seed
        with single_blas_thread():
            found = outcomes(request.history)
            return self._fold.after(key, found, start, partial(self._learn, codes))

    def _learn(self, codes: ActionCodes, learner: _Learner, outcome: Outcome) -> None:
        """Learn from one more trial, if it fills a batch."""
        reward = learner.ledger.reward(outcome)
        if reward is None:
            return
        before = reward if learner.baseline is None else learner.baseline
        learner.baseline = self._baseline_decay * before + (1 - self._baseline_decay) * reward
        learner.waiting.append((codes.encode(outcome.architecture), reward - learner.baseline))
        if len(learner.waiting) == self._batch_size:
            actions, advantages = map(np.array, zip(*learner.waiting, strict=True))
            self._update(
                learner.policy, learner.optimizer, actions, advantages, self._entropy_weight
            )
            learner.waiting.clear()

    def _check_objectives(self, study: optuna.Study) -> None:
        if self._reward in OF_ONE_OBJECTIVE:
            super()._check_objectives(study)


def _unknown(actions: np.ndarray, known: set[bytes]) -> np.ndarray:
    """The rows that are not known yet, each once; they are known from now on."""
    rows = []
    for row in actions:
        if (content := row.tobytes()) not in known:
            known.add(content)
            rows.append(row)
    return np.array(rows, dtype=int).reshape(len(rows), actions.shape[1])
