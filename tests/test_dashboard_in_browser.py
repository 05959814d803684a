"""What a person sees in optuna-dashboard: its pages in a headless Chromium.

The study is searched by the command line, has a name that is a script, and one more trial with
scripts wherever a trial has texts. No page may run them, or call anyone but the dashboard.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import optuna_dashboard
import pytest
from optuna.artifacts import get_all_artifact_meta, upload_artifact

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.storages import open_storage
from optuna_nas.trials import TrialRun
from tests.chromium import Browser, chromium
from tests.cli.conftest import call

pytestmark = pytest.mark.slow

SCRIPT = "<script>window.hostile = 1</script>"
IMAGE = '<img src="x" onerror="window.hostile = 1">'
LINK = "[click](javascript:window.hostile=1)"
HOSTILE = f"{SCRIPT} {IMAGE} {LINK}"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{SCRIPT}</svg>'
NAMED = f"--study={SCRIPT}"
SEARCHED = 2
SETTINGS = (
    *("--data=digits", "--train-size=200", "--validation-size=100", "--test-size=50"),
    *("--epochs=2", "--channels=4", "--cells=1", "--pruner=none", f"--trials={SEARCHED}"),
)

LOADED = "document.images.length > {least} && [...document.images].every(i => i.complete)"
SIZES = "[...document.images].map(i => [i.src, i.naturalWidth, i.naturalHeight])"


@dataclass
class Shown:
    """A dashboard that runs.

    Attributes:
        page: The address of the study's page.
        study: The study.
    """

    page: str
    study: optuna.Study


def with_hostile_trial(study: optuna.Study, folder: ArtifactFolder) -> None:
    """Add a trial with scripts in all of its texts, and a script to the study's note."""
    trial = study.ask()
    with TrialRun(trial, folder) as run:
        run.publish(f"{SCRIPT}.svg", SVG)
    for name in (f"{IMAGE}.svg", "<svg onload=window.hostile=1>.html"):
        file = folder.path / name
        file.write_text(SVG)
        upload_artifact(artifact_store=folder.store, file_path=str(file), study_or_trial=trial)
    for key in ("architecture", "stopped_because", HOSTILE):
        trial.set_user_attr(key, HOSTILE)
    optuna_dashboard.save_note(trial, HOSTILE)
    study.tell(trial, 0.5)
    optuna_dashboard.save_note(study, optuna_dashboard.get_note(study) + f"\n\n{HOSTILE}")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    if chromium() is None:
        pytest.skip("No Chromium is installed.")
    folder = tmp_path_factory.mktemp("dashboard")
    code, _, error = call(folder, "search", NAMED, *SETTINGS, "--artifacts=files")
    assert code == 0, error
    study = optuna.load_study(
        study_name=SCRIPT, storage=open_storage(f"sqlite:///{folder / 'optuna-nas.db'}")
    )
    with pytest.warns(UserWarning, match="Heartbeat of storage"):
        with_hostile_trial(study, ArtifactFolder(folder / "files"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    repository = str(Path(__file__).parents[1])
    path = os.pathsep.join([repository, *filter(None, [os.environ.get("PYTHONPATH")])])
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "optuna_nas", "dashboard", NAMED, f"--port={port}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            stdout=log,
            stderr=log,
        )
    try:
        base = f"http://127.0.0.1:{port}"
        wait_for(f"{base}/api/meta", server, folder / "log")
        yield Shown(f"{base}/dashboard/studies/{study._study_id}", study)
    finally:
        server.terminate()
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while True:
        assert server.poll() is None and time.monotonic() < end, log.read_text()
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.2)


@pytest.fixture(scope="module")
def running(shown: Shown, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(str(chromium()), tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def browser(shown: Shown, running: Browser) -> Iterator[Browser]:
    """A browser that has to see no script of ours run, no error, and no other server called."""
    yield running
    assert running.evaluate("window.hostile === undefined")
    assert not running.happened("Page.javascriptDialogOpening")
    assert not running.happened("Runtime.exceptionThrown")
    hrefs = running.evaluate("[...document.links].map(link => link.href)")
    assert not [href for href in hrefs if href.startswith("javascript:")]
    base = shown.page.partition("/dashboard")[0]
    for request in running.happened("Network.requestWillBeSent"):
        assert request["request"]["url"].startswith((f"{base}/", "data:", "blob:"))


@pytest.mark.parametrize("number", range(SEARCHED))
def test_the_page_of_a_trial_shows_its_cell_and_learning_curve(
    shown: Shown, browser: Browser, number: int
) -> None:
    browser.open(f"{shown.page}/trials?numbers={number}")
    browser.wait(LOADED.format(least=1))
    images = browser.evaluate(SIZES)
    assert len(images) == 2
    for source, width, height in images:
        assert "/artifacts/" in source
        assert width > 100 and height > 100  # a picture that is not loaded has none
    answers = {
        answer["response"]["url"]: answer["response"]["status"]
        for answer in browser.happened("Network.responseReceived")
    }
    assert [answers[source] for source, _, _ in images] == [200, 200]
    text = browser.evaluate("document.body.innerText")
    trial = shown.study.trials[number]
    assert "cell.svg" in text and "learning_curve.svg" in text
    assert str(trial.value) in text and trial.user_attrs["architecture"] in text
    for name, value in trial.params.items():
        assert f"{name} {value}" in text
    assert len(browser.screenshot()) > 10_000


def test_the_page_of_the_study_shows_its_history(shown: Shown, browser: Browser) -> None:
    browser.open(shown.page)
    # One marker for each trial in the plot of the history.
    points = "document.querySelectorAll('#plot-history .point').length"
    browser.wait(f"{points} >= {SEARCHED + 1}")
    text = browser.evaluate("document.body.innerText")
    assert SCRIPT in text  # the name, as it is written
    assert f"Best Trial (number={shown.study.best_trial.number})" in text
    assert str(shown.study.best_value) in text


def test_the_note_of_the_study_is_rendered(shown: Shown, browser: Browser) -> None:
    browser.open(f"{shown.page}/note")
    browser.wait("document.querySelectorAll('table td').length > 10")
    cells = browser.evaluate("[...document.querySelectorAll('td')].map(cell => cell.innerText)")
    assert cells[cells.index("data") + 1] == "digits"
    code = browser.evaluate("document.querySelector('pre').innerText")
    assert code.startswith("optuna-nas search") and "--epochs" in code
    heading = browser.evaluate("document.querySelector('h1').innerText")
    assert heading == SCRIPT
    assert browser.evaluate("document.images.length") == 0


def test_a_trial_full_of_scripts_runs_none(shown: Shown, browser: Browser) -> None:
    browser.open(f"{shown.page}/trials?numbers={SEARCHED}")
    browser.wait(LOADED.format(least=0))
    text = browser.evaluate("document.body.innerText")
    assert f"architecture {HOSTILE}" in text
    assert "click" in text  # of the note
    assert browser.evaluate("document.querySelectorAll('[onerror]').length") == 0


def test_the_list_of_studies_runs_none(shown: Shown, browser: Browser) -> None:
    browser.open(f"{shown.page.partition('/studies')[0]}")
    browser.wait(f"document.body.innerText.includes({SCRIPT!r})")


def test_a_script_that_runs_would_be_noticed(shown: Shown, running: Browser) -> None:
    """A drawing that is opened as a page of its own runs its scripts."""
    trial = shown.study.trials[SEARCHED]
    metas = get_all_artifact_meta(trial, storage=shown.study._storage)
    [drawing] = [meta for meta in metas if "script" in meta.filename]
    base = shown.page.partition("/dashboard")[0]
    study = shown.study._study_id
    running.open(f"{base}/artifacts/{study}/{trial._trial_id}/{drawing.artifact_id}")
    running.wait("window.hostile === 1")
