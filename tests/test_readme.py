"""What the README says works as it stands there; only the numbers are smaller."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import typer.main
from optuna.trial import TrialState

from optuna_nas.cli.app import app
from optuna_nas.cli.objectives.images import make_space
from optuna_nas.objectives import CellCNN
from optuna_nas.spaces import CellSpace, NASBench201Space

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(heading: str, language: str) -> str:
    """The one block of code under a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    [code] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(code)


def shrunk(code: str, **numbers: int) -> str:
    for name, number in numbers.items():
        code, count = re.subn(rf"\b{name}=\d+", f"{name}={number}", code)
        assert count == 1, f"{name} is not in the README any more"
    return code


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("my_cells", None)


def test_twenty_lines(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = block("Twenty lines", "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    code = shrunk(code, epochs=2, channels=4, n_trials=3)
    names: dict[str, object] = {"__name__": "twenty_lines"}
    exec(compile(code, "README.md", "exec"), names)
    study = names["study"]
    assert isinstance(study, optuna.Study)
    trials = study.trials
    assert len(trials) == 3
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    cell, value, test_and_size = capsys.readouterr().out.splitlines()
    best = study.best_trial
    assert cell == str(NASBench201Space().architecture(best.params))
    assert float(value) == best.value
    test, parameters = test_and_size.split()
    assert float(test) == best.user_attrs["test_accuracy"]
    assert int(parameters) == best.user_attrs["parameters"]
    assert sorted(path.name for path in own_folder.iterdir()) == [
        "optuna-nas-artifacts",
        "optuna-nas.db",
    ]

    # "survive a reboot": the same lines again go on with the same study.
    exec(compile(code, "README.md", "exec"), {"__name__": "twenty_lines"})
    assert len(study.trials) == 6


def test_own_operations(own_folder: Path) -> None:
    code = shrunk(block("Your own operations", "python"), epochs=1, channels=4)
    (own_folder / "my_cells.py").write_text(f"from __future__ import annotations\n{code}")
    assert "Saved as `my_cells.py`" in README and "--space my_cells:space" in README
    space = make_space({"space": "my_cells:space"})
    assert isinstance(space, CellSpace) and "conv_5x5" in space.operations
    objective = sys.modules["my_cells"].objective
    assert isinstance(objective, CellCNN)
    params = dict.fromkeys(space.distributions, "conv_5x5")
    network = objective.build(space.architecture(params))
    assert any(getattr(module, "kernel_size", None) == (5, 5) for module in network.modules())
    assert 0 <= objective.evaluate(params) <= 1


def test_the_commands_have_the_options_that_are_shown() -> None:
    group: Any = typer.main.get_command(app)
    commands = group.commands
    shown = [line for line in README.splitlines() if line.startswith("optuna-nas ")]
    assert {shlex.split(line)[1] for line in shown} >= {"search", "best", "report", "export"}
    for line in shown:
        _, name, *words = shlex.split(line, comments=True)
        options = {option for p in commands[name].params for option in p.opts}
        assert {word for word in words if word.startswith("--")} <= options, line
    search = {option for p in commands["search"].params for option in p.opts}
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= search | {"--data"}


def test_the_tables_name_what_there_is() -> None:
    import optuna_nas as nas

    for name in re.findall(r"^\| `(\w+Space)\(", README, re.MULTILINE):
        assert hasattr(nas.spaces, name)
    assert f"{NASBench201Space().size:,}" in README
