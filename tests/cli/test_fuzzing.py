"""Hundreds of bad inputs: each is answered by one error that names the argument, exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optuna_nas.cli.config import SAMPLERS, SearchConfig
from optuna_nas.cli.objectives import RECIPES
from optuna_nas.cli.pruners import PRUNERS
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE

Outcome = tuple[int, str, str]
Bad = tuple[str, str, str]
"""A command, one of its options, and a value that it cannot have."""

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
ALLOWED = {*RECIPES, *SAMPLERS, *PRUNERS, "darts", "nasbench101", "nasbench201", "digits", "none"}


def is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


NO_NUMBER = WORDS.filter(lambda word: not is_number(word))
NO_NAME = WORDS.filter(lambda word: word not in ALLOWED and ":" not in word and "=" not in word)
NO_BUDGETS = WORDS.filter(lambda word: not all(p.strip().isdecimal() for p in word.split(",")))
BELOW_ONE = st.integers(max_value=0).map(str) | NO_NUMBER
NEGATIVE = st.integers(max_value=-1).map(str) | NO_NUMBER
NOT_POSITIVE = st.floats(max_value=0.0).map(str) | st.sampled_from(["nan", "inf"]) | NO_NUMBER
NO_ADDRESS = WORDS.filter(
    lambda word: "://" not in word and not word.endswith((".log", ".journal"))
)
NO_SCHEME = st.from_regex(r"[b-df-z]{3,9}://[a-z]{1,9}/[a-z]{1,9}", fullmatch=True).filter(
    lambda word: not word.startswith(("sqlite", "postgres", "mysql", "mssql", "redis", "grpc"))
)
NO_DURATION = st.sampled_from(["", "0", "-5m", "nan", "inf", "1e999", "5 minutes"]) | (
    NO_NUMBER.filter(lambda word: word[-1:] not in ("s", "m", "h", "d"))
)


def bad(command: str, option: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Bad]:
    return values.map(lambda value: (command, option, value))


SEARCH = st.one_of(
    bad("search", "trials", BELOW_ONE),
    bad("search", "workers", BELOW_ONE),
    bad("search", "more", NEGATIVE),
    bad("search", "seed", NEGATIVE | st.integers(min_value=2**31).map(str)),
    bad("search", "timeout", NO_DURATION),
    bad("search", "objective", NO_NAME),
    bad("search", "sampler", NO_NAME),
    bad("search", "pruner", NO_NAME),
    bad("search", "space", NO_NAME),
    bad(
        "search", "device", NO_NAME.filter(lambda word: word not in ("cpu", "cuda", "mps", "meta"))
    ),
    bad("search", "storage", NO_ADDRESS | NO_SCHEME),
    *(
        bad("search", option, BELOW_ONE)
        for option in ("epochs", "channels", "cells", "image-size", "train-size")
    ),
    bad("search", "test-size", NEGATIVE),
    bad("search", "batch-size", BELOW_ONE | st.just("1")),
    bad("search", "learning-rate", NOT_POSITIVE),
    bad("search", "weight-decay", st.floats(max_value=-1e-9).map(str) | NO_NUMBER),
    bad("search", "cutout", st.integers(min_value=9).map(str) | NEGATIVE),
)
OTHERS = st.one_of(
    *(
        bad(command, "storage", NO_ADDRESS | NO_SCHEME)
        for command in ("best", "report", "export", "dashboard")
    ),
    bad("export", "trial", NEGATIVE),
    bad("dashboard", "port", NEGATIVE | st.integers(min_value=65536).map(str)),
    bad("compare", "trials", BELOW_ONE),
    bad("compare", "seeds", BELOW_ONE),
    bad("compare", "workers", BELOW_ONE),
    bad("compare", "samplers", NO_NAME.filter(lambda word: word.strip(" ,"))),
    bad("compare", "benchmark", NO_NAME),
    bad("compare", "statistic", NO_NAME.filter(lambda word: word not in ("mean", "median"))),
    bad("compare", "budgets", NO_BUDGETS | st.sampled_from(["0", "151"])),
)
FEW = {"search": ("--channels=4", "--cells=1", "--epochs=1")}


def check(call_in: Callable[..., Outcome], folder: Path, case: Bad) -> None:
    command, option, value = case
    extra = [word for word in FEW.get(command, ()) if not word.startswith(f"--{option}=")]
    code, _, err = call_in(folder, command, *extra, f"--{option}={value}")
    assert code == 2, (code, err)
    assert "Traceback" not in err
    named = err.replace("_", "-")
    assert option.rstrip("s") in named, err
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(case=SEARCH)
def test_a_search_with_a_bad_option(
    case: Bad, call_in: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(call_in, tmp_path_factory.mktemp("fuzz"), case)


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(case=OTHERS)
def test_another_command_with_a_bad_option(
    case: Bad, call_in: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(call_in, tmp_path_factory.mktemp("fuzz"), case)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
WHOLE: dict[str, Any] = {
    "study": "nas",
    "storage": "sqlite:///optuna-nas.db",
    "artifacts": "files",
    "objective": "cell-cnn",
    "sampler": "bananas",
    "pruner": "none",
    "seed": 0,
    "options": dict(RECIPES["cell-cnn"].defaults),
}


@st.composite
def configurations(draw: st.DrawFn) -> Any:
    """Settings of a search with one or two things wrong."""
    whole = json.loads(json.dumps(WHOLE))
    for _ in range(draw(st.integers(1, 2))):
        place = whole["options"] if draw(st.booleans()) else whole
        if not isinstance(place, dict):
            break
        name = draw(st.sampled_from([n for n in (*place, "new") if n != "data"]))
        if draw(st.booleans()):
            place.pop(name, None)
        else:
            place[name] = draw(JSON)
        if not isinstance(whole.get("options"), dict):
            break
    return draw(st.sampled_from([whole, {"x": whole}, None, [], "text"]) | JSON | st.just(whole))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study whose settings are replaced again and again."""
    path = tmp_path_factory.mktemp("configurations")
    study = optuna.create_study(
        study_name="nas", storage=f"sqlite:///{path / 'optuna-nas.db'}", direction="maximize"
    )
    study.add_trial(optuna.create_trial(value=0.5))
    return path


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(config=configurations(), command=st.sampled_from(["best", "report", "search"]))
def test_settings_that_were_damaged(
    config: Any, command: str, folder: Path, call_in: Callable[..., Outcome]
) -> None:
    try:
        SearchConfig.from_dict(config)
        sound = True
    except Exception:
        sound = False
    study = optuna.load_study(study_name="nas", storage=f"sqlite:///{folder / 'optuna-nas.db'}")
    study.set_user_attr(CONFIG_ATTRIBUTE, {"command": "optuna-nas search", "config": config})
    code, _, err = call_in(folder, command, *(["--trials=1"] if command == "search" else []))
    assert "Traceback" not in err
    assert code == 2 or (sound and code == 0), (code, err)
    if code == 2:
        assert err.startswith("Error: ") and err.count("\n") == 1
