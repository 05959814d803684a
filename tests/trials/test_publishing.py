from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import plotly.graph_objects as go
import pytest
from optuna.artifacts import get_all_artifact_meta

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.trials import TrialRun

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return optuna.create_study(storage=f"sqlite:///{tmp_path / 'study.db'}", study_name="s")


@pytest.mark.parametrize(
    ("name", "content", "filename", "mimetype"),
    [
        ("cell.svg", SVG, "cell.svg", "image/svg+xml"),
        ("cell", SVG, "cell.svg", "image/svg+xml"),
        ("curve.csv", "epoch,accuracy\n0,0.5\n", "curve.csv", "text/csv"),
        ("genotype", "Genotype(normal=...)", "genotype.txt", "text/plain"),
        ("data.bin", b"\x00\xff", "data.bin", "application/octet-stream"),
        ("../../etc/passwd.txt", "x", "_.._etc_passwd-5f510902.txt", "text/plain"),
        ("a\nb\x00/c", b"x", "a_b_c-6e92d7e5.bin", "application/octet-stream"),
    ],
)
def test_published_files_are_artifacts(
    study: optuna.Study,
    tmp_path: Path,
    name: str,
    content: str | bytes,
    filename: str,
    mimetype: str,
) -> None:
    trial = study.ask()
    artifact_id = TrialRun(trial, tmp_path / "files").publish(name, content)
    [meta] = get_all_artifact_meta(trial)
    assert (meta.artifact_id, meta.filename, meta.mimetype) == (artifact_id, filename, mimetype)
    assert artifact_id is not None
    with ArtifactFolder(tmp_path / "files").store.open_reader(artifact_id) as file:
        assert file.read() == (content if isinstance(content, bytes) else content.encode())
    written = [path.relative_to(tmp_path / "files") for path in (tmp_path / "files").rglob("*")]
    assert sorted(map(str, written)) == ["files", f"files/{artifact_id}"]


def test_a_plotly_figure_becomes_a_page_of_its_own(study: optuna.Study, tmp_path: Path) -> None:
    trial = study.ask()
    artifact_id = TrialRun(trial, tmp_path).publish("curve", go.Figure(go.Scatter(y=[1, 2])))
    [meta] = get_all_artifact_meta(trial)
    assert (meta.filename, meta.mimetype) == ("curve.html", "text/html")
    page = (tmp_path / "files" / str(artifact_id)).read_text()
    assert "<html>" in page[:100] and 'src="http' not in page


def test_the_same_name_replaces_the_content(study: optuna.Study, tmp_path: Path) -> None:
    trial = study.ask()
    run = TrialRun(trial, tmp_path)
    first, other = run.publish("a.txt", "one and more"), run.publish("b.txt", "other")
    assert run.publish("a.txt", "two") == first != other
    assert len(get_all_artifact_meta(trial)) == 2
    assert (tmp_path / "files" / str(first)).read_text() == "two"


def test_a_continued_trial_shows_its_files_once(study: optuna.Study, tmp_path: Path) -> None:
    trial = study.ask()
    artifact_id = TrialRun(trial, tmp_path).publish("cell.svg", SVG)
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.RetryHeartbeatStaleTrialCallback()(study, study.trials[0])
    second = study.ask()
    assert TrialRun(second, tmp_path).publish("cell.svg", SVG) == artifact_id
    assert len(get_all_artifact_meta(second)) == 1


def test_a_folder_that_cannot_be_written_is_logged(
    study: optuna.Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "files").write_text("in the way")
    trial = study.ask()
    assert TrialRun(trial, tmp_path).publish("cell.svg", SVG) is None
    assert "cannot publish 'cell.svg'" in caplog.text
    assert get_all_artifact_meta(trial) == []  # no artifact that leads nowhere


def test_what_cannot_be_published(study: optuna.Study, tmp_path: Path) -> None:
    content: Any = 3
    with pytest.raises(TypeError, match="content is a int"):
        TrialRun(study.ask(), tmp_path).publish("x", content)


def test_the_dashboard_serves_the_drawing(study: optuna.Study, tmp_path: Path) -> None:
    optuna_dashboard = pytest.importorskip("optuna_dashboard")
    trial = study.ask()
    artifact_id = TrialRun(trial, tmp_path / "files").publish("cell.svg", SVG)
    folder = ArtifactFolder(tmp_path / "files")
    app = optuna_dashboard.wsgi(study._storage, artifact_store=folder.store)
    path = f"/artifacts/{study._study_id}/{trial._trial_id}/{artifact_id}"
    environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    answers = []
    body = app(environ, lambda status, headers, error=None: answers.append((status, headers)))
    content = b"".join(body)
    body.close()
    [(status, headers)] = answers
    assert status == "200 OK" and dict(headers)["Content-Type"] == "image/svg+xml"
    assert content.decode() == SVG


def test_training_code_needs_no_plotly() -> None:
    import subprocess

    code = "import sys, optuna_nas.trials; assert 'plotly' not in sys.modules"
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
