"""What a study says imports nothing and writes nowhere, unless the command says it too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import create_trial

from optuna_nas.cli.config import Given, SearchConfig
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE
from optuna_nas.spaces import NASBench201Space

Command = Callable[..., tuple[int, str, str]]

MODULE = """
from pathlib import Path
from optuna_nas.spaces import NASBench201Space
import optuna
Path("imported").touch()

class OwnSpace(NASBench201Space):
    def to_dict(self):
        return {"space": "OwnSpace"}

space = OwnSpace()
Sampler = optuna.samplers.RandomSampler
"""
CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"


@pytest.fixture
def own_cells(tmp_path: Path) -> Iterator[Path]:
    """A module in the folder that leaves a file when it is imported."""
    (tmp_path / "own_cells.py").write_text(MODULE)
    yield tmp_path / "imported"
    sys.modules.pop("own_cells", None)


def study_of(folder: Path, **settings: Any) -> optuna.Study:
    """A finished search whose settings say this."""
    storage = f"sqlite:///{folder / 'optuna-nas.db'}"
    space = NASBench201Space()
    study = optuna.create_study(study_name="nas", storage=storage, direction="maximize")
    cell = space.parse(CELL)
    study.add_trial(create_trial(value=0.5, params=cell.params, distributions=space.distributions))
    study.set_user_attr("optuna_nas:space", {"space": "OwnSpace"})
    stored = SearchConfig.resolve(Given("nas", storage), None).to_dict()
    for name, value in settings.items():
        (stored if name in stored else stored["options"])[name] = value
    study.set_user_attr(CONFIG_ATTRIBUTE, {"command": "", "config": stored})
    return study


def test_looking_at_a_study_imports_nothing(
    tmp_path: Path, own_cells: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_dashboard.run_server", lambda *_, **__: None)
    study_of(tmp_path, space="own_cells:space", sampler="own_cells:Sampler", data="digits")
    code, out, err = command("best")
    assert (code, err) == (0, "") and "nor_conv_3x3" in out  # its parameters
    assert command("report")[::2] == (0, "")
    assert "nor_conv_3x3" in (tmp_path / "nas-report.html").read_text()
    assert command("dashboard")[::2] == (0, "")
    code, _, err = command("export")
    assert code == 2 and "says it too: --space own_cells:space." in err
    code, _, err = command("search", "--start-from=nas", "--study=other")
    assert code == 2 and "says it too: --space own_cells:space." in err
    assert not own_cells.exists() and "own_cells" not in sys.modules


@pytest.mark.parametrize("name", ["space", "sampler"])
def test_a_search_imports_what_the_command_names(
    tmp_path: Path,
    own_cells: Path,
    command: Command,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("optuna_nas.cli.search.run", lambda *_, **__: None)
    value = {"space": "own_cells:space", "sampler": "own_cells:Sampler"}[name]
    study_of(tmp_path, **{name: value})
    code, _, err = command("search", "--trials=2")
    assert code == 2 and f"--{name} of the study is '{value}'" in err
    assert not own_cells.exists()
    # Another name on the command line does not open the door for the one that is stored.
    code, _, err = command("search", "--trials=2", "--objective=cell-cnn", "--pruner=none")
    assert code == 2 and not own_cells.exists()
    command("search", "--trials=2", f"--{name}={value}")
    assert own_cells.exists()


def test_the_best_draws_cells_of_a_space_that_the_command_names(
    tmp_path: Path, own_cells: Path, command: Command
) -> None:
    study_of(tmp_path, space="own_cells:space")
    code, out, err = command("best", "--space=own_cells:space")
    assert (code, err) == (0, "") and CELL in out
    assert own_cells.exists()


@pytest.mark.parametrize("place", ["../outside", "/proc/outside", "s3://bucket/x", "a\0b", "here"])
def test_artifacts_elsewhere_are_named_by_the_command(
    tmp_path: Path, command: Command, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_dashboard.run_server", lambda *_, **__: None)
    if place != "here":
        study_of(tmp_path, artifacts=place)
        code, _, err = command("search", "--trials=1")
        assert code == 2 and "--artifacts of the study is" in err
        assert not (tmp_path.parent / "outside").exists()
    else:
        study_of(tmp_path, artifacts=place)
    if not place.startswith("s3:"):
        assert command("dashboard")[0] == 0
        assert (tmp_path / "here").exists() == (place == "here")
        assert not (tmp_path.parent / "outside").exists()
