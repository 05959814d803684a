"""REINFORCE: rewards, what is learnt from which trials, and that it is learnt again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from optuna_nas._proposals import notes_of
from optuna_nas.samplers import (
    FactorizedPolicy,
    History,
    LSTMPolicy,
    Observation,
    QLearningSampler,
    ReinforceSampler,
    Request,
)
from optuna_nas.samplers._actions import ABSENT, ActionCodes
from optuna_nas.samplers._outcomes import Outcome
from optuna_nas.samplers._rewards import Ledger, cubed, rank, score
from optuna_nas.spaces import Architecture, FlatSpace, NASBench101Space, NASBench201Space

SPACE = NASBench201Space()
START = datetime(2026, 1, 1)
MIXED = FlatSpace(
    {
        "choice": CategoricalDistribution(["a", "b", None]),
        "few": IntDistribution(2, 8, step=2),
        "many": IntDistribution(1, 1_000, log=True),
        "real": FloatDistribution(-1.0, 3.0),
        "stepped": FloatDistribution(0.0, 1.0, step=0.25),
        "one": IntDistribution(5, 5),
    }
)


def cells(count: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [SPACE.random(rng) for _ in range(count)]


def observed(
    values: list[float], *, pruned: tuple[int, ...] = (), order: list[int] | None = None
) -> list[Observation]:
    order = list(range(len(values))) if order is None else order
    return [
        Observation(n, cell, (v,), n in pruned, START + timedelta(hours=order.index(n)))
        for n, (cell, v) in enumerate(zip(cells(len(values)), values, strict=True))
    ]


def request(found: list[Observation], number: int = 99) -> Request:
    return Request("study", number, SPACE, History(found, {}), {}, 0)


def learner(sampler: ReinforceSampler, found: list[Observation]) -> Any:
    return sampler._learnt(request(found), ActionCodes(SPACE, 10))


class TestActions:
    def test_each_value_is_an_action_or_in_a_bin(self) -> None:
        codes = ActionCodes(MIXED, 10)
        assert dict(zip(codes.names, codes.sizes, strict=True)) == {
            "choice": 3,
            "few": 4,
            "many": 10,
            "real": 10,
            "stepped": 5,
            "one": 1,
        }

    @pytest.mark.parametrize("num_bins", [2, 3, 10])
    def test_decoding_turns_encoding_back(self, num_bins: int) -> None:
        codes = ActionCodes(MIXED, num_bins)
        rng = np.random.default_rng(0)
        for _ in range(50):
            actions = np.array([rng.integers(size) for size in codes.sizes])
            architecture = codes.decode(actions, rng)
            assert architecture is not None
            found = dict(zip(codes.names, codes.encode(architecture) - actions, strict=True))
            # Where bins do not end between two values, rounding leads into the next one.
            rounded = {name: abs(found.pop(name)) for name in ("many", "stepped", "few")}
            assert max(rounded.values()) <= (num_bins < 10 or rounded["many"])
            assert set(found.values()) == {0}

    def test_bins_are_equal_on_the_scale_of_the_range(self) -> None:
        codes = ActionCodes(FlatSpace({"x": FloatDistribution(1.0, 10_000.0, log=True)}), 4)
        values = [1.0, 9.0, 11.0, 99.0, 101.0, 1_001.0, 10_000.0]
        found = [codes.encode(Architecture(codes.space, {"x": v}))[0] for v in values]
        assert found == [0, 0, 1, 1, 2, 3, 3]

    def test_a_parameter_that_is_not_there_is_absent(self) -> None:
        codes = ActionCodes(MIXED, 10)
        assert codes.encode(Architecture(MIXED, {"few": 4})).tolist() == [
            *(ABSENT, 1, ABSENT, ABSENT, ABSENT, ABSENT)
        ]
        decoded = codes.decode([2, ABSENT, ABSENT, ABSENT, 3, ABSENT], np.random.default_rng(0))
        assert decoded is not None and decoded.params == {"choice": None, "stepped": 0.75}

    def test_what_cannot_be_built_is_no_architecture(self) -> None:
        space = NASBench101Space()
        codes = ActionCodes(space, 10)
        nothing = np.zeros(len(codes.names), dtype=int)
        assert codes.decode(nothing, np.random.default_rng(0)) is None


class TestRewards:
    def test_the_rank_is_the_share_of_those_before_that_are_worse(self) -> None:
        scores = np.array([[3.0], [1.0], [2.0], [2.0], [5.0], [2.0]])
        feasible = np.zeros(6)
        found = [rank(scores[: n + 1], feasible[: n + 1]) for n in range(6)]
        assert found == [0.5, 0.0, 0.5, 0.5, 1.0, (1 + 2 * 0.5) / 5]

    def test_of_several_objectives_those_that_cannot_be_compared_count_half(self) -> None:
        scores = np.array([[0.0, 0.0], [1.0, 3.0], [3.0, 3.0], [2.0, 2.0]])
        assert rank(scores, np.zeros(4)) == (1 + 0.5 + 0) / 3

    def test_whoever_violates_less_is_better(self) -> None:
        scores = np.array([[9.0], [1.0], [5.0]])
        assert rank(scores, np.array([2.0, 0.0, 1.0])) == 0.5
        assert rank(scores, np.array([2.0, 1.5, 0.0])) == 1.0

    def test_values_and_their_third_power(self) -> None:
        scores = np.array([[0.1], [0.5]])
        assert (score(scores, np.zeros(2)), cubed(scores, np.zeros(2))) == (0.5, 0.125)

    def test_what_did_not_complete_is_the_worst_that_was_known_by_then(self) -> None:
        cell = cells(1)[0]
        ledger = Ledger(score)
        found = [
            ledger.reward(Outcome(cell, scores, violation))
            for scores, violation in [
                (None, 0.0),
                ((3.0,), 0.0),
                (None, 0.0),
                ((1.0,), 0.0),
                ((9.0,), 2.0),
                (None, 0.0),
                ((0.0,), 0.0),
                (None, 0.0),
            ]
        ]
        assert found == [None, 3.0, 3.0, 1.0, 1.0, 1.0, 0.0, 0.0]

    def test_they_are_known_once_and_for_all(self) -> None:
        """A later trial does not change the reward of an earlier one."""
        seen: list[list[float]] = []

        def spy(scores: np.ndarray, violations: np.ndarray) -> float:
            seen.append(scores[:, 0].tolist())
            return 0.0

        ledger = Ledger(spy)
        for value in range(40):
            ledger.reward(Outcome(cells(1)[0], (float(value),), 0.0))
        assert seen == [[float(v) for v in range(n + 1)] for n in range(40)]


class TestLearning:
    def test_a_constant_reward_teaches_nothing(self) -> None:
        sampler = ReinforceSampler(reward="score", entropy_weight=0.0, batch_size=2)
        nothing, many = (learner(sampler, observed([0.7] * n)) for n in (0, 20))
        np.testing.assert_array_equal(many.policy.weights, nothing.policy.weights)
        assert many.baseline == pytest.approx(-0.7)

    def test_the_baseline_is_the_moving_average(self) -> None:
        sampler = ReinforceSampler(reward="score", baseline_decay=0.9)
        found = learner(sampler, observed([-1.0, -2.0, -4.0]))
        assert found.baseline == pytest.approx(0.9 * (0.9 * 1 + 0.1 * 2) + 0.1 * 4)

    def test_batches_are_counted_in_finished_trials(self) -> None:
        copies = []
        for n in range(7):
            fresh = ReinforceSampler(batch_size=3, policy=FactorizedPolicy)
            values = [5.0, 1.0, 2.0, 7.0, 0.0, 9.0][:n]
            copies.append(learner(fresh, observed(values)).policy.weights.copy())
        changed = [bool((a != b).any()) for a, b in pairwise(copies)]
        assert changed == [False, False, True, False, False, True]

    @pytest.mark.parametrize("policy", ["lstm", "factorized"])
    @pytest.mark.parametrize("update", ["reinforce", "ppo"])
    def test_continued_is_as_learnt_at_once(self, policy: str, update: str) -> None:
        values = np.random.default_rng(3).random(17).tolist()
        options: dict[str, Any] = {"policy": policy, "update": update, "batch_size": 4}
        sampler = ReinforceSampler(**options)
        for n in (0, 3, 4, 11, 17):
            step_by_step = learner(sampler, observed(values[:n], pruned=(2, 9)))
        at_once = learner(ReinforceSampler(**options), observed(values, pruned=(2, 9)))
        np.testing.assert_array_equal(step_by_step.policy.weights, at_once.policy.weights)
        assert step_by_step.baseline == at_once.baseline

    def test_the_order_is_that_of_the_ends(self) -> None:
        """Two workers of other speeds: what ended in the same order teaches the same."""
        values = [3.0, 1.0, 4.0, 1.5]
        late = learner(
            ReinforceSampler(batch_size=2), observed(values, order=[1, 2, 3, 0])
        ).policy.weights
        plain = learner(ReinforceSampler(batch_size=2), observed(values)).policy.weights
        assert (late != plain).any()
        swapped = [observed(values, order=[1, 2, 3, 0])[n] for n in (2, 0, 3, 1)]
        again = learner(ReinforceSampler(batch_size=2), swapped).policy.weights
        np.testing.assert_array_equal(late, again)

    def test_an_earlier_trial_that_turns_out_otherwise_is_learnt_anew(self) -> None:
        sampler = ReinforceSampler(batch_size=2)
        learner(sampler, observed([1.0, 2.0, 3.0, 4.0]))
        other = observed([9.0, 2.0, 3.0, 4.0])
        fresh = learner(ReinforceSampler(batch_size=2), other)
        np.testing.assert_array_equal(learner(sampler, other).policy.weights, fresh.policy.weights)


@pytest.mark.parametrize("make", [ReinforceSampler, QLearningSampler])
class TestStudies:
    def test_parameters_that_depend_on_others(
        self, make: Callable[..., ReinforceSampler | QLearningSampler]
    ) -> None:
        """The two branches have parameters of their own; the better one is searched more."""

        def objective(trial: optuna.Trial) -> float:
            if trial.suggest_categorical("branch", ["deep", "wide"]) == "deep":
                return 10.0 - trial.suggest_int("depth", 1, 5)
            return trial.suggest_float("width", 0.0, 1.0)

        study = optuna.create_study(sampler=make(seed=1))
        study.optimize(objective, n_trials=50)
        assert all(len(trial.params) == 2 for trial in study.trials)
        late = [trial.params["branch"] for trial in study.trials[30:]]
        assert late.count("wide") > 12

    def test_cells_that_cannot_be_built_are_not_proposed(
        self, make: Callable[..., ReinforceSampler | QLearningSampler]
    ) -> None:
        space = NASBench101Space()
        study = optuna.create_study(sampler=make(seed=0))
        study.optimize(lambda trial: len(space.suggest(trial).key), n_trials=12)
        assert all(trial.state == TrialState.COMPLETE for trial in study.trials)

    def test_rewards_of_one_value_are_for_one_objective(
        self, make: Callable[..., ReinforceSampler | QLearningSampler]
    ) -> None:
        study = optuna.create_study(directions=["minimize"] * 2, sampler=make(reward="cubed"))
        with pytest.raises(ValueError, match="multi-objective"):
            study.optimize(lambda trial: (len(str(SPACE.suggest(trial))), 0.0), n_trials=1)

    def test_several_objectives(
        self, make: Callable[..., ReinforceSampler | QLearningSampler]
    ) -> None:
        study = optuna.create_study(directions=["minimize", "maximize"], sampler=make(seed=0))

        def objective(trial: optuna.Trial) -> tuple[float, float]:
            found = list(SPACE.suggest(trial).params.values())
            return float(found.count("none")), float(found.count("nor_conv_3x3"))

        study.optimize(objective, n_trials=50)
        first, last = (
            np.mean([t.values for t in part], axis=0)
            for part in (study.trials[:15], study.trials[-15:])
        )
        assert last[0] <= first[0] and last[1] > first[1]


def test_it_learns_an_additive_objective() -> None:
    def objective(trial: optuna.Trial) -> float:
        return float(list(SPACE.suggest(trial).params.values()).count("nor_conv_3x3"))

    for policy in ("lstm", "factorized"):
        sampler = ReinforceSampler(policy=policy, seed=0)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(objective, n_trials=100)
        assert np.mean([t.values[0] for t in study.trials[:20]]) < 2
        assert np.mean([t.values[0] for t in study.trials[-20:]]) > 2.5


def test_entropy_and_baseline_are_noted() -> None:
    study = optuna.create_study(sampler=ReinforceSampler(policy="factorized", seed=0))
    study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=2)
    first, second = (notes_of(trial) for trial in study.trials)
    assert first == {"entropy": pytest.approx(6 * np.log(5), abs=1e-3), "baseline": None}
    assert second["baseline"] == 0.5


def test_a_reward_of_ones_own() -> None:
    calls = []

    def halved(scores: np.ndarray, violations: np.ndarray) -> float:
        calls.append(scores.shape)
        return float(scores[-1, 0]) / 2

    study = optuna.create_study(sampler=ReinforceSampler(reward=halved, seed=0))
    study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=4)
    assert calls == [(1, 1), (2, 1), (3, 1)]


def test_the_published_settings() -> None:
    zoph = ReinforceSampler.zoph_le(seed=0)
    assert (zoph._batch_size, zoph._learning_rate, zoph._reward) == (8, 6e-4, cubed)
    nasnet = ReinforceSampler.nasnet(seed=0)
    assert (nasnet._batch_size, nasnet._learning_rate) == (20, 3.5e-4)
    assert (nasnet._entropy_weight, nasnet._baseline_decay) == (1e-5, 0.95)
    for sampler in (zoph, nasnet):
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "gru"}, r"`policy` is 'gru'; allowed are \['factorized', 'lstm'\]"),
        ({"update": "a2c"}, r"`update` is 'a2c'; allowed are \['ppo', 'reinforce'\]"),
        ({"reward": 3}, r"`reward` is 3; allowed are \['cubed', 'rank', 'score'\]"),
        ({"batch_size": 0}, "`batch_size` is 0"),
        ({"learning_rate": 0}, "`learning_rate` is 0"),
        ({"entropy_weight": -1}, "`entropy_weight` is -1"),
        ({"baseline_decay": 1}, "`baseline_decay` is 1"),
        ({"num_bins": 1}, "`num_bins` is 1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReinforceSampler(**options)


def test_a_policy_with_arguments() -> None:
    sampler = ReinforceSampler(policy=partial(LSTMPolicy, hidden=3, layers=2), seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: len(SPACE.suggest(trial).key), n_trials=6)
