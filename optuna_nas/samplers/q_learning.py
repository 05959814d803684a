"""Q-learning: a table of what each choice is worth after the one before it.

1. An architecture is a walk: its parameters are chosen in their order. The state of a step is the
   choice of the step before.
2. With probability epsilon a choice is random, else the one that is worth most; epsilon falls
   with the number of finished trials.
3. The reward of a finished trial is shared among its `T` steps. Of this walk and of others drawn
   from memory every step is updated, the last one first:
   `Q <- (1 - a) Q + a (r_t + g max Q')`, and the last one without `Q'`.

References: B. Baker, O. Gupta, N. Naik, R. Raskar, *Designing Neural Network Architectures using
Reinforcement Learning* (MetaQNN), ICLR 2017, arXiv 1611.02167; Z. Zhong, J. Yan, W. Wu, J. Shao,
C.-L. Liu, *Practical Block-wise Neural Network Architecture Generation* (BlockQNN), CVPR 2018,
arXiv 1708.05552.

*Departures*: a step chooses a parameter, not a whole layer, so any space can be searched. The
table is not kept but learnt again from the study's finished trials in the order they ended
(:mod:`optuna_nas.samplers._outcomes`). Updates of one entry by several walks are made at once. The
published schedules take thousands of trainings, with a learning rate of .01; the default is
shortened in proportion, with .05.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optuna_nas._checks import checked_integer, checked_number, checked_share
from optuna_nas._choices import choose
from optuna_nas.samplers._actions import ActionCodes, settled
from optuna_nas.samplers._base import ArchitectureSampler, Request
from optuna_nas.samplers._outcomes import Fold, Outcome, outcomes
from optuna_nas.samplers._proposal import Proposal
from optuna_nas.samplers._rewards import OF_ONE_OBJECTIVE, REWARDS, Ledger, Reward
from optuna_nas.spaces import SearchSpace

if TYPE_CHECKING:
    import optuna

_TURNS = 600
"""After so many walks the table only leads to what is known, or to what cannot be built."""

Shaping = Callable[[int], np.ndarray]
"""Maps the number of steps to the share of the reward that each gets; they sum to one."""


def uniform_shaping(steps: int) -> np.ndarray:
    """Equal shares (BlockQNN)."""
    return np.full(steps, 1 / steps)


def terminal_shaping(steps: int) -> np.ndarray:
    """All for the last step (MetaQNN)."""
    return np.asarray(np.eye(1, steps, steps - 1)[0])


SHAPINGS: dict[str, Shaping] = {"terminal": terminal_shaping, "uniform": uniform_shaping}


@dataclass(frozen=True)
class EpsilonSchedule:
    """How likely random choices are: 1, .9, .8, ... for so many finished trials each, then .1.

    Attributes:
        lengths: The trials of each of the ten phases.

    Raises:
        ValueError: There are not ten, or one is negative.
    """

    lengths: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.lengths) != 10:
            raise ValueError(f"`lengths` is {self.lengths!r}; allowed are ten numbers of trials.")
        for length in self.lengths:
            checked_integer("lengths", length, 0)

    @classmethod
    def meta_qnn(cls) -> EpsilonSchedule:
        """That of MetaQNN: 2,700 trials."""
        return cls((1500, 100, 100, 100, 150, 150, 150, 150, 150, 150))

    @classmethod
    def block_qnn(cls, n_trials: int = 11_392) -> EpsilonSchedule:
        """That of BlockQNN, 178 iterations of 64 blocks, or of other length in proportion.

        Args:
            n_trials: The trials of all phases together.
        """
        ends = np.cumsum((95, 7, 7, 7, 10, 10, 10, 10, 10, 12))
        scaled = np.round(ends * checked_integer("n_trials", n_trials) / ends[-1]).astype(int)
        return cls(tuple(np.diff(scaled, prepend=0).tolist()))

    def __call__(self, finished: int) -> float:
        """The probability of a random choice after so many finished trials."""
        phase = int(np.searchsorted(np.cumsum(self.lengths), finished, side="right"))
        return (10 - min(phase, 9)) / 10


class QTable:
    """What each choice is worth after each choice before it.

    Args:
        sizes: The numbers of choices `n_t` of the `T` steps.
        initial: What a whole walk is worth before anything is known.
        shaping: Shares the reward among the steps.
        learning_rate: The weight `a` of what is new.
        discount: The weight `g` of what comes later.

    Attributes:
        values: For each step `(n_(t-1) + 1) x n_t`; the last row is for no choice before it.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        initial: float,
        shaping: Shaping,
        learning_rate: float,
        discount: float,
    ) -> None:
        left = np.cumsum(shaping(len(sizes))[::-1])[::-1]  # of a reward of one
        rows = [0, *sizes]
        self.values = [
            np.full((rows[t] + 1, size), initial * left[t]) for t, size in enumerate(sizes)
        ]
        self._shaping = shaping
        self._learning_rate, self._discount = learning_rate, discount

    def shares(self, actions: np.ndarray) -> np.ndarray:
        """The share of the reward of each step of a walk, `T`; none of an absent one."""
        shares = np.zeros(len(actions))
        present = actions >= 0
        if present.any():
            shares[present] = self._shaping(int(present.sum()))
        return shares

    def row(self, t: int, actions: np.ndarray) -> np.ndarray:
        """The state of a step of walks, `B`; actions are `B x T`."""
        return actions[:, t - 1] if t else np.full(len(actions), -1)

    def update(self, actions: np.ndarray, rewards: np.ndarray) -> None:
        """Update all steps of some walks, the last step first.

        What several walks have in common moves as far as if they came one after the other, each
        with their mean.

        Args:
            actions: The walks, `B x T`.
            rewards: The reward of each step, `B x T`.
        """
        later = np.zeros(len(actions))
        for t in reversed(range(actions.shape[1])):
            present = actions[:, t] >= 0
            if not present.any():
                continue
            values, rows = self.values[t], self.row(t, actions)
            targets = (rewards[:, t] + self._discount * later)[present]
            cells = (rows[present] % len(values)) * values.shape[1] + actions[present, t]
            counts = np.bincount(cells, minlength=values.size)
            sums = np.bincount(cells, targets, minlength=values.size)
            met = np.flatnonzero(counts)
            moved = 1 - (1 - self._learning_rate) ** counts[met]
            flat = values.reshape(-1)
            flat[met] += moved * (sums[met] / counts[met] - flat[met])
            later = np.where(present, values[rows].max(axis=1), later)


@dataclass
class _Learner:
    """The table, what gives rewards, and the walks so far with the reward of each step."""

    table: QTable
    ledger: Ledger
    finished: int = 0
    actions: list[np.ndarray] = field(default_factory=list)
    rewards: list[np.ndarray] = field(default_factory=list)


class QLearningSampler(ArchitectureSampler):
    """Q-learning with epsilon-greedy choices and replay.

    Args:
        space: The search space; None finds it on the study.
        n_exploration_trials: Over how many finished trials epsilon falls from 1 to .1, in the
            proportions of BlockQNN.
        epsilon: Instead of that, a function from the number of finished trials to epsilon, such as
            `EpsilonSchedule.meta_qnn()`.
        shaping: `"uniform"`, `"terminal"`, or a function from the number of steps to shares of the
            reward.
        reward: `"rank"`, `"score"`, `"cubed"`, or a function as for :class:`ReinforceSampler`.
        initial: What an architecture is thought to be worth before anything is known: an average
            reward.
        learning_rate: The weight of a new value, up to 1.
        discount: The weight of later steps, up to 1.
        replays: The walks that are learnt from for each finished trial, its own included.
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
        n_exploration_trials: int = 200,
        epsilon: Callable[[int], float] | None = None,
        shaping: str | Shaping = "uniform",
        reward: str | Reward = "rank",
        initial: float = 0.5,
        learning_rate: float = 0.05,
        discount: float = 1.0,
        replays: int = 64,
        num_bins: int = 10,
        deduplicate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, deduplicate=deduplicate, seed=seed)
        schedule = EpsilonSchedule.block_qnn(
            checked_integer("n_exploration_trials", n_exploration_trials)
        )
        self._epsilon = epsilon or schedule
        self._shaping = shaping if callable(shaping) else choose("shaping", shaping, SHAPINGS)
        self._reward = reward if callable(reward) else choose("reward", reward, REWARDS)
        self._initial = checked_number("initial", initial)
        self._learning_rate = _checked_weight("learning_rate", learning_rate)
        self._discount = _checked_weight("discount", discount)
        self._replays = checked_integer("replays", replays)
        self._num_bins = checked_integer("num_bins", num_bins, 2)
        self._fold = Fold[_Learner]()

    def propose(self, request: Request) -> Iterator[Proposal]:
        """Yield walks of random and of greedy choices."""
        codes = ActionCodes(request.space, self._num_bins)
        learner = self._learnt(request, codes)
        epsilon = self._epsilon(learner.finished)
        for turn in range(_TURNS):
            chances = request.rng(request.number, 2, turn).random((3, len(codes.names)))
            _, architecture = settled(
                codes,
                request.history.activity,
                partial(_walk, learner.table, epsilon, chances),
                partial(request.rng, request.number, 3, turn),
            )
            if architecture is not None:
                yield Proposal(architecture, notes={"epsilon": epsilon})

    def _learnt(self, request: Request, codes: ActionCodes) -> _Learner:
        """What is learnt from the trials that ended."""

        def start() -> _Learner:
            table = QTable(
                codes.sizes,
                initial=self._initial,
                shaping=self._shaping,
                learning_rate=self._learning_rate,
                discount=self._discount,
            )
            return _Learner(table, Ledger(self._reward))

        learn = partial(self._learn, codes, request.seed)
        key = request.study, request.space, request.seed
        return self._fold.after(key, outcomes(request.history), start, learn)

    def _learn(self, codes: ActionCodes, seed: int, learner: _Learner, outcome: Outcome) -> None:
        """Learn from one more trial, and from earlier ones again."""
        learner.finished += 1
        reward = learner.ledger.reward(outcome)
        if reward is None:
            return
        actions = codes.encode(outcome.architecture)
        learner.actions.append(actions)
        learner.rewards.append(reward * learner.table.shares(actions))
        known = len(learner.actions)
        drawn = np.random.default_rng([seed, known, 4]).integers(known, size=self._replays - 1)
        chosen = [known - 1, *drawn.tolist()]
        learner.table.update(
            np.stack([learner.actions[i] for i in chosen]),
            np.stack([learner.rewards[i] for i in chosen]),
        )

    def _check_objectives(self, study: optuna.Study) -> None:
        if self._reward in OF_ONE_OBJECTIVE:
            super()._check_objectives(study)


def _walk(table: QTable, epsilon: float, chances: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Choose step by step.

    Args:
        table: What choices are worth.
        epsilon: The probability of a random choice.
        chances: For each step whether it is random, which random choice, and which of the best
            ones; numbers from 0 to 1, `3 x T`.
        absent: Which parameters are absent, `T`.
    """
    actions = np.full(len(absent), -1)
    before = -1
    for t, values in enumerate(table.values):
        if not absent[t]:
            explore, anywhere, tie = chances[:, t]
            if explore < epsilon:
                actions[t] = int(anywhere * values.shape[1])
            else:
                best = np.flatnonzero(values[before] == values[before].max())
                actions[t] = best[int(tie * len(best))]
        before = actions[t]
    return actions


def _checked_weight(argument: str, value: float) -> float:
    return 1.0 if value == 1 else checked_share(argument, value)
