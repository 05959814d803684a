"""Goals, measures and limits on the command line, and tables of costs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optuna_nas.measures import read_cost_table

Outcome = tuple[int, str, str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_measure.py"
LIMIT = 6_000


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    sys.modules.pop("own_measure", None)


def test_an_own_measure_with_report_and_resume(
    command: Callable[..., Outcome],
    tmp_path: Path,
    tiny: list[str],
    load: Callable[..., optuna.Study],
) -> None:
    shutil.copy(EXAMPLE, tmp_path / "own_measure.py")
    goals = "--goals=accuracy,own_measure:DRIFT"
    limits = ("--max-parameters=6_000", "--limits=own_measure:DEPTH=20", "--measures=latency")
    code, out, err = command("search", goals, *limits, *tiny, "--trials=4")
    assert (code, err) == (0, ""), err
    study = load(tmp_path, "nas")
    assert study.metric_names == ["validation accuracy", "drift"]
    assert {t.state for t in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in study.trials:
        assert set(trial.constraints) == {"parameters", "depth"}
        over = trial.user_attrs["parameters"] > LIMIT
        assert trial.state == (TrialState.PRUNED if over else TrialState.COMPLETE)

    code, out, err = command("best")
    assert (code, err) == (0, "") and "latency" in out and "depth" in out
    assert command("report")[0] == 0
    page = (tmp_path / "nas-report.html").read_text()
    assert "Latency (ms)" in page and "Depth (layers)" in page
    if any(trial.state == TrialState.PRUNED for trial in study.trials):
        assert "Not trained: parameters is" in page

    code, _, err = command("search", "--trials=5")
    assert code == 2 and "--goals accuracy,own_measure:DRIFT" in err  # which is not imported
    limit = "--limits=own_measure:DEPTH=20"
    code, _, err = command("search", goals, limit, "--trials=5")
    assert (code, err) == (0, ""), err
    assert len(load(tmp_path, "nas").trials) == 5
    code, _, err = command("search", goals, limit, "--max-parameters=7_000", "--trials=6")
    assert code == 2 and "was 6000 and is 7000" in err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--goals=latency", "--goals is ['latency']; allowed are different names"),
        ("--measures=speed", "--measures has 'speed'; allowed are ['parameters', 'macs', 'mem"),
        ("--measures=nowhere:it", "--measures is 'nowhere:it', which cannot be imported"),
        ("--measures=math:pi", "--measures is 'math:pi', a float; allowed is a Measure."),
        ("--max-latency=0", "allowed are positive numbers"),
        ("--limits=latency", "--limits has 'latency'; allowed are a name and a number"),
    ],
)
def test_what_cannot_be(command: Callable[..., Outcome], option: str, message: str) -> None:
    code, _, err = command("search", option)
    assert code == 2 and message in err and err.count("\n") == 1


def test_a_table_of_costs_is_measured_once(
    command: Callable[..., Outcome], tmp_path: Path
) -> None:
    words = ("cost-table", "--measure=macs", "--channels=2", "--cells=1", "--image-size=8")
    code, out, err = command(*words)
    assert (code, err) == (0, "") and "nasbench201-macs.txt" in out
    file = tmp_path / "nasbench201-macs.txt"
    table = read_cost_table(file)
    assert table.measure == "macs" and table.base > 0
    assert table.values[:, 3].tolist() == [2 * 2 * 9 * 64 + 4 * 4 * 9 * 16 + 8 * 8 * 9 * 4] * 6
    assert table.notes["images"] == "3 x 8 x 8, 10 classes"
    written = file.stat().st_mtime_ns
    assert "Measured before" in command(*words)[1]
    assert file.stat().st_mtime_ns == written
    code, _, err = command(*words, "--cells=2", f"--output={file.name}")
    assert code == 2 and "a table of cells '1', and not '2'; name another file" in err
    assert command(*words, "--cells=2", "--overwrite")[0] == 0
    code, _, err = command("cost-table", "--measure=memory")
    assert code == 2 and "--measure is 'memory', and that of a network is no sum" in err
    code, _, err = command("cost-table", "--space=nasbench101", "--measure=macs")
    assert code == 2 and "which has no supernet" in err
