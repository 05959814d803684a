from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import create_trial

from optuna_nas.cli.origin import best_architectures
from optuna_nas.spaces import NASBench101Space, NASBench201Space, remember_space

SPACE = NASBench201Space()
CELLS = [SPACE.random(np.random.default_rng(seed)) for seed in range(5)]
Outcome = tuple[int, str, str]


def derived(study: optuna.Study, value: float, *numbers: int) -> None:
    texts = [str(CELLS[number]) for number in numbers]
    attributes = {"architecture": texts[0]} if len(texts) == 1 else {"members": texts}
    study.add_trial(create_trial(value=value, user_attrs=attributes))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_come_first_and_each_once(sign: int) -> None:
    study = optuna.create_study(direction="maximize" if sign == 1 else "minimize")
    derived(study, sign * 0.1, 0)
    derived(study, sign * 0.9, 2)
    derived(study, sign * 0.5, 3, 2, 1)
    study.add_trial(create_trial(value=sign * 0.95, user_attrs={"architecture": "no cell"}))
    study.add_trial(create_trial(value=sign * 0.97, user_attrs={"members": [1, 2]}))
    study.add_trial(create_trial(state=optuna.trial.TrialState.FAIL))
    assert best_architectures(study, SPACE) == [CELLS[2], CELLS[3], CELLS[1], CELLS[0]]
    assert best_architectures(study, SPACE, 2) == [CELLS[2], CELLS[3]]
    assert best_architectures(study, NASBench101Space()) == best_architectures(study, None) == []


def test_what_was_suggested_counts_as_well() -> None:
    study = optuna.create_study()
    for value, cell in zip((0.3, 0.1, 0.2), CELLS, strict=False):
        trial = create_trial(value=value, params=cell.params, distributions=SPACE.distributions)
        study.add_trial(trial)
    assert best_architectures(study, SPACE) == [CELLS[1], CELLS[2], CELLS[0]]


def test_of_several_objectives_the_front_counts() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    for values, cell in zip(([1, 2], [2, 1], [2, 2]), CELLS, strict=False):
        trial = create_trial(values=values, user_attrs={"architecture": str(cell)})
        study.add_trial(trial)
    assert best_architectures(study, SPACE) == CELLS[:2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start-from=nas"], "--start-from is 'nas', the study itself; allowed is another one"),
        (["--start-from=other"], "and there is no"),
    ],
)
def test_the_other_study_has_to_be_there(
    call_in: Callable[..., Outcome], tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, out, err = call_in(tmp_path, "search", *arguments)
    assert code == 2 and out == "" and message in " ".join(err.split())
    assert not list(tmp_path.iterdir())


def test_a_search_in_one_trial_tells_its_space() -> None:
    from optuna_nas.spaces import recall_space
    from optuna_nas.visualization.records import stored_space

    study = optuna.create_study()
    remember_space(study.ask(), SPACE, derived=True)
    assert recall_space(study, derived=True) == SPACE and stored_space(study)[0] == SPACE
    assert recall_space(study) is None  # samplers have nothing to sample
    with pytest.raises(ValueError, match="searches NASBench201Space"):
        remember_space(study.ask(), NASBench101Space(), derived=True)
