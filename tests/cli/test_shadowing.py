"""Files of the user's that are named as modules of libraries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from optuna_nas.cli.supervisor import program

NAMES = ("datasets", "json", "numpy", "optuna", "random", "rich", "torch", "transformers", "typer")


def shadow(folder: Path) -> None:
    for name in NAMES:
        (folder / f"{name}.py").write_text("raise SystemExit('the one of the user')\n")


@pytest.mark.parametrize("command", [program(), [sys.executable, "-m", "optuna_nas"]])
def test_libraries_come_first(tmp_path: Path, command: list[str]) -> None:
    shadow(tmp_path)
    done = subprocess.run(
        [*command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("optuna-nas ")


@pytest.mark.slow
def test_a_search_in_a_folder_of_such_files(
    tmp_path: Path, tiny: list[str], load: Callable[..., optuna.Study]
) -> None:
    shadow(tmp_path)
    own = "from optuna_nas.spaces import NASBench201Space\nspace = NASBench201Space()\n"
    (tmp_path / "my_cells.py").write_text(own)
    search = [*program(), "search", "--trials", "1", "--space", "my_cells:space", *tiny]
    done = subprocess.run(search, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(load(tmp_path).trials) == 1
