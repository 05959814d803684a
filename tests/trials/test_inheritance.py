"""What a trial inherits from the one that it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import optuna
import pytest
import torch

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.samplers import ArchitectureSampler, Proposal, RegularizedEvolutionSampler, Request
from optuna_nas.spaces import NASBench201Space
from optuna_nas.trials import TrialRun
from optuna_nas.trials.weights import kept_trials

SPACE = NASBench201Space()


class ChildrenOf(ArchitectureSampler):
    """Mutates the architecture of one trial."""

    parent: int | None = None

    def propose(self, request: Request) -> Iterable[Proposal]:
        for observation in request.history.completed:
            if observation.number == self.parent:
                mutant = SPACE.mutate(observation.architecture, request.rng(request.number))
                yield Proposal(mutant, self.parent)


@pytest.fixture
def sampler() -> ChildrenOf:
    return ChildrenOf(seed=0)


@pytest.fixture
def study(sampler: ChildrenOf) -> optuna.Study:
    return optuna.create_study(sampler=sampler)


def finish(
    study: optuna.Study, run: TrialRun, trial: optuna.Trial, value: float, keep: int = 3
) -> None:
    with run:
        run.finish(value, {"number": torch.tensor([float(trial.number)])}, keep=keep)
    study.tell(trial, value)


def train(study: optuna.Study, folder: Path | None, value: float, keep: int = 3) -> TrialRun:
    """Run a trial to its end; its one weight is its number."""
    trial = study.ask()
    SPACE.suggest(trial)
    run = TrialRun(trial, folder)
    finish(study, run, trial, value, keep)
    return run


def test_architecture_and_weights_of_the_parent(
    tmp_path: Path, study: optuna.Study, sampler: ChildrenOf
) -> None:
    for value in (3.0, 1.0, 2.0):
        train(study, tmp_path, value)
    sampler.parent = 2
    trial = study.ask()
    SPACE.suggest(trial)
    found = TrialRun(trial, tmp_path).inherit()
    assert found is not None and found.parent == 2
    assert found.architecture == SPACE.architecture(study.trials[2].params)
    assert found.weights["number"].item() == 2
    assert trial.user_attrs["inherited_from"] == 2
    assert "not_inherited" not in trial.user_attrs


def test_without_a_parent_there_is_nothing(tmp_path: Path, study: optuna.Study) -> None:
    train(study, tmp_path, 1.0)
    trial = study.ask()
    SPACE.suggest(trial)
    assert TrialRun(trial, tmp_path).inherit() is None
    assert trial.user_attrs == {}
    assert TrialRun(optuna.trial.FixedTrial({}), tmp_path).inherit() is None


@pytest.mark.parametrize("loss", ["removed", "cut", "no files"])
def test_what_is_gone_is_said(
    tmp_path: Path, study: optuna.Study, sampler: ChildrenOf, loss: str
) -> None:
    train(study, tmp_path, 1.0)
    file = Path(str(ArtifactFolder(tmp_path).weights(study.study_name, 0)))
    if loss == "removed":
        file.unlink()
    elif loss == "cut":
        file.write_bytes(file.read_bytes()[:-3])
    sampler.parent = 0
    trial = study.ask()
    SPACE.suggest(trial)
    assert TrialRun(trial, None if loss == "no files" else tmp_path).inherit() is None
    assert trial.user_attrs["not_inherited"].startswith("from scratch, not from trial 0: ")
    assert "inherited_from" not in trial.user_attrs


def test_weights_stay_as_long_as_a_child_is_under_way(
    tmp_path: Path, study: optuna.Study, sampler: ChildrenOf
) -> None:
    """The parent is no longer the best, and its child has not asked for its weights yet."""
    train(study, tmp_path, 5.0, keep=1)
    sampler.parent = 0
    child = study.ask()
    SPACE.suggest(child)
    sampler.parent = None
    train(study, tmp_path, 4.0, keep=1)
    assert kept_trials(study) == [0, 2]
    run = TrialRun(child, tmp_path)
    found = run.inherit()
    assert found is not None and found.weights["number"].item() == 0
    finish(study, run, child, 6.0, keep=1)
    assert kept_trials(study) == [2]


def test_an_evolution_inherits_and_keeps_no_more_than_it_needs(tmp_path: Path) -> None:
    """All children of one worker find their parents' weights if the population's are kept."""
    sampler = RegularizedEvolutionSampler(population_size=4, tournament_size=2, seed=0)
    study = optuna.create_study(sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        value = float(len(SPACE.suggest(trial).key))
        with TrialRun(trial, tmp_path) as run:
            found = run.inherit()
            if trial.number >= 4:
                assert found is not None
                assert found.weights["number"].item() == found.parent
                changed = SPACE.architecture(trial.params).params.items() - set(
                    found.architecture.params.items()
                )
                assert len(changed) == 1
            run.finish(value, {"number": torch.tensor([float(trial.number)])}, keep=100)
        return value

    study.optimize(objective, n_trials=12)
    assert [t.user_attrs.get("inherited_from") is not None for t in study.trials] == (
        [False] * 4 + [True] * 8
    )
