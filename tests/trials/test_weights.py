from __future__ import annotations

import itertools
import math
from pathlib import Path

import optuna
import pytest
import torch
from optuna.study import StudyDirection
from optuna.trial import TrialState

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.trials import CorruptStateError, TrialRun, load_weights
from optuna_nas.trials.weights import kept_trials


def finish(study: optuna.Study, folder: Path, *values: float, keep: int = 3) -> int:
    """Run a trial to its end; its one weight is its number."""
    trial = study.ask()
    with TrialRun(trial, folder) as run:
        weights = {"layer.weight": torch.tensor([float(trial.number)])}
        run.finish(values if len(values) > 1 else values[0], weights, keep=keep)
    if any(map(math.isnan, values)):
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, values)
    return trial.number


def kept(study: optuna.Study, folder: Path) -> list[int]:
    """Whose weights there are, as the files tell and as the study does."""
    parent = Path(str(ArtifactFolder(folder).weights(study.study_name, 0))).parent
    numbers = sorted(int(file.stem.removeprefix("trial-")) for file in parent.iterdir())
    assert set(kept_trials(study)) <= set(numbers)
    return numbers


@pytest.mark.parametrize("order", list(itertools.permutations([0.9, 0.5, 0.8, 0.7])))
def test_the_best_stay_in_whatever_order_they_come(
    tmp_path: Path, order: tuple[float, ...]
) -> None:
    cases = (StudyDirection.MAXIMIZE, [0.9, 0.8]), (StudyDirection.MINIMIZE, [0.5, 0.7])
    for direction, best in cases:
        study = optuna.create_study(direction=direction)
        for value in order:
            finish(study, tmp_path, value, keep=2)
            number = study.best_trial.number
            assert load_weights(tmp_path, study, number)["layer.weight"].item() == number
        assert kept(study, tmp_path) == sorted(order.index(value) for value in best)


def test_equal_values_do_not_pile_up(tmp_path: Path) -> None:
    study = optuna.create_study()
    for _ in range(5):
        finish(study, tmp_path, 1.0)
    assert kept(study, tmp_path) == [0, 1, 2]


def test_nan_and_infeasible_rank_last(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    finish(study, tmp_path, math.nan, keep=1)
    finish(study, tmp_path, 0.1, keep=1)
    assert kept(study, tmp_path) == [1]
    trial = study.ask()
    trial.set_constraint("latency", 1.0)
    TrialRun(trial, tmp_path).finish(0.9, {"w": torch.zeros(1)}, keep=1)
    assert kept(study, tmp_path) == [1]


def test_several_objectives_keep_what_is_dominated_least(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in [(0.9, 10.0), (0.5, 1.0), (0.4, 2.0), (0.7, 5.0), (0.6, 6.0)]:
        finish(study, tmp_path, *values)
    assert kept(study, tmp_path) == [0, 1, 3] == [t.number for t in study.best_trials]


def test_equal_values_are_not_better(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in [(0.9, 10.0), (0.9, 10.0), (0.4, 2.0)]:
        finish(study, tmp_path, *values, keep=2)
    assert kept(study, tmp_path) == [0, 1]


def test_values_must_fit_the_study(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    run = TrialRun(study.ask(), tmp_path)
    with pytest.raises(ValueError, match=r"values=\(0\.5,\): one number for each"):
        run.finish(0.5, {"w": torch.zeros(1)})
    with pytest.raises(ValueError, match="needs the trial's final value"):
        run.finish(weights={"w": torch.zeros(1)})
    with pytest.raises(ValueError, match="keep=0 must be at least 1"):
        run.finish(0.5, {"w": torch.zeros(1)}, keep=0)


def test_weights_that_were_not_kept(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="s")
    with pytest.raises(FileNotFoundError, match=r"No weights of trial 0 of 's'.*none"):
        load_weights(tmp_path, study, 0)
    for value in [3.0, 2.0, 1.0]:
        finish(study, tmp_path, value, keep=2)
    with pytest.raises(FileNotFoundError, match=r"those of the trials \[1, 2\]"):
        load_weights(str(tmp_path), study, 0)


def test_an_older_study_of_the_same_name_has_no_say(tmp_path: Path) -> None:
    older = optuna.create_study(study_name="s", direction="maximize")
    for value in [0.98, 0.99, 1.0]:
        finish(older, tmp_path, value)
    study = optuna.create_study(study_name="s", direction="maximize")  # in another storage
    finish(study, tmp_path, 0.5, keep=1)
    assert load_weights(tmp_path, study, 0)["layer.weight"].item() == 0
    study.ask()
    with pytest.raises(CorruptStateError, match="one of the same name"):
        load_weights(tmp_path, study, 1)


def test_damaged_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="s")
    finish(study, tmp_path, 1.0, keep=1)
    ArtifactFolder(tmp_path).weights("s", 9).write(b"not weights")
    finish(study, tmp_path, 0.5, keep=1)
    assert kept(study, tmp_path) == [1, 9]
    with pytest.raises(CorruptStateError, match=r"trial-9\.safetensors"):
        load_weights(tmp_path, study, 9)


def test_a_folder_that_cannot_be_written_costs_only_the_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "weights").write_text("in the way")
    study = optuna.create_study()
    finish(study, tmp_path, 1.0)
    assert "cannot keep its weights" in caplog.text
    assert study.best_value == 1.0
