"""Layers of transformers are found, dropped in order and kept to the last bit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BartConfig,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    ElectraConfig,
    EsmConfig,
    GPT2Config,
    GPTNeoConfig,
    LongformerConfig,
    ModernBertConfig,
    PretrainedConfig,
    Qwen2Config,
    RobertaConfig,
)

from optuna_nas.networks import check_thinnable, count_parameters, find_layer_stack, thin

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 60,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "bert.encoder.layer": BertConfig(**SMALL),
    "roberta.encoder.layer": RobertaConfig(**SMALL),
    "electra.encoder.layer": ElectraConfig(**SMALL, embedding_size=16),
    "distilbert.transformer.layer": DistilBertConfig(
        dim=32, n_layers=5, n_heads=4, hidden_dim=48, vocab_size=60, pad_token_id=0
    ),
    "transformer.h": GPT2Config(
        n_embd=32,
        n_layer=5,
        n_head=4,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    ),
    "model.layers": Qwen2Config(
        **SMALL, num_key_value_heads=4, use_sliding_window=True, max_window_layers=2
    ),
}


def classifier(config: PretrainedConfig) -> Any:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(copy.deepcopy(config)).eval()


@pytest.fixture(params=CONFIGS.items(), ids=lambda item: type(item[1]).__name__)
def found(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """The name of a model's stack, and the model."""
    name, config = request.param
    return name, classifier(config)


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(3, 60, (4, 9), generator=torch.Generator().manual_seed(1))


def test_the_stack_is_found_in_any_model(found: tuple[str, Any]) -> None:
    name, model = found
    assert find_layer_stack(model) == name


@torch.inference_mode()
def test_all_layers_give_the_same_logits(found: tuple[str, Any], tokens: torch.Tensor) -> None:
    _, model = found
    expected = model(tokens).logits
    assert torch.equal(thin(model, range(5)).eval()(tokens).logits, expected)


@torch.inference_mode()
def test_kept_layers_are_bit_identical_and_in_order(
    found: tuple[str, Any], tokens: torch.Tensor
) -> None:
    name, model = found
    before = copy.deepcopy(model.state_dict())
    thinned = thin(model, [0, 2, 4])
    layers, kept = model.get_submodule(name), thinned.get_submodule(name)
    assert len(kept) == 3
    assert type(thinned) is type(model)
    for new, old in enumerate((0, 2, 4)):
        expected = layers[old].state_dict()
        for key, tensor in kept[new].state_dict().items():
            assert torch.equal(tensor, expected[key])
    for key, tensor in thinned.state_dict().items():
        if not key.startswith(name):
            assert torch.equal(tensor, before[key])  # embeddings, pooler and head

    # The same function as the model with its layers 1 and 3 taken out by hand.
    by_hand = copy.deepcopy(model)
    del by_hand.get_submodule(name)[3], by_hand.get_submodule(name)[1]
    by_hand.config.num_hidden_layers = 3
    if hasattr(by_hand.config, "layer_types"):
        by_hand.config.layer_types = by_hand.config.layer_types[0::2]
    by_hand.config.use_cache = thinned.config.use_cache = False
    assert torch.equal(thinned(tokens).logits, by_hand(tokens).logits)
    assert not torch.equal(thinned(tokens).logits, model(tokens).logits)

    assert len(model.get_submodule(name)) == 5  # the model itself is as it was
    assert model.config.num_hidden_layers == 5
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_copies_share_no_memory(found: tuple[str, Any]) -> None:
    _, model = found
    first, second = thin(model, [1, 3]), thin(model, [1, 3])
    owners = [{p.data_ptr() for p in m.parameters()} for m in (model, first, second)]
    assert not owners[0] & owners[1] and not owners[1] & owners[2]
    assert first.config is not model.config


def test_the_configuration_describes_the_copy(found: tuple[str, Any], tmp_path: Path) -> None:
    name, model = found
    thinned = thin(model, [1, 4])
    assert thinned.config.num_hidden_layers == 2
    assert {id(m.config) for m in thinned.modules() if hasattr(m, "config")} == {
        id(thinned.config)
    }
    numbers = [
        [m.layer_idx for m in layer.modules() if hasattr(m, "layer_idx")]
        for layer in thinned.get_submodule(name)
    ]
    assert all(set(found) <= {new} for new, found in enumerate(numbers))
    thinned.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    tokens = torch.arange(3, 12)[None]
    with torch.inference_mode():  # not to the last bit: the weights lie at other addresses
        torch.testing.assert_close(again(tokens).logits, thinned(tokens).logits)


def test_kinds_of_layers_go_with_them() -> None:
    model = classifier(CONFIGS["model.layers"])
    kinds = model.config.layer_types
    assert len(set(kinds)) == 2
    assert thin(model, [1, 3]).config.layer_types == [kinds[1], kinds[3]]
    assert model.config.layer_types == kinds


@pytest.mark.parametrize("layers", [12, 8, 6, 5, 4, 3, 2, 1])
def test_sizes_of_bert_base(layers: int) -> None:
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig())
    assert count_parameters(model) == 109_483_778
    thinned = thin(model, range(12 - layers, 12))
    assert count_parameters(thinned) == 24_429_314 + 7_087_872 * layers


def test_modes_are_kept() -> None:
    model = classifier(CONFIGS["bert.encoder.layer"])
    assert not any(module.training for module in thin(model, [0, 1]).modules())
    assert all(module.training for module in thin(model.train(), [0, 1]).modules())


def test_a_model_of_one_layer() -> None:
    model = classifier(BertConfig(**{**SMALL, "num_hidden_layers": 1}))
    assert find_layer_stack(model) == "bert.encoder.layer"
    assert thin(model, [0]).config.num_hidden_layers == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (AlbertConfig(**SMALL, embedding_size=16), "found none; layers that share their weights"),
        (ModernBertConfig(**SMALL, cls_token_id=1, sep_token_id=2), "5 layers, .* found none"),
        (
            BartConfig(d_model=32, encoder_layers=4, decoder_layers=4, vocab_size=60),
            r"found several, \['model.encoder.layers', 'model.decoder.layers'\]",
        ),
    ],
    ids=["shared", "different", "two stacks"],
)
def test_models_without_one_stack_are_refused(config: PretrainedConfig, message: str) -> None:
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(ValueError, match=f"^{type(model).__name__} has .*{message}"):
        find_layer_stack(model)


def test_a_module_that_is_no_transformer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Linear does not say how many layers it has"):
        find_layer_stack(nn.Linear(2, 2))


@pytest.mark.parametrize("kept", [[], [1, 0], [0, 0], [5], [-1, 2], [0, 1, 2, 3, 4, 5]])
def test_wrong_layers(kept: list[int]) -> None:
    model = classifier(CONFIGS["bert.encoder.layer"])
    with pytest.raises(ValueError, match=r"^`kept` is .*; allowed .* from 0 to 4\."):
        thin(model, kept)


BY_NUMBER: dict[str, PretrainedConfig] = {
    "a scale": GPT2Config(
        n_embd=32,
        n_layer=5,
        n_head=4,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        scale_attn_by_inverse_layer_idx=True,
        initializer_range=0.5,
    ),
    "kinds by turns": GPTNeoConfig(
        hidden_size=32,
        num_layers=5,
        num_heads=4,
        vocab_size=60,
        attention_types=[[["global", "local"], 2], [["local"], 1]],
        window_size=2,
        pad_token_id=0,
        initializer_range=0.5,
    ),
    "a list by another name": LongformerConfig(**SMALL, attention_window=[4, 4, 8, 8, 16]),
}


@pytest.mark.parametrize("kind", BY_NUMBER)
@torch.inference_mode()
def test_what_follows_from_a_layers_number_is_that_of_the_loaded_model(
    kind: str, tokens: torch.Tensor, tmp_path: Path
) -> None:
    model = classifier(BY_NUMBER[kind])
    torch.testing.assert_close(thin(model, range(5))(tokens).logits, model(tokens).logits)
    check_thinnable(model)
    thinned = thin(model, [0, 2, 4])
    thinned.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(tokens).logits, thinned(tokens).logits)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            EsmConfig(**SMALL, mask_token_id=3),
            "other tensors .* esm.contact_head.regression.weight",
        ),
    ],
    ids=["a head as wide as the layers are many"],
)
def test_models_that_could_not_be_loaded_are_refused(
    config: PretrainedConfig, message: str
) -> None:
    model = classifier(config)
    for refuse in (check_thinnable, lambda found: thin(found, [0, 2, 3])):
        with pytest.raises(ValueError, match=message):
            refuse(model)
    count = model.config.num_hidden_layers
    assert thin(model, range(count)).config.num_hidden_layers == count  # nothing is dropped


def test_frozen_weights_stay_frozen_and_no_number_is_drawn() -> None:
    model = classifier(CONFIGS["bert.encoder.layer"])
    model.bert.embeddings.requires_grad_(False)
    state = torch.get_rng_state()
    thinned = thin(model, [1, 3])
    assert torch.equal(torch.get_rng_state(), state)
    frozen = {name for name, p in thinned.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, p in model.named_parameters() if not p.requires_grad}
