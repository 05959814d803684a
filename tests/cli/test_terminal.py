"""What is written to a terminal, whatever it says and whatever the terminal can show."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import create_trial
from rich.table import Column, Table
from rich.text import Text

from optuna_nas._locks import machine_lock
from optuna_nas._text import one_line, printable
from optuna_nas.cli.terminal import SafeConsole, prepare_terminal
from optuna_nas.errors import UserError
from optuna_nas.spaces import NASBench201Space, remember_space

Command = Callable[..., tuple[int, str, str]]

REPOSITORY = Path(__file__).parents[2]
HOSTILE = "a\x1b[2Jbc\x9b1md\u202ee\u2066f\x00g\u2028h\ud800i"
CLEAN = re.sub(r"[^a-z\[1-9J]", "\N{REPLACEMENT CHARACTER}", HOSTILE)


@given(text=st.text())
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    for line in (printable(text).replace("\n", "").replace("\t", ""), one_line(text)):
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
        assert not [c for c in line if unicodedata.bidirectional(c) in BIDI]
    assert len(printable(text)) == len(text)
    assert len(one_line(text, 5)) <= 5


BIDI = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def test_what_people_write_stays() -> None:
    for text in ("naïve ☃ \N{FAMILY} العربية 日本語", "tab\tand\nlines", "│ ─ ± …"):
        assert printable(text) == text


def test_the_console_shows_text_of_others_as_it_is() -> None:
    table = Table(Column(Text(HOSTILE, no_wrap=True)))
    table.add_row(Text(HOSTILE, no_wrap=True))
    for terminal in (False, True):
        console = SafeConsole(file=io.StringIO(), width=100, force_terminal=terminal)
        for part in (HOSTILE, Text(HOSTILE), table):
            console.print(part, markup=False)
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        text = re.sub(r"\x1b\[[0-9;]*m", "", text) if terminal else text  # rich's own colours
        assert text.count(CLEAN) == 2  # the table wraps it
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)


def test_logs_and_warnings_are_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    try:
        prepare_terminal()
        record = logging.getLogger("x").makeRecord("x", 20, "f", 1, "%s", (HOSTILE,), None)
        assert record.getMessage() == CLEAN
        assert CLEAN in warnings.formatwarning(HOSTILE, UserWarning, "file", 1)
    finally:
        logging.setLogRecordFactory(factory)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with a study of one cell, which is drawn with lines."""
    space = NASBench201Space()
    storage = f"sqlite:///{tmp_path / 'optuna-nas.db'}"
    made = optuna.create_study(study_name="nas", storage=storage, direction="maximize")
    remember_space(made.ask(), space)
    cell = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    made.add_trial(create_trial(value=0.5, params=cell.params, distributions=space.distributions))
    return tmp_path


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    inherited = {
        n: v for n, v in os.environ.items() if not n.startswith(("LC_", "LANG", "PYTHON"))
    }
    return subprocess.run(
        [sys.executable, "-m", "optuna_nas", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii", "LANG": "C"}, {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}],
)
def test_a_terminal_of_another_encoding(study: Path, environment: dict[str, str]) -> None:
    done = run(study, "best", **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(environment["PYTHONIOENCODING"])
    assert "nor_conv_3x3" in text and "|" in text and "\x1b" not in text
    assert run(study, "--help", **environment).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["report", "--output=~nosuchuser/x.html"], "~nosuchuser"),
        (["report", "--output=."], "--output is '.', which is a folder"),
        (["search", "--data=~nosuchuser/x"], "~nosuchuser"),
        (["search", "--artifacts=~nosuchuser/x"], "~nosuchuser"),
        (["search", "--image-size=0", "--study=x"], "--image-size must be at least 1"),
        (["best", "--study=x"], "--study is 'x'"),
        (["report", "--output=loop/x.html"], "loop"),
        (["search", "--artifacts=loop/x", "--study=x"], "loop"),
        (["search", "--storage=sqlite:///loop"], "loop"),
    ],
)
def test_errors_name_the_flag(
    study: Path, command: Command, arguments: list[str], flag: str
) -> None:
    (study / "loop").symlink_to("loop")
    code, _, err = command(*arguments)
    assert code == 2 and flag in err and "`" not in err.partition(";")[0], err


@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "raise SystemExit('x')", "quit()"])
def test_a_module_that_exits_is_an_error(study: Path, command: Command, line: str) -> None:
    name = f"own_exit_{abs(hash(line))}"
    (study / f"{name}.py").write_text(line)
    code, _, err = command("search", f"--space={name}:space", "--study=other")
    assert code == 2 and f"--space is '{name}:space', which cannot be imported (SystemExit" in err


def test_export_refuses_a_folder_before_it_works(
    study: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optuna_nas.cli.config import Given, SearchConfig
    from optuna_nas.cli.studies import CONFIG_ATTRIBUTE

    storage = f"sqlite:///{study / 'optuna-nas.db'}"
    config = SearchConfig.resolve(Given("nas", storage), None)
    made = optuna.load_study(study_name="nas", storage=storage)
    made.set_user_attr(CONFIG_ATTRIBUTE, {"command": "", "config": config.to_dict()})
    monkeypatch.setattr(SearchConfig, "make_objective", lambda self: pytest.fail("worked"))
    (study / "there").mkdir()
    code, _, err = command("export", "--output=there")
    assert code == 2 and "--output" in err and "exists" in err


def test_a_lock_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    lock = Path(machine_lock("x").lock_file)
    lock.mkdir()
    with pytest.raises(UserError, match=r"another user's, or no file\. Remove it, or set TMPDIR"):
        machine_lock("x")
