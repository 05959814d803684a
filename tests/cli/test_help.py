"""Help answers at once, and says what there is."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import optuna_nas
from optuna_nas.cli.app import app

REPOSITORY = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "datasets", "plotly", "sklearn", "optuna", "networkx", "numpy"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_help_lists_the_commands_without_loading_much() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("-X", "importtime", "-m", "optuna_nas", "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
    imported = {line.rsplit("|")[-1].strip().partition(".")[0] for line in done.stderr.split("\n")}
    assert "typer" in imported
    assert imported & HEAVY == set()
    for name in ("search", "best", "report", "export", "dashboard", "compare"):
        assert re.search(rf"^│ {name} ", done.stdout, re.MULTILINE), name
    assert "worker" not in done.stdout  # not for people


def test_importing_the_package_loads_no_framework() -> None:
    code = "import sys, optuna_nas; optuna_nas.BananasSampler; print(*sys.modules)"
    modules = set(run("-c", code).stdout.split())
    assert modules & {"torch", "transformers", "datasets", "plotly", "sklearn"} == set()


@pytest.mark.parametrize("name", ["search", "best", "report", "export", "dashboard", "worker"])
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"{name} [OPTIONS]" in result.stdout
    assert "--help" in result.stdout


def test_search_names_what_can_be_chosen() -> None:
    from optuna_nas.cli.config import SAMPLERS
    from optuna_nas.cli.objectives import RECIPES
    from optuna_nas.cli.objectives.images import SPACES
    from optuna_nas.cli.pruners import PRUNERS

    text = CliRunner().invoke(app, ["search", "--help"], terminal_width=200).stdout
    words = set(re.findall(r"[a-z0-9-]+", text))
    assert {*PRUNERS, *SAMPLERS, *SPACES, *RECIPES} <= words


def test_options_are_grouped_by_the_objectives_that_have_them() -> None:
    text = CliRunner().invoke(app, ["search", "--help"], env={"COLUMNS": "200"}).stdout
    panels = dict(re.findall(r"^╭─ ([^─]+) ─+╮$(.*?)^╰─+╯$", text, re.MULTILINE | re.DOTALL))
    options = {title: set(re.findall(r"│ --([a-z-]+)", panel)) for title, panel in panels.items()}
    assert {"sampler", "pruner", "seed"} <= options["The search"]
    assert {"epochs", "device"} <= options["Every objective"]
    assert {"channels", "space"} <= options[
        "Objective cell-cnn, darts, one-shot, edge-nes and train"
    ]
    assert {"order", "xi"} <= options["Objective darts and one-shot"]
    assert {"method", "temperature", "partial-channels"} <= options["Objective one-shot"]
    assert {"members", "ensemble-size"} <= options["Objective edge-nes"]
    assert "candidates" in options["Objective one-shot and edge-nes"]
    assert {"model", "min-layers"} <= options["Objective layer-drop-bert"]
    assert "task" in options["Objective train"]
    words = " ".join(re.sub("[│\\n]", " ", panels["Every objective"]).split())
    epochs = re.search(r"--epochs .*?(\[default: .*?\])", words)
    assert epochs is not None and epochs[1] == (
        "[default: 12 (cell-cnn and train), 2 (layer-drop-bert), 50 or 20 if small (darts), "
        "the method's (one-shot), 50 or 12 if small (edge-nes), 60 (mlp)]"
    )


def test_version(command: Callable[..., tuple[int, str, str]]) -> None:
    assert command("--version") == (0, f"optuna-nas {optuna_nas.__version__}\n", "")


def test_without_a_command_there_is_help(command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = command()
    assert code == 2 and "search" in out + err


def test_an_unknown_command_is_named(command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = command("serch")
    assert code == 2 and "serch" in err and "Traceback" not in out + err
