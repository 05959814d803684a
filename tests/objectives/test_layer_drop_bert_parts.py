"""The parts of LayerDropBert on their own: goals, batches, the wrong arguments."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from transformers import AlbertConfig, AutoModelForSequenceClassification, BertConfig

from optuna_nas.data import TextData
from optuna_nas.objectives import LayerDropBert
from optuna_nas.objectives.layer_drop_bert.memory import clear_memory_errors, probe
from optuna_nas.objectives.layer_drop_bert.pretrained import Pretrained
from optuna_nas.objectives.layer_drop_bert.tokens import TokenData, epoch_groups
from optuna_nas.spaces import LayerDropSpace, NASBench201Space

tiny_bert = importlib.import_module("tiny_bert")
SMALL: dict[str, Any] = tiny_bert.SMALL
reviews: Callable[..., TextData] = tiny_bert.reviews
save_model: Callable[..., Path] = tiny_bert.save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def tokens(model: Path) -> TokenData:
    pretrained = Pretrained.load(model, ("bad", "good"), 0)
    return TokenData.tokenize(reviews(), pretrained.tokenizer, 8)


@pytest.mark.parametrize(
    "names", [(), "size", ("parameters",), ("latency", "score"), ("accuracy", "accuracy")]
)
def test_wrong_goals(model: Path, names: Any) -> None:
    with pytest.raises(ValueError, match=r"^`goals` (is|has) .*; allowed are .*'score', 'accu"):
        LayerDropBert(model, reviews(), goals=names, max_length=24, artifacts=None)


def test_an_epoch_has_every_text_once_in_batches_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=1000)
    groups = epoch_groups(lengths, 16, 7, 0)
    assert sorted(np.concatenate(groups).tolist()) == list(range(1000))
    assert len(groups) == 63
    assert sorted({len(group) for group in groups}) == [8, 16]
    padded = sum(len(group) * int(lengths[group].max()) for group in groups)
    assert padded < 1.1 * lengths.sum()  # batches of any length would waste about as much again
    assert lengths[groups[0]].max() == lengths.max()  # the largest first: it must fit


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=200)

    def order(seed: int, epoch: int) -> list[int]:
        return [int(row) for group in epoch_groups(lengths, 16, seed, epoch) for row in group]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(2, 0)
    assert order(1, 0) != order(1, 1)


def test_batches_are_padded_to_their_longest_text(tokens: TokenData) -> None:
    assert tokens.train.lengths.max() == 8  # cut
    for batch in tokens.longest_first(tokens.train, 16):
        length = int(batch["attention_mask"].sum(dim=1).max())
        assert batch["input_ids"].shape == (len(batch["labels"]), length)
        assert bool((batch["input_ids"][batch["attention_mask"] == 0] == 0).all())
    together = torch.cat([batch["labels"] for batch in tokens.longest_first(tokens.test, 7)])
    assert sorted(together.tolist()) == sorted(tokens.test.labels.tolist())


def test_the_full_model_is_as_fast_as_itself(model: Path) -> None:
    """In turns, so that another program, which meets both, does not matter."""
    objective = LayerDropBert(model, reviews(), max_length=24, artifacts=None)
    full = objective.build(objective.space.parse("1111")).eval()
    assert 0.8 < objective._speedup(full, objective._example) < 1.25


def test_a_probe_makes_a_whole_step(model: Path, tokens: TokenData) -> None:
    network = Pretrained.load(model, ("bad", "good"), 0).thin([0, 1])
    before = network.classifier.weight.clone()
    probe(network, tokens.longest_first(tokens.train, 8)[0], torch.device("cpu"))
    assert not torch.equal(network.classifier.weight, before)
    with pytest.raises(RuntimeError, match=r"^something else$"), clear_memory_errors(8):
        raise RuntimeError("something else")
    with pytest.raises(RuntimeError, match="lower `batch_size`"), clear_memory_errors(8):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate")


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("epochs", 0, "an integer of 1 or more"),
        ("batch_size", 0, "an integer of 1 or more"),
        ("batch_size", 8.0, "an integer of 1 or more"),
        ("learning_rate", 0, "positive numbers"),
        ("learning_rate", float("nan"), "positive numbers"),
        ("weight_decay", 1.0, "numbers from 0 to below 1"),
        ("gradient_clip", 0.0, "positive numbers"),
        ("max_length", 2, "an integer of 3 or more"),
        ("max_length", 33, "takes up to 32 tokens"),
        ("evaluations_per_epoch", 0, "an integer of 1 or more"),
        ("evaluations_per_epoch", 9, "allowed are up to 8, the steps of an epoch of 64 texts"),
        ("parameter_weight", -0.1, "numbers from 0 to below 1"),
        ("goals", "size", "'score', 'accuracy', 'parameters', 'macs'"),
        (
            "limits",
            {"flops": 1},
            "['parameters', 'macs', 'memory', 'latency', 'energy', 'speedup']",
        ),
        ("limits", {"latency": 0}, "positive numbers"),
        ("device", "abacus", "None, 'cpu' and the devices that torch finds"),
        ("seed", -1, "an integer from 0 to 2147483647"),
        ("min_layers", 5, "an integer from 1 to 4"),
        ("max_layers", 5, "an integer from 1 to 4"),
        ("min_layers", 0, "an integer from 1 to 4"),
        ("model", "", "a folder and a hub id"),
        ("model", None, "a folder and a hub id"),
    ],
)
def test_wrong_arguments(model: Path, argument: str, value: Any, allowed: str) -> None:
    options = {"model": model, "batch_size": 8, "max_length": 24, argument: value}
    with pytest.raises(ValueError, match=f"^`{argument}") as error:
        LayerDropBert(**{"data": reviews(), "artifacts": None, **options})
    assert allowed in str(error.value)


def test_more_layers_must_be_kept_than_may(model: Path) -> None:
    with pytest.raises(ValueError, match=r"^`min_layers` is 3; allowed is an integer from 1 to 2"):
        LayerDropBert(model, reviews(), min_layers=3, max_layers=2, max_length=24, artifacts=None)


def test_the_space_must_be_of_the_model(model: Path) -> None:
    def make(space: Any, **options: Any) -> LayerDropBert:
        return LayerDropBert(
            model, reviews(), space=space, max_length=24, artifacts=None, **options
        )

    assert make(LayerDropSpace(4, 2, 3)).space == LayerDropSpace(4, 2, 3)
    with pytest.raises(ValueError, match=r"LayerDropSpace\(num_layers=12.* has 4 layers"):
        make(LayerDropSpace(12))
    with pytest.raises(TypeError, match="`space` is NASBench201Space"):
        make(NASBench201Space())
    with pytest.raises(ValueError, match="either `space`, or `min_layers`"):
        make(LayerDropSpace(4), max_layers=2)


def test_models_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"^`model` is 'nobody/nothing', which transformers can"):
        LayerDropBert("nobody/nothing", reviews(), artifacts=None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="which transformers cannot load"):
        LayerDropBert(tmp_path / "empty", reviews(), artifacts=None)
    config = AlbertConfig(**SMALL, vocab_size=15, embedding_size=16)
    with pytest.raises(ValueError, match="layers that share their weights"):
        LayerDropBert(save_model(tmp_path / "albert", config), reviews(), artifacts=None)
    short = save_model(tmp_path / "short", BertConfig(**SMALL, vocab_size=10))
    with pytest.raises(ValueError, match=r"cannot read what its tokenizer writes .* token"):
        LayerDropBert(short, reviews(), max_length=24, artifacts=None)


def test_a_head_for_other_classes_is_replaced(tmp_path: Path) -> None:
    config = BertConfig(**SMALL, vocab_size=15, num_labels=7)
    folder = save_model(tmp_path, config, auto=AutoModelForSequenceClassification)
    objective = LayerDropBert(folder, reviews(), max_length=24, artifacts=None)
    assert objective.build(objective.space.parse("1111")).classifier.out_features == 2


def test_artifacts_must_be_a_folder(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is no folder"):
        LayerDropBert(model, reviews(), max_length=24, artifacts=tmp_path / "file")


@pytest.mark.parametrize(
    ("goals", "directions", "needed"),
    [
        ("score", ["minimize"], r"\['score'\] need \['maximize'\]"),
        ("score", ["maximize", "minimize"], r"\['score'\] need \['maximize'\]"),
        (("accuracy", "latency"), ["maximize"], r"need \['maximize', 'minimize'\]"),
    ],
)
def test_the_study_must_have_the_same_directions(
    model: Path, goals: Any, directions: Any, needed: str
) -> None:
    objective = LayerDropBert(model, reviews(), goals=goals, max_length=24, artifacts=None)
    study = optuna.create_study(directions=directions)
    with pytest.raises(ValueError, match=needed):
        study.optimize(objective, n_trials=1)


def test_a_missing_parameter_is_an_error(model: Path) -> None:
    objective = LayerDropBert(model, reviews(), max_length=24, artifacts=None)
    with pytest.raises(ValueError, match="lacks 'layer_00'"):
        objective.evaluate({})
    with pytest.raises(ValueError, match="layer_00"):
        objective(FixedTrial({}))
