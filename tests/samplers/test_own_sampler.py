"""The example of a sampler of one's own: it climbs, goes on after a restart, and has a command."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from optuna_nas._proposals import notes_of, parent_of
from optuna_nas.spaces import NASBench201Space

EXAMPLES = Path(__file__).parents[2] / "examples"
SPACE = NASBench201Space()


@pytest.fixture
def annealing(monkeypatch: pytest.MonkeyPatch) -> type[optuna.samplers.BaseSampler]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    module = importlib.import_module("own_sampler")
    found: type[optuna.samplers.BaseSampler] = module.Annealing
    return found


def objective(trial: optuna.Trial) -> float:
    return list(SPACE.suggest(trial).params.values()).count("nor_conv_3x3") / 6


def test_it_is_short() -> None:
    assert len((EXAMPLES / "own_sampler.py").read_text().splitlines()) <= 60


def test_it_climbs_and_restarts(annealing: type[optuna.samplers.BaseSampler]) -> None:
    def search(*stops: int) -> optuna.Study:
        storage = optuna.storages.InMemoryStorage()
        for stop in stops:
            study = optuna.create_study(
                study_name="walk",
                storage=storage,
                load_if_exists=True,
                direction="maximize",
                sampler=annealing(seed=0),  # type: ignore[call-arg]
            )
            study.optimize(objective, n_trials=stop - len(study.trials))
        return study

    whole, parts = search(40), search(1, 13, 40)
    assert [t.params for t in parts.trials] == [t.params for t in whole.trials]
    assert whole.best_value >= 5 / 6
    assert parent_of(whole.trials[0]) is None
    assert all(parent_of(trial) is not None for trial in whole.trials[1:])
    assert notes_of(whole.trials[-1])["temperature"] < 0.05


@pytest.mark.slow
def test_the_command_line_runs_it_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "own_sampler.py").write_text((EXAMPLES / "own_sampler.py").read_text())
    tiny = "--data digits --train-size 100 --validation-size 60 --test-size 40 --device cpu "
    tiny += "--epochs 1 --channels 4 --cells 1 --pruner none"
    program = [sys.executable, "-m", "optuna_nas"]
    for trials in ("2", "3"):
        words = ["search", "--sampler", "own_sampler:Annealing", *tiny.split(), "--trials", trials]
        subprocess.run([*program, *words], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([*program, "report"], cwd=tmp_path, check=True, capture_output=True)
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/optuna-nas.db")
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 3
    assert [parent_of(t) is None for t in study.trials] == [True, False, False]
    assert list(tmp_path.glob("*report.html"))
