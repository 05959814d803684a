"""Names that others chose, of studies, artifacts and notes, stay names: in folders and on pages.

Reports, figures and drawings of hostile texts are tested where they are made
(`visualization/test_report.py`, `visualization/test_figures.py`, `visualization/test_cells.py`),
the folders of a study in `trials/test_run.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
from optuna.artifacts import get_all_artifact_meta

from optuna_nas._text import printable
from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.cli.config import SearchConfig
from optuna_nas.cli.note import note_text
from optuna_nas.cli.objectives import RECIPES
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE
from optuna_nas.spaces import CellSpace
from optuna_nas.trials import TrialRun
from optuna_nas.visualization import cell_svg

Command = Callable[..., tuple[int, str, str]]

NAMES = [
    "../../escape",
    "/absolute",
    "..",
    "C:\\windows",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[/bold] [link=https://example.com]x[/link]",
    "[click](javascript:alert(1))",
    "{{7*7}} ${7*7} %{x}",
    "$(touch owned); `touch owned` && touch owned",
    "-rf",
    "☃ naïve \u202e",
]
SPACE = CellSpace(2, ["skip_connect", "none"])


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def study(name: str, tmp_path: Path) -> optuna.Study:
    """A study of a hostile name with a finished trial that is called the same everywhere."""
    study = optuna.create_study(
        study_name=name, storage=f"sqlite:///{tmp_path / 'optuna-nas.db'}", direction="maximize"
    )
    study._storage.set_study_system_attr(study._study_id, "study:metric_names", [name])

    def run(trial: optuna.Trial) -> float:
        SPACE.suggest(trial)
        with TrialRun(trial, tmp_path / "files") as run:
            run.publish(name, "<svg xmlns='http://www.w3.org/2000/svg'/>")
            run.publish(f"{name}.html", "text")
            trial.set_user_attr("stopped_because", name)
            trial.set_user_attr("architecture", name)
            run.finish(0.5)
        return 0.5

    study.optimize(run, n_trials=1)
    return study


class Tags(HTMLParser):
    """Collects the elements of a page, and the addresses they name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.attributes += attrs


def test_a_report_stays_in_its_folder_and_runs_nothing(
    study: optuna.Study, name: str, tmp_path: Path, command: Command
) -> None:
    before = set(tmp_path.iterdir())
    code, out, err = command("report", f"--study={name}")
    assert (code, err) == (0, "")
    [page] = set(tmp_path.iterdir()) - before
    assert page.name.endswith("-report.html") and page.parent == tmp_path
    assert page.name in out
    tags = Tags()
    tags.feed(page.read_text(encoding="utf-8"))
    assert not {"img", "iframe", "object", "base", "form"} & set(tags.found)
    for attribute, value in tags.attributes:
        assert not attribute.startswith("on")
        assert not (value or "").lower().strip().startswith("javascript:")


def test_the_best_is_printed_as_it_is_called(
    study: optuna.Study, name: str, tmp_path: Path, command: Command
) -> None:
    code, out, err = command("best", f"--study={name}")
    assert (code, err) == (0, "")
    assert re.sub(r"\s+", "", printable(name)) in re.sub(r"\s+", "", out)
    # What is printed to be typed next is one word to a shell.
    assert "owned" not in {path.name for path in tmp_path.iterdir()}
    if "touch" in name:
        assert f"'{name}'" in out


def test_published_names_are_harmless(study: optuna.Study, name: str, tmp_path: Path) -> None:
    files = ArtifactFolder(tmp_path / "files").files
    metas = get_all_artifact_meta(study.trials[0], storage=study._storage)
    assert {file.name for file in files.iterdir()} == {meta.artifact_id for meta in metas}
    for meta in metas:
        assert re.fullmatch(r"[A-Za-z0-9_ -][A-Za-z0-9._ -]*", meta.filename), meta.filename
    assert not list(tmp_path.parent.glob("*escape*"))


def test_the_dashboard_serves_the_study_as_data(
    study: optuna.Study, name: str, tmp_path: Path
) -> None:
    store = ArtifactFolder(tmp_path / "files").store
    app = optuna_dashboard.wsgi(study._storage, artifact_store=store)
    headers: list[dict[str, str]] = []

    def get(path: str) -> None:
        environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": "after=0"}
        setup_testing_defaults(environ)
        body = app(environ, lambda status, given, _=None: headers.append(dict(given)))
        b"".join(body)
        if hasattr(body, "close"):
            body.close()

    get(f"/api/studies/{study._study_id}")
    for meta in get_all_artifact_meta(study.trials[0], storage=study._storage):
        trial = study.trials[0]._trial_id
        get(f"/artifacts/{study._study_id}/{trial}/{meta.artifact_id}")
    assert headers[0]["Content-Type"].startswith("application/json")
    for one in headers:
        assert not any("\n" in value or "\r" in value for value in one.values())


def test_the_dashboard_renders_no_html_of_notes(
    name: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(
        study_name=name, storage=f"sqlite:///{tmp_path / 'optuna-nas.db'}", direction="maximize"
    )
    config = configuration(name)
    study.set_user_attr(CONFIG_ATTRIBUTE, {"command": "optuna-nas", "config": config.to_dict()})
    called: dict[str, Any] = {}
    monkeypatch.setattr(
        optuna_dashboard, "run_server", lambda storage, **options: called.update(options)
    )
    code, _, err = command("dashboard", f"--study={name}")
    assert (code, err) == (0, "")
    assert called["host"] == "127.0.0.1"
    assert set(called) == {"host", "port", "artifact_store"}  # nothing that allows HTML


def configuration(name: str) -> SearchConfig:
    return SearchConfig(
        study=name,
        storage="sqlite:///optuna-nas.db",
        artifacts="files",
        objective="cell-cnn",
        sampler="bananas",
        pruner="none",
        seed=0,
        options=RECIPES["cell-cnn"].defaults,
    )


def test_a_note_shows_names_as_text(name: str) -> None:
    """The dashboard shows Markdown, without HTML: links and rows of tables are what is left."""
    config = configuration(name)

    class Stub:
        space = SPACE

    recipe = type("Recipe", (), {"describe": staticmethod(lambda objective: [])})
    object.__setattr__(config, "sampler", f"{name}|x\n| fake | row |")
    patched: Any = config
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SearchConfig, "recipe", property(lambda self: recipe))
        text = note_text(patched, Stub(), "optuna-nas search")  # type: ignore[arg-type]
    assert not re.search(r"(?<!\\)\]\(javascript:", text)
    assert "\n| fake | row |" not in text
    rows = [line for line in text.splitlines() if line.startswith("| sampler")]
    assert len(rows) == 1


def test_a_drawing_escapes_its_title(name: str) -> None:
    svg = cell_svg(SPACE.architecture({"edge_0_1": "skip_connect"}), title=name)
    assert "<script" not in svg and "<img" not in svg
