"""Words that are no local name: mistyped, or of a hub that may be out of reach."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest
from huggingface_hub import constants

from optuna_nas._hub import asking_hub, is_hub_id, near_local
from optuna_nas.data import load_images, load_text
from optuna_nas.objectives.layer_drop_bert.pretrained import Pretrained


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("photos/train", "My Pictures", "texts.csv", ".hidden", "minilm"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the hub is asked for, which cannot be reached."""
    names: list[str] = []

    def ask(self: object, name: str, **options: Any) -> None:
        names.append(name)
        raise OSError("[Errno -2] Name or service not known")

    for kind in ("dataset_info", "model_info"):
        monkeypatch.setattr(huggingface_hub.HfApi, kind, ask)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    return names


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("photso", "photos"),
        ("Photos", "photos"),
        ("photo", "photos"),
        ("./photso", "photos"),
        ("photos/trian", "photos/train"),
        ("photso/train", "photos/train"),
        ("my-pictures", "My Pictures"),
        ("text.csv", "texts.csv"),
        ("digit", "digits"),
    ],
)
def test_what_is_mistyped_is_not_asked_for(typed: str, meant: str, asked: list[str]) -> None:
    for load in (load_images, load_text):
        with pytest.raises(ValueError, match=rf"no local file .*; did you mean '{meant}'\?"):
            load(typed)
    assert asked == []


def test_an_absolute_path_that_is_mistyped(folder: Path) -> None:
    assert near_local(folder / "photoss" / "train") == str(folder / "photos/train")
    assert near_local(Path.home() / "no such thing at all") is None
    assert near_local("") is None


@pytest.mark.parametrize("name", ["stanfordnlp/sst2", "mnist", "photos/nothing", "hiden"])
def test_other_words_may_be_of_the_hub(name: str) -> None:
    assert near_local(name) is None and is_hub_id(name)


@pytest.mark.parametrize("name", ["a/b/c", "data.csv", "owner/data.PARQUET", "x.npz", "w.pt"])
def test_paths_are_no_names_of_the_hub(name: str, asked: list[str]) -> None:
    with pytest.raises(ValueError, match="does not have the form of a hub id"):
        load_text(name)
    assert asked == []


def test_a_hub_that_is_out_of_reach_is_one_line_at_once(
    asked: list[str], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    start = time.monotonic()
    with pytest.raises(
        ValueError, match=r"hub: it cannot be reached \(OSError: .* not known\)\.$"
    ) as told:
        load_text("someone/something")
    with pytest.raises(
        ValueError, match=r"The hub cannot be reached \(OSError: .* not known\)\.$"
    ):
        Pretrained.load("someone/something", ["a", "b"], 0)
    assert time.monotonic() - start < 20  # the client alone tries for twice as long
    assert asked == ["someone/something"] * 2
    assert "\n" not in str(told.value)
    assert capfd.readouterr() == ("", "") and not caplog.text
    assert not constants.HF_HUB_OFFLINE and not datasets.config.HF_HUB_OFFLINE


def test_a_model_that_is_mistyped(asked: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no such folder; did you mean 'minilm'\?"):
        Pretrained.load("minilmm", ["a", "b"], 0)
    assert asked == []


def test_loggers_are_as_they_were(asked: list[str]) -> None:
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    with asking_hub("model", "someone/something") as why:
        assert "not known" in why and constants.HF_HUB_OFFLINE
        assert not logger.isEnabledFor(logging.WARNING)
    assert logger.level == before
