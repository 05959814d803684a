"""A real search with two workers, and what can be done with it afterwards."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import optuna_dashboard
import psutil
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState
from optuna_dashboard._note import get_note_from_system_attrs

from optuna_nas import storages
from optuna_nas.cli.progress import Progress
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE
from optuna_nas.cli.supervisor import Supervisor
from optuna_nas.spaces import CellSpace, NASBench201Space, recall_space
from optuna_nas.visualization.drawing.terminal import cell_text

Outcome = tuple[int, str, str]
Load = Callable[..., optuna.Study]
pytestmark = pytest.mark.slow
TRIALS, WORKERS = 4, 2


@pytest.fixture(scope="module")
def searched(
    call_in: Callable[..., Outcome], tiny: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder of a finished search, and what it printed."""
    folder = tmp_path_factory.mktemp("searched")
    options = [f"--trials={TRIALS}", f"--workers={WORKERS}", "--pruner=none"]
    code, out, err = call_in(folder, "search", *tiny, *options)
    logs = [path.read_text() for path in folder.glob("*/logs/*")]
    assert (code, err) == (0, ""), (out, err, logs)
    return folder, out


@pytest.fixture
def copied(searched: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the search, to go on with."""
    return Path(shutil.copytree(searched[0], tmp_path, dirs_exist_ok=True))


def finished(study: optuna.Study) -> int:
    return sum(t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in study.trials)


def test_it_has_the_trials_that_were_asked_for(searched: tuple[Path, str], load: Load) -> None:
    folder, out = searched
    study = load(folder)
    assert TRIALS <= finished(study) <= TRIALS + WORKERS - 1
    assert finished(study) == len(study.trials)
    assert len(re.findall(r"^trial +\d+  complete  accuracy", out, re.M)) == len(study.trials)
    architectures = {trial.user_attrs["architecture"] for trial in study.trials}
    assert len(architectures) == len(study.trials)  # the workers did not repeat each other
    workers = {trial.system_attrs["optuna_nas:worker"]["pid"] for trial in study.trials}
    assert len(workers) == WORKERS
    for index in range(WORKERS):
        log = (folder / "nas-artifacts" / "logs" / f"worker-{index}.log").read_text()
        # Of 60 validation images: the error of an accuracy is said before anything is trained.
        assert re.fullmatch(r"Class '\d' has 6 validation images, fewer than 10.*\n", log)


def test_it_shows_the_best_and_what_to_do_next(searched: tuple[Path, str], load: Load) -> None:
    folder, out = searched
    best = load(folder).best_trial
    assert f"validation accuracy  {best.value:.4f}" in out
    assert f"test accuracy        {best.user_attrs['test_accuracy']:.4f}" in out
    assert best.user_attrs["architecture"] in out.splitlines()
    assert out.splitlines()[-3:] == [
        "Pictures, checkpoints and weights: nas-artifacts",
        "Pictures of every trial: optuna-nas dashboard",
        "Next: optuna-nas report",
    ]


def test_what_is_stored_on_the_study(searched: tuple[Path, str], load: Load) -> None:
    study = load(searched[0])
    assert recall_space(study) == NASBench201Space()
    assert study.metric_names == ["validation accuracy"]
    stored = study.user_attrs[CONFIG_ATTRIBUTE]
    assert stored["command"].startswith("optuna-nas search --data digits --train-size 100")
    assert stored["config"]["options"]["epochs"] == 2
    assert stored["config"]["options"]["device"] is None  # which is each machine's own
    attributes = study._storage.get_study_system_attrs(study._study_id)
    note = get_note_from_system_attrs(attributes, None)["body"]
    assert stored["command"] in note.replace(" \\\n        --", " --")
    assert "15,625 settings" in note and "100 training, 60 validation and 40 test" in note


def test_the_same_command_again_says_it_is_done(
    call_in: Callable[..., Outcome], copied: Path, tiny: list[str], load: Load
) -> None:
    before = len(load(copied).trials)
    code, out, err = call_in(copied, "search", *tiny, "--trials=2", "--pruner=none")
    assert (code, err) == (0, "")
    assert out.startswith(f"Study nas is done: {before} trials are finished. More: --more 10\n")
    assert "validation accuracy" in out
    assert len(load(copied).trials) == before


def test_that_it_is_done_is_said_without_the_heavy_libraries(
    copied: Path, tiny: list[str]
) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "optuna_nas", "search"]
    done = subprocess.run(
        [*command, *tiny, "--trials=2", "--pruner=none"],
        cwd=copied,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Study nas is done")
    imported = set(re.findall(r"\|\s+(\w+)$", done.stderr, flags=re.M))
    assert "optuna" in imported
    assert not imported & {"torch", "datasets", "sklearn", "plotly", "transformers"}


def test_more_goes_on(
    call_in: Callable[..., Outcome], copied: Path, tiny: list[str], load: Load
) -> None:
    before = load(copied).trials
    code, out, err = call_in(copied, "search", *tiny, "--trials=2", "--more=1", "--sampler=tpe")
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        "As in the study so far: pruner none.",
        "Changed in the study: sampler was 'bananas' and is 'tpe'.",
        f"Study nas goes on: {len(before)} trials are finished.",
    ]
    assert load(copied).user_attrs[CONFIG_ATTRIBUTE]["config"]["sampler"] == "tpe"
    after = load(copied).trials
    assert len(after) == len(before) + 1
    assert [t.params for t in after[:-1]] == [t.params for t in before]
    assert after[-1].state in (TrialState.COMPLETE, TrialState.PRUNED)


def test_other_settings_are_refused(
    call_in: Callable[..., Outcome], copied: Path, tiny: list[str], load: Load
) -> None:
    changed = ["--epochs=3", "--learning-rate=0.2", "--space=darts"]
    code, _, err = call_in(copied, "search", *tiny, *changed, "--trials=9")
    assert code == 2 and err.count("\n") == 1 and err.startswith("Error: The study 'nas' was made")
    assert "--epochs was 2 and is 3; --learning-rate was 0.1 and is 0.2; --space was 'nasb" in err
    assert "channels" not in err
    assert len(load(copied).trials) == len(load(copied).trials)


def test_best(call_in: Callable[..., Outcome], searched: tuple[Path, str], load: Load) -> None:
    folder, printed = searched
    code, out, err = call_in(folder, "best")
    assert (code, err) == (0, "")
    assert out.endswith("Next: optuna-nas export\n")
    shown = out[: out.index("Next")].strip()
    assert shown in printed  # as the search itself showed it
    study = load(folder)
    cell = NASBench201Space().architecture(study.best_params)
    assert cell_text(cell) is not None and str(cell) in out


def test_report(
    call_in: Callable[..., Outcome], searched: tuple[Path, str], tmp_path: Path, load: Load
) -> None:
    folder, _ = searched
    file = tmp_path / "result.html"
    code, out, err = call_in(folder, "report", "--output", str(file))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"Written: {file} (open it in a browser)",
        "Next: optuna-nas export",
    ]
    assert load(folder).best_trial.user_attrs["architecture"] in file.read_text().replace(
        "&#124;", "|"
    )


def test_report_chooses_a_name(call_in: Callable[..., Outcome], copied: Path) -> None:
    assert call_in(copied, "report")[0] == 0
    assert (copied / "nas-report.html").stat().st_size > 10_000


def test_export(call_in: Callable[..., Outcome], copied: Path, load: Load) -> None:
    code, out, err = call_in(copied, "export")
    assert (code, err) == (0, ""), err
    folder = copied / "nas-export"
    assert out.splitlines()[0] == f"Written: {folder}"
    assert out.splitlines()[1].startswith("Next: python ") and "predict.py IMAGE ..." in out
    assert (folder / "predict.py").exists()
    about = json.loads((folder / "model.json").read_text())
    assert load(copied).best_trial.user_attrs["architecture"] in json.dumps(about)
    code, _, err = call_in(copied, "export")
    assert code == 2 and "nas-export" in err and err.count("\n") == 1
    assert call_in(copied, "export", "--overwrite", "--trial=1")[0] == 0
    code, _, err = call_in(copied, "export", "--trial=99", "--output=other")
    count = len(load(copied).trials)
    assert (code, err) == (2, f"Error: --trial is 99; the study has trials 0 to {count - 1}.\n")


@pytest.mark.slow
def test_an_onnx_file_is_compared(call_in: Callable[..., Outcome], copied: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    code, out, err = call_in(copied, "export", "--format=onnx", "--output=made")
    assert (code, err) == (0, ""), err
    size = (copied / "made" / "model.onnx").stat().st_size
    compared = out.splitlines()[1]
    assert compared.startswith(f"model.onnx: {size / 1e6:.2f} MB (torch: ")
    assert "for one input on one thread" in compared and "validation inputs" in compared
    assert call_in(copied, "export", "--format=onnx", "--output=made", "--overwrite")[0] == 0
    code, _, err = call_in(copied, "export", "--format=tflite", "--output=other")
    assert code == 2 and "allowed are ['onnx', 'torch']" in err


def test_dashboard(
    call_in: Callable[..., Outcome],
    searched: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    load: Load,
) -> None:
    served: dict[str, Any] = {}

    def serve(storage: object, **options: Any) -> None:
        served.update(options)

    monkeypatch.setattr(optuna_dashboard, "run_server", serve)
    folder, _ = searched
    code, out, err = call_in(folder, "dashboard", "--port=1234")
    assert (code, err) == (0, "")
    study = load(folder)
    url = f"http://127.0.0.1:1234/dashboard/studies/{study._study_id}"
    assert out == f"Next: open {url} in a browser; Ctrl-C stops.\n"
    store = served.pop("artifact_store")
    assert served == {"host": "127.0.0.1", "port": 1234}
    for trial in study.trials:
        shown = get_all_artifact_meta(trial, storage=study._storage)
        assert {meta.filename for meta in shown} == {"cell.svg", "learning_curve.svg"}
        for meta in shown:
            with store.open_reader(meta.artifact_id) as file:
                assert file.read().startswith(b"<svg")


def test_a_password_is_not_stored(
    call_in: Callable[..., Outcome],
    copied: Path,
    tiny: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, real = "postgresql://ann:s3'cret@host/nas", storages.open_storage
    file = copied / "other.db"  # plays the database
    monkeypatch.setattr(storages, "open_storage", lambda _: real(f"sqlite:///{file}"))
    monkeypatch.setattr(Supervisor, "run", lambda self: (None for _ in ""))
    code, out, err = call_in(copied, "search", *tiny, "--storage", address, "--trials=1")
    assert (code, err) == (0, "")
    assert "--storage 'postgresql://ann:***@host/nas'" in out
    content = file.read_bytes()
    assert b"postgresql://ann:***@host/nas" in content
    assert b"cret@" not in content and "cret@" not in out


OWN_CELLS = """
import os
from pathlib import Path
from torch import nn
from optuna_nas.networks import register_operation
from optuna_nas.spaces import CellSpace

@register_operation("own_conv")
class OwnConv(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 5, stride, padding=2)

    def forward(self, x):
        if Path("broken").exists() and self.training:
            raise ValueError("the own operation [/is] broken")
        return self.conv(x)

space = CellSpace(3, ["skip_connect", "own_conv"])
"""


def test_a_broken_objective_ends_with_the_reason_and_mended_it_goes_on(
    call_in: Callable[..., Outcome],
    tmp_path: Path,
    tiny: list[str],
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "my_cells.py").write_text(OWN_CELLS)
    (tmp_path / "broken").touch()
    restarts = {**(Supervisor.__init__.__kwdefaults__ or {}), "max_restarts": 0}
    monkeypatch.setattr(Supervisor.__init__, "__kwdefaults__", restarts)
    search = ["search", *tiny, "--space=my_cells:space", "--trials=2"]
    code, _, err = call_in(tmp_path, *search)
    assert code == 1
    assert err.startswith("Error: A worker ended with exit code 1 and no restarts are left.")
    assert "ValueError: the own operation [/is] broken" in err
    assert err.endswith("3 trials in a row failed; the worker gives up.\n")
    failed = load(tmp_path).trials
    assert {trial.state for trial in failed} == {TrialState.FAIL}
    assert 3 <= len(failed) <= 5

    (tmp_path / "broken").unlink()
    assert call_in(tmp_path, *search)[::2] == (0, "")
    study = load(tmp_path)
    assert finished(study) == 2
    assert recall_space(study) == CellSpace(3, ["skip_connect", "own_conv"])
    assert call_in(tmp_path, "best")[0] == 0

    # Another space under the same name is another search.
    source = OWN_CELLS.replace('CellSpace(3, ["skip_connect"', 'CellSpace(3, ["none"')
    (tmp_path / "my_cells.py").write_text(source)
    sys.modules.pop("my_cells", None)
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    code, _, err = call_in(tmp_path, *search, "--trials=3")
    assert code == 2 and "The study 'nas' searches CellSpace(" in err


def test_an_installed_program_finds_modules_of_the_working_folder(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "optuna-nas"
    program.parent.mkdir()
    program.write_text("from optuna_nas.cli import main\nmain()\n")
    (tmp_path / "my_cells.py").write_text("")
    done = subprocess.run(
        [sys.executable, str(program), "search", "--space", "my_cells:space"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=60,
    )
    assert done.returncode == 2
    assert "--space is 'my_cells:space', which cannot be imported (AttributeError: " in done.stderr
    assert not (tmp_path / "optuna-nas.db").exists()


def test_when_the_time_is_up_no_trial_starts(
    call_in: Callable[..., Outcome], tmp_path: Path, tiny: list[str], load: Load
) -> None:
    code, out, err = call_in(tmp_path, "search", *tiny, "--timeout=1s", "--trials=50")
    assert (code, err) == (0, "")
    assert len(load(tmp_path).trials) <= 1
    assert "The time is up: " in out and " of 50 trials are finished." in out


def test_a_killed_worker_is_replaced_and_its_trial_goes_on(
    call_in: Callable[..., Outcome],
    tmp_path: Path,
    tiny: list[str],
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed: list[int] = []
    update = Progress.update

    def kill_in_the_middle(progress: Progress) -> None:
        update(progress)
        running = progress._study.get_trials(states=(TrialState.RUNNING,))
        if not killed and any((trial.last_step or 0) >= 3 for trial in running):
            [worker] = [p for p in psutil.Process().children() if "worker" in p.cmdline()]
            worker.kill()
            killed.append(worker.pid)

    monkeypatch.setattr(Progress, "update", kill_in_the_middle)
    search = ["search", *tiny, "--epochs=30", "--trials=1", "--pruner=none"]
    code, out, err = call_in(tmp_path, *search)
    assert (code, err) == (0, "")
    assert re.search(r"^trial +0  interrupted, goes on", out, re.M)
    study = load(tmp_path)
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE"]
    first, second = study.trials
    assert second.params == first.params
    assert second.user_attrs["resumed_from_epoch"] >= 2
    assert list(second.intermediate_values) == list(range(30))
    for epoch, value in first.intermediate_values.items():
        assert second.intermediate_values[epoch] == value
