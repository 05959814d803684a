"""What works with the core alone, and what the rest says if it is not installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Only these are found: what optuna-nas depends on, and what that depends on.
CORE = """
import sys

CORE = set('''filelock networkx numpy optuna psutil scipy sqlalchemy threadpoolctl
    optuna_nas alembic colorlog cmaes greenlet mako markupsafe packaging tqdm typing_extensions
    yaml'''.split()) | sys.stdlib_module_names

class Core:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        known = path is not None or name in CORE or name.startswith("_")
        return self.finder.find_spec(name, path, target) if known else None

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Core, sys.meta_path)
import optuna
import optuna_nas as nas
optuna.logging.set_verbosity(optuna.logging.WARNING)
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CORE + code, *arguments], capture_output=True, text=True, cwd=ROOT
    )


def test_the_samplers_need_the_core_only(tmp_path: Path) -> None:
    code = """
import numpy as np
space = nas.spaces.NASBench201Space()
storage = nas.storages.open_storage(f"sqlite:///{sys.argv[1]}/nas.db")
for sampler in nas.BananasSampler, nas.RegularizedEvolutionSampler, nas.LocalSearchSampler:
    for value in lambda t: len(str(space.suggest(t))), lambda t: t.suggest_float("x", 0, 1):
        study = optuna.create_study(storage=storage, sampler=sampler(seed=0))
        study.optimize(value, n_trials=14)
        print(len(study.trials), end=" ")
print(nas.visualization.cell_svg(space.random(np.random.default_rng(0)))[:4])
assert not {"torch", "plotly", "rich", "datasets"} & set(sys.modules)
"""
    done = run(code, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "14 14 14 14 14 14 <svg\n"


@pytest.mark.parametrize(
    ("statement", "extra", "package"),
    [
        ("nas.objectives.CellCNN", "train", "torch"),
        ("nas.data.load_images", "train", "datasets"),
        ("from optuna_nas.trials import TrialRun", "train", "torch"),
        ("import optuna_nas.networks", "train", "torch"),
        ("import optuna_nas.supernets", "train", "torch"),
        ("import optuna_nas.export", "train", "torch"),
        ("nas.BananasSampler(predictor='gcn')", "train", "torch"),
        ("nas.visualization.plot_history", "all", "plotly"),
        ("nas.visualization.write_report", "all", "jinja2"),
        ("nas.visualization.cell_text", "all", "rich"),
        ("from optuna_nas.cli import main; main()", "all", "typer"),
    ],
)
def test_what_is_missing_is_one_line_with_the_command(
    statement: str, extra: str, package: str
) -> None:
    done = run(statement)
    last = done.stderr.splitlines()[-1]
    assert done.returncode != 0 and package in last
    assert last.endswith(f"pip install 'optuna-nas[{extra}]'"), done.stderr


def test_the_command_line_has_no_traceback() -> None:
    done = run("sys.argv = ['optuna-nas', 'search']\nfrom optuna_nas.cli import main; main()")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("Error: The command line needs typer, rich, plotly, jinja2")
    assert done.stderr.count("\n") == 1


def test_all_that_errors_name_are_extras() -> None:
    named = {
        extra
        for file in (*(ROOT / "optuna_nas").rglob("*.py"), *ROOT.glob("**/docs/*.md"))
        for extra in re.findall(r"pip install '?\"?optuna-nas\[([a-z0-9]+)\]", file.read_text())
    }
    declared = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1]
    assert {"benchmarks", "s3"} <= named <= set(re.findall(r"^(\w+) = \[", declared, re.MULTILINE))
