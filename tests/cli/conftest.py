from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import optuna
import pytest

from optuna_nas.cli import main

Outcome = tuple[int, str, str]
REPOSITORY = Path(__file__).parents[2]


@contextlib.contextmanager
def _called_in(folder: Path, arguments: tuple[str, ...]) -> Iterator[None]:
    """What a process of its own would have: working folder, arguments, and a fresh path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["optuna-nas", *arguments])
        patch.setattr(sys, "path", list(sys.path))
        path = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(path))  # for the workers
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("COLUMNS", raising=False)
        verbosity = optuna.logging.get_verbosity()
        yield
        optuna.logging.set_verbosity(verbosity)


def call(folder: Path, *arguments: str) -> Outcome:
    """Run `optuna-nas` in this process, as if called in `folder`.

    Returns:
        The exit code, and what was written to stdout and stderr.
    """
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        _called_in(folder, arguments),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="session")
def call_in() -> Callable[..., Outcome]:
    """Run the command in a folder: `call_in(folder, "best", "--study", "x")`."""
    return call


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Outcome]:
    """Run the command in the test's own folder: `command("best", "--study", "x")`."""
    return partial(call, tmp_path)


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options of trainings that take a fraction of a second."""
    text = (
        "--data digits --train-size 100 --validation-size 60 --test-size 40 --device cpu "
        "--epochs 2 --batch-size 32 --channels 4 --cells 1"
    )
    return text.split()


@pytest.fixture(scope="session")
def load() -> Callable[..., optuna.Study]:
    """Load the study of a folder as a user would in Python."""

    def load_study(folder: Path, name: str = "nas") -> optuna.Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return optuna.load_study(
                study_name=name, storage=f"sqlite:///{folder / 'optuna-nas.db'}"
            )

    return load_study
