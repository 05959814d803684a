"""Several trainings in one trial: what is reported, written and done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import TrialState

from optuna_nas.artifacts import ArtifactFolder, StoredFile
from optuna_nas.artifacts.folder import LocalFile
from optuna_nas.trials import Stage, Stages, TrialRun, recover_interrupted, sweep
from optuna_nas.trials.stages import seed_of

EPOCHS = {"first": 2, "second": 3, "third": 2}


class Sum:
    """Adds a random number in each epoch."""

    def __init__(self, generator: torch.Generator, stop: Callable[[], None]) -> None:
        self.total = torch.zeros(())
        self._generator = generator
        self._stop = stop

    def train_epoch(self) -> None:
        self._stop()
        self.total = self.total + torch.rand((), generator=self._generator)

    def state(self) -> dict[str, Any]:
        return {"total": self.total, "generator": self._generator.get_state()}

    def load(self, state: dict[str, Any]) -> None:
        self.total = state["total"]
        self._generator.set_state(state["generator"])


class Search:
    """An objective of three stages that is interrupted before an epoch."""

    def __init__(self, folder: Path, interrupted: int = -1) -> None:
        self._folder = folder
        self._interrupted = interrupted
        self.epochs = 0

    def _stop(self) -> None:
        if self.epochs == self._interrupted:
            raise KeyboardInterrupt
        self.epochs += 1

    def __call__(self, trial: optuna.Trial) -> float:
        with TrialRun(trial, self._folder / "files") as run:
            stages = Stages(run, 0)

            def prepare(generator: torch.Generator) -> Stage:
                training = Sum(generator, self._stop)
                return Stage(
                    training, lambda: float(training.total), lambda: {"total": training.total}
                )

            found = [stages.once(name, "search", n, prepare) for name, n in EPOCHS.items()]
            value = sum(float(result["total"]) for result in found)
            run.finish(value)
            return value


def run(folder: Path, interrupted: int = -1) -> Search:
    study = optuna.create_study(
        study_name="s", storage=f"sqlite:///{folder / 'study.db'}", load_if_exists=True
    )
    objective = Search(folder, interrupted)
    study.optimize(objective, n_trials=1)
    return objective


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="s", storage=f"sqlite:///{folder / 'study.db'}").trials


@pytest.fixture
def whole(tmp_path: Path) -> optuna.trial.FrozenTrial:
    """A trial that was not interrupted."""
    folder = tmp_path / "whole"
    folder.mkdir()
    assert run(folder).epochs == 7
    return trials(folder)[0]


@pytest.mark.parametrize("interrupted", [1, 2, 4, 5, 6])
def test_it_goes_on_where_it_was(
    tmp_path: Path, whole: optuna.trial.FrozenTrial, interrupted: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupted)
    assert run(tmp_path).epochs == 7 - interrupted
    trial = trials(tmp_path)[-1]
    assert trial.value == whole.value
    assert trial.intermediate_values == whole.intermediate_values
    assert list(trial.intermediate_values) == list(range(7))
    assert trial.user_attrs["search_seconds"] == trial.user_attrs["seconds"] > 0
    assert not list((tmp_path / "files" / "checkpoints").rglob("*.safetensors"))


def test_what_a_stage_found_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = LocalFile.write

    def recording(self: LocalFile, content: bytes) -> None:
        written.append(self.path.name)
        write(self, content)

    monkeypatch.setattr(LocalFile, "write", recording)
    run(tmp_path)
    assert written.count("trial-0.safetensors") == 7
    assert [name for name in written if name != "trial-0.safetensors"] == [
        f"trial-0.{name}.safetensors" for name in EPOCHS
    ]


def part(folder: Path, name: str) -> StoredFile:
    return ArtifactFolder(folder / "files").checkpoint("s", 0, name)


@pytest.mark.parametrize("lose", [lambda file: file.remove(), lambda file: file.write(b"damaged")])
def test_what_was_found_and_is_gone_is_found_again(
    tmp_path: Path, whole: optuna.trial.FrozenTrial, lose: Callable[[StoredFile], None]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 4)
    assert part(tmp_path, "first").exists()
    lose(part(tmp_path, "first"))
    assert run(tmp_path).epochs == 7
    trial = trials(tmp_path)[-1]
    assert trial.value == whole.value and trial.user_attrs["resumed_from_epoch"] is None


def test_nobody_needs_parts_of_a_trial_that_has_ended(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 4)
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 'study.db'}")
    place = ArtifactFolder(tmp_path / "files")
    recover_interrupted(study)
    sweep(study, place)
    assert part(tmp_path, "first").exists()  # the trial is queued again
    content = Path(str(part(tmp_path, "first"))).read_bytes()
    run(tmp_path)
    assert trials(tmp_path)[-1].state == TrialState.COMPLETE
    part(tmp_path, "first").write(content)  # as if the worker had been killed
    sweep(study, place)
    assert not part(tmp_path, "first").exists()


def test_a_stage_may_be_over_early() -> None:
    trial = optuna.trial.FixedTrial({})
    stages = Stages(TrialRun(trial), 0)
    training = Sum(stages.generator(), lambda: None)
    stage = Stage(
        training, lambda: float(training.total), over=lambda: float(training.total) > 0.9
    )
    stages.train(stage, 100)
    assert 1 < len(stages.run.curve) < 10
    assert stages.value == float(training.total)


def test_seeds_are_of_objective_trial_and_name() -> None:
    seeds = {seed_of(s, n, name) for s in range(3) for n in range(3) for name in ("", "a", "b")}
    assert len(seeds) == 27
    assert seed_of(1, 0) != seed_of(0, 1)
