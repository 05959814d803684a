"""`--objective darts` and `--objective edge-nes`: real searches, and what comes out of them."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import optuna_dashboard
import PIL.Image
import pytest
from sklearn.datasets import load_digits

from optuna_nas.data import load_images
from optuna_nas.objectives import EnsembleSearch
from optuna_nas.objectives.edge_nes import RandomMembers, TrainingSettings
from optuna_nas.spaces import DARTSSpace, EdgeNESSpace

pytestmark = pytest.mark.slow
Outcome = tuple[int, str, str]
Load = Callable[..., optuna.Study]
SMALL = ("--train-size=400", "--validation-size=100", "--test-size=100", "--device=cpu")


def refused(outcome: Outcome) -> str:
    code, _, err = outcome
    assert code == 2 and "Traceback" not in err
    return " ".join(err.split())


@pytest.fixture(scope="module")
def cells(
    call_in: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder of two searches by DARTS, and what was printed."""
    folder = tmp_path_factory.mktemp("darts")
    options = ("--preset=small", "--epochs=3", "--channels=4", "--cells=1", "--seed=5", *SMALL)
    code, out, err = call_in(folder, "search", "--objective=darts", "--trials=2", *options)
    assert (code, err) == (0, "")
    return folder, out


def test_cells_are_searched_by_gradient_descent(cells: tuple[Path, str], load: Load) -> None:
    folder, out = cells
    study = load(folder)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    best = study.best_trial
    assert best.user_attrs["architecture"] in out and best.value is not None
    assert re.search(rf"^validation accuracy of the supernet +{best.value:.4f}", out, re.MULTILINE)
    assert best.value > 0.2  # of ten classes, after three epochs
    assert "a whole search in each trial" in optuna_dashboard.get_note(study)


def test_the_report_shows_how_the_weights_went(
    call_in: Callable[..., Outcome], cells: tuple[Path, str], load: Load
) -> None:
    folder, _ = cells
    code, out, _ = call_in(folder, "report")
    assert code == 0
    page = (folder / "nas-report.html").read_text()
    assert "The cells that were derived" in page and "Search space: NASBench201Space" in page
    [picture] = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert "weights of the operations by epoch" in base64.b64decode(picture).decode()
    assert "search --study nas-trained --start-from nas --trials" in out


def test_what_was_derived_is_trained(
    call_in: Callable[..., Outcome], cells: tuple[Path, str], load: Load
) -> None:
    folder, _ = cells
    assert "and trained no network of one" in refused(call_in(folder, "export"))
    for target in (2, 3):  # the same command goes on, and queues nothing twice
        code, out, err = call_in(
            folder,
            *("search", "--study=trained", "--start-from=nas", f"--trials={target}"),
            *("--epochs=1", "--channels=4", "--cells=1", "--device=cpu"),
        )
        assert (code, err) == (0, "")
        assert "The best 2 architectures of nas are trained first." in out
    searches, trained = load(folder), load(folder, "trained")
    ranked = sorted(searches.trials, key=lambda trial: -(trial.value or 0.0))
    wanted = [trial.user_attrs["derived_params"] for trial in ranked]
    assert [trial.params for trial in trained.trials[:2]] == wanted
    assert len(trained.trials) == 3 and trained.trials[2].params not in wanted
    stored = trained.user_attrs["optuna_nas:search"]["config"]
    assert stored["seed"] == 5 and stored["options"]["train_size"] == 400  # as they were searched


def test_a_space_without_a_supernet_is_refused(
    call_in: Callable[..., Outcome], tmp_path: Path
) -> None:
    for objective in ("darts", "edge-nes"):
        message = refused(
            call_in(tmp_path, "search", f"--objective={objective}", "--space=nasbench101")
        )
        assert "has no supernet; supernets are known for" in message
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def ensemble(
    call_in: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder of a search by EdgeNES, and what was printed."""
    folder = tmp_path_factory.mktemp("edge-nes")
    code, out, err = call_in(
        folder,
        *("search", "--objective=edge-nes", "--ensemble-size=2", "--candidates=3", "--cells=1"),
        *("--search-epochs=2", "--hypernetwork-epochs=3", "--epochs=2", "--channels=4"),
        *("--search-channels=4", *SMALL),
    )
    assert (code, err) == (0, "")
    return folder, out


def test_an_ensemble_is_searched(cells: object, ensemble: tuple[Path, str], load: Load) -> None:
    folder, out = ensemble
    [trial] = load(folder).trials
    assert trial.value is not None and len(trial.user_attrs["members"]) == 2
    assert re.search(r"complete .* epoch +11/11 ", out)  # 2 + 3 + 3 candidates of 2
    assert "member 1" in out and "member 2" in out


def test_the_report_shows_the_members(
    call_in: Callable[..., Outcome], ensemble: tuple[Path, str]
) -> None:
    folder, _ = ensemble
    assert call_in(folder, "report")[0] == 0
    page = (folder / "nas-report.html").read_text()
    assert "The members of the best ensembles" in page and "What averaging gains" in page
    assert "Edges shared with the optimum, by λ" in page and "data:image/svg+xml;base64," in page


def test_the_exported_ensemble_classifies(
    call_in: Callable[..., Outcome], ensemble: tuple[Path, str], load: Load
) -> None:
    folder, _ = ensemble
    code, _, err = call_in(folder, "export")
    assert (code, err) == (0, ""), err
    [trial] = load(folder).trials
    about = json.loads((folder / "nas-export" / "model.json").read_text())
    assert about["architecture"] == trial.user_attrs["members"]
    assert about["metrics"]["test_accuracy"] == trial.user_attrs["test_accuracy"]
    assert about["trained_again"] is False
    paths = []
    for number, digit in enumerate(load_digits().images[:30]):
        paths.append(str(folder / f"{number}.png"))
        PIL.Image.fromarray((digit / 16 * 255).astype(np.uint8)).save(paths[-1])
    command = [sys.executable, str(folder / "nas-export" / "predict.py"), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    said = [int(line.split(": ")[1].split()[0]) for line in done.stdout.splitlines()]
    right = np.mean(np.array(said) == load_digits().target[:30])
    assert right > 0.25  # ten classes; two epochs


def test_kinds_of_members(call_in: Callable[..., Outcome], tmp_path: Path, load: Load) -> None:
    message = refused(call_in(tmp_path, "search", "--objective=edge-nes", "--members=none"))
    assert "--members is 'none'; allowed are" in message
    message = refused(call_in(tmp_path, "search", "--objective=edge-nes", "--candidates=2"))
    assert "--ensemble-size is 3; allowed is an integer from 1 to 2" in message
    small = ("--channels=4", "--search-channels=4", "--cells=1", "--epochs=1", "--search-epochs=1")
    for members, steps in (("random", 2), ("darts", 4), ("repeated", 3), ("deviation", 3)):
        code, out, err = call_in(
            tmp_path,
            *("search", "--objective=edge-nes", f"--members={members}", f"--study={members}"),
            *("--ensemble-size=2", "--candidates=2", *small, *SMALL),
        )
        assert (code, err) == (0, "")
        assert f"{steps:>3}/{steps}" in out
        [trial] = load(tmp_path, members).trials
        assert len(trial.intermediate_values) == steps


def test_an_ensemble_is_trained_again_if_its_weights_are_gone(tmp_path: Path) -> None:
    from optuna_nas.export import export_ensemble

    images = load_images("digits", train_size=100, validation_size=50, test_size=50)
    training = TrainingSettings(epochs=1, channels=4, cells=1)
    objective = EnsembleSearch(
        EdgeNESSpace(), images, RandomMembers(3), size=2, training=training, artifacts=None
    )
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=1)
    folder = export_ensemble(objective, study, study.best_trial, tmp_path / "model")
    about = json.loads((folder / "model.json").read_text())
    assert about["trained_again"] is True
    assert about["metrics"]["test_accuracy"] == study.best_trial.user_attrs["test_accuracy"]
    other = EnsembleSearch(
        DARTSSpace(), images, RandomMembers(3), size=2, training=training, artifacts=None
    )
    with pytest.raises(Exception, match="Trial 0 cannot be exported"):
        export_ensemble(other, study, study.best_trial, tmp_path / "other")


def test_methods_of_shared_weights(
    call_in: Callable[..., Outcome], load: Load, tmp_path: Path
) -> None:
    """Each trial takes one of two methods; an option that one of them has counts for that one."""
    options = ("--epochs=1", "--channels=4", "--cells=1", "--seed=3", *SMALL)
    search = ("search", "--objective=one-shot", "--method=gdas,random_ws", "--trials=2")
    few = ("--preset=small", "--candidates=4", "--finalists=2")
    code, out, err = call_in(tmp_path, *search, *few, *options)
    assert (code, err) == (0, "")
    study = load(tmp_path)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    assert {trial.params["method"] for trial in study.trials} <= {"gdas", "random_ws"}
    assert "on shared weights (gdas, random_ws)" in optuna_dashboard.get_note(study)
    assert study.best_trial.user_attrs["architecture"] in out
    code, out, err = call_in(tmp_path, "report")
    assert (code, err) == (0, "")
    unknown = call_in(
        tmp_path, "search", "--study=other", "--objective=one-shot", "--method=dartz"
    )
    assert "'dartz'" in refused(unknown) and "pc_darts" in refused(unknown)
