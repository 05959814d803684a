"""`--objective layer-drop-bert`: a real search with a tiny BERT, and what comes out of it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import optuna_dashboard
import pytest

from optuna_nas.cli.studies import CONFIG_ATTRIBUTE
from optuna_nas.spaces import LayerDropSpace, recall_space

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

Outcome = tuple[int, str, str]
Load = Callable[..., optuna.Study]
pytestmark = pytest.mark.slow
LAYERS, TRIALS = 3, 4
WORDS = {"good": ["fine", "great", "lovely"], "bad": ["poor", "awful", "dull"]}
OPTIONS = (
    *("--objective=layer-drop-bert", "--model=tiny-bert", "--data=texts.csv", "--max-length=8"),
    *("--epochs=1", "--batch-size=16", "--learning-rate=0.002", "--device=cpu", "--pruner=none"),
)


def write_model(folder: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", *WORDS["good"]]
    words += WORDS["bad"]
    folder.mkdir()
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words) + "\n")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast.from_pretrained(folder, model_max_length=16).save_pretrained(folder)


def write_texts(path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["text,label"]
    for index in range(200):
        label = ("good", "bad")[index % 2]
        lines.append(f"a {rng.choice(WORDS[label])} film,{label}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def searched(
    call_in: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder of a finished search, and what it printed."""
    folder = tmp_path_factory.mktemp("layers")
    write_model(folder / "tiny-bert")
    write_texts(folder / "texts.csv")
    code, out, err = call_in(folder, "search", *OPTIONS, f"--trials={TRIALS}")
    logs = [path.read_text() for path in folder.glob("*/logs/*")]
    assert (code, err) == (0, ""), (out, err, logs)
    return folder, out


def test_it_searches_and_says_how_it_goes(searched: tuple[Path, str], load: Load) -> None:
    folder, out = searched
    study = load(folder)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * TRIALS
    assert recall_space(study) == LayerDropSpace(LAYERS, 1, None)
    line = (
        r"^trial +\d+  complete  score -?\d\.\d{4} ± \d\.\d{4}  evaluation   2/2 "
        r"+[\d,]+ parameters  best "
    )
    assert len(re.findall(line, out, re.MULTILINE)) == TRIALS
    best = study.best_trial
    kept = ", ".join(map(str, best.user_attrs["kept_layers"]))
    assert re.search(rf"^score +{best.value:.4f}", out, re.MULTILINE)
    assert re.search(rf"^layers that are kept +{kept} *$", out, re.MULTILINE)
    note = optuna_dashboard.get_note(study)
    assert "1 to 3 of the 3 layers of `tiny-bert` (7 choices) on `texts.csv`: " in note
    assert "| max length | 8 |" in note


def test_it_goes_on_with_the_settings_of_the_study(
    call_in: Callable[..., Outcome], searched: tuple[Path, str], load: Load
) -> None:
    folder, _ = searched
    code, out, err = call_in(folder, "search", f"--trials={TRIALS}")
    assert (code, err) == (0, "")
    assert out.startswith(f"Study nas is done: {TRIALS} trials are finished.")
    code, _, err = call_in(folder, "search", "--objective=cell-cnn")
    assert code == 2 and "--objective was 'layer-drop-bert' and is 'cell-cnn'. Use" in err
    code, _, err = call_in(folder, "search", "--channels=4")
    assert code == 2 and "--channels is an option of the objective cell-cnn, darts" in err
    stored = load(folder).user_attrs[CONFIG_ATTRIBUTE]
    assert stored["config"]["options"]["max_length"] == 8


def test_the_report_shows_the_layers(
    call_in: Callable[..., Outcome], searched: tuple[Path, str]
) -> None:
    folder, _ = searched
    assert call_in(folder, "report")[0] == 0
    page = (folder / "nas-report.html").read_text()
    for text in ("The best choices of layers", "Layers that are kept", "the best 1"):
        assert text in page, text


def test_plain_transformers_loads_the_export(
    call_in: Callable[..., Outcome], searched: tuple[Path, str], load: Load
) -> None:
    folder, _ = searched
    code, out, err = call_in(folder, "export")
    assert (code, err) == (0, ""), err
    best = load(folder).best_trial
    about = json.loads((folder / "nas-export" / "optuna_nas.json").read_text())
    assert about["kept_layers"] == best.user_attrs["kept_layers"]
    assert about["metrics"]["test_accuracy"] == best.user_attrs["test_accuracy"]
    assert about["trial"] == best.number and about["trained_again"] is False
    command = shlex.split(out.splitlines()[1].removeprefix("Next: "))
    assert command[:2] == ["python", "-c"]
    done = subprocess.run(
        [sys.executable, *command[1:]], capture_output=True, text=True, env={}, timeout=120
    )
    assert done.returncode == 0, done.stderr
    [answer] = eval(done.stdout)
    assert answer["label"] in ("good", "bad")

    code, _, err = call_in(folder, "export")
    assert code == 2 and "exists" in err
    (folder / "nas-export" / "mine.txt").write_text("mine")
    (folder / "photos").mkdir()
    (folder / "photos" / "mine.txt").write_text("mine")
    code, _, err = call_in(folder, "export", "--overwrite", "--output=photos")
    assert code == 2 and "is not an earlier export" in err
    assert (folder / "photos" / "mine.txt").read_text() == "mine"


def test_several_goals(
    call_in: Callable[..., Outcome], searched: tuple[Path, str], load: Load
) -> None:
    folder, _ = searched
    goals = ["--study=two", "--goals=accuracy, parameters", "--trials=3", "--sampler=nsgaii"]
    code, out, err = call_in(folder, "search", *OPTIONS, *goals)
    assert (code, err) == (0, ""), err
    study = load(folder, "two")
    assert study.metric_names == ["accuracy", "parameters"]
    assert f"{len(study.best_trials)} on the Pareto front" in out
    code, out, err = call_in(folder, "best", "--study=two")
    assert (code, err) == (0, "")
    for trial in study.best_trials:
        assert trial.user_attrs["architecture"] in out
    assert call_in(folder, "report", "--study=two")[0] == 0
    page = (folder / "two-report.html").read_text()
    assert "Choices of layers on the Pareto front" in page
    code, _, err = call_in(folder, "export", "--study=two")
    assert code == 2 and "choose a trial with --trial, of the Pareto front: " in err
    number = study.best_trials[0].number
    assert call_in(folder, "export", "--study=two", f"--trial={number}")[0] == 0


SINGLE = """
from functools import partial
from optuna_nas.samplers import ReinforceSampler
Single = partial(ReinforceSampler, reward="score")
"""
"""A sampler for one value."""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--goals=speed", "--goals has 'speed'; allowed are ['score', 'accuracy', 'par"),
        ("--model=nowhere", "--model is 'nowhere', which transformers cannot load"),
        ("--max-layers=4", "--max-layers is 4; allowed is an integer from 1 to 3."),
        ("--text-column=title", "title"),
        ("--goals=score,latency --sampler=single:Single", "cannot search for the 2 values"),
    ],
)
def test_what_cannot_be(
    call_in: Callable[..., Outcome], searched: tuple[Path, str], option: str, message: str
) -> None:
    words = ["--study=other", *option.split()]
    (searched[0] / "single.py").write_text(SINGLE)
    code, _, err = call_in(searched[0], "search", *OPTIONS, *words)
    assert code == 2 and err.startswith("Error: ") and err.count("\n") == 1
    assert message in err
