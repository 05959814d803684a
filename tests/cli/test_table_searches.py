"""Tables, and tasks of one's own, from the command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

Command = Callable[..., tuple[int, str, str]]
EXAMPLES = Path(__file__).parents[2] / "examples"
FEW = ["--trials=2", "--epochs=2", "--pruner=none", "--sampler=random"]


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    path = tmp_path / "houses.csv"
    rows = (f"{n},{n % 7 or ''},{'abc'[n % 3]},{3 * (n % 7) + n % 3}.5" for n in range(90))
    path.write_text("id,area,town,price\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--target is not given; needed is the column to tell from the others, one of ['id',"),
        (["--target=prize"], "--target='prize' is not a column of split 'train' of houses.csv"),
        (["--target=price", "--drop=ids"], "--drop has ['ids'], which are not columns of"),
        (["--target=price", "--kind=ranking"], "--kind is 'ranking'; allowed are ['classific"),
        (["--target=price", "--score=accuracy"], "--score is 'accuracy'; allowed are ['r2', 'rm"),
        (["--target=price", "--max-categories=2"], "The column 'town' of split 'train' of hous"),
        (["--target=price", "--optimizer=adam"], "--optimizer is 'adam'; allowed are ['adamw',"),
        (["--target=price", "--image-size=8"], "--image-size is an option of the objective"),
    ],
)
def test_what_is_refused(command: Command, houses: Path, options: list[str], message: str) -> None:
    code, _, err = command("search", "--objective=mlp", f"--data={houses.name}", *options)
    assert code == 2 and err.startswith("Error: ") and err.count("\n") == 1
    assert message in err
    assert list(houses.parent.iterdir()) == [houses]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--task is not given; needed is module:object with a task"),
        (["--task=mine"], "--task is 'mine'; allowed are [] and module:object"),
        (["--task=os:sep"], "--task is 'os:sep', a str; allowed is a Task"),
        (["--task=own_task:task", "--space=mlp"], "whose networks read rows of numbers; the task"),
    ],
)
def test_tasks_that_are_refused(
    command: Command, tmp_path: Path, options: list[str], message: str
) -> None:
    shutil.copy(EXAMPLES / "own_task.py", tmp_path)
    code, _, err = command("search", "--objective=train", *options)
    assert code == 2 and err.count("\n") == 1 and message in err


@pytest.mark.slow
def test_a_table_from_search_to_prediction(
    command: Command, houses: Path, load: Callable[..., optuna.Study]
) -> None:
    table = ["--objective=mlp", "--data=houses.csv", "--target=price", "--drop=id"]
    code, out, err = command("search", *table, "--score=rmse", *FEW)
    assert (code, err) == (0, ""), (out, err)
    study = load(houses.parent)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.metric_names == ["validation RMSE"]
    assert f"test RMSE        {study.best_trial.user_attrs['test_score']:.4f} ±" in out
    assert command("search", "--trials=3")[0] == 0 and len(load(houses.parent).trials) == 3
    for name in ("best", "report", "export"):
        code, out, err = command(name)
        assert (code, err) == (0, ""), (name, out, err)
    report = (houses.parent / "nas-report.html").read_text(encoding="utf-8")
    assert "Test RMSE" in report
    script = houses.parent / "nas-export" / "predict.py"
    told = subprocess.run(
        [sys.executable, str(script), str(houses)], capture_output=True, text=True, check=True
    ).stdout
    assert told.splitlines()[0] == "price" and len(told.splitlines()) == 91


@pytest.mark.slow
def test_the_example_of_ones_own_task(
    command: Command, tmp_path: Path, load: Callable[..., optuna.Study]
) -> None:
    shutil.copy(EXAMPLES / "own_task.py", tmp_path)
    named = ["--task=own_task:task"]
    options = ["--objective=train", *named, "--channels=2", "--cells=1"]
    code, out, err = command("search", *options, *FEW)
    assert (code, err) == (0, ""), (out, err)
    assert load(tmp_path).metric_names == ["validation share within one"]
    assert command("report")[0] == 0
    code, _, err = command("search", "--trials=3")
    assert code == 2 and "--task own_task:task" in err  # a module is named each time
    assert command("search", "--trials=3", *named)[0] == 0
