"""A small random BERT, a vocabulary and a task that it can learn, all made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, BertConfig, BertTokenizerFast

from optuna_nas.data import TextData, TextSplit
from optuna_nas.objectives.layer_drop_bert.isolation import quiet

GOOD, BAD = ("good", "great"), ("bad", "awful")
FILLERS = ("the", "film", "was", "a", "very", "plot")
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}


def texts(count: int, seed: int) -> TextSplit:
    """Sentences of three to eight words, one of which tells the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    found = []
    for label in labels:
        words = rng.choice(FILLERS, size=int(rng.integers(2, 8))).tolist()
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice((BAD, GOOD)[label])))
        found.append(" ".join(words))
    return TextSplit(tuple(found), labels.astype(np.int64))


def reviews(train: int = 64, validation: int = 40, test: int = 30) -> TextData:
    """Short reviews, good or bad."""
    return TextData(
        name="reviews",
        train=texts(train, 0),
        validation=texts(validation, 1),
        test=texts(test, 2),
        class_names=("bad", "good"),
    )


WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *FILLERS)


def save_model(folder: Path, config: Any = None, *, auto: Any = AutoModel, **options: Any) -> Path:
    """Save a random model and a tokenizer of whole words.

    Args:
        folder: Where to.
        config: The configuration; None is a small BERT.
        auto: The class that builds it: without a head, unless told otherwise.
        **options: Changes of the configuration of BERT.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32)
    tokenizer.save_pretrained(folder)
    if config is None:
        config = BertConfig(vocab_size=len(WORDS), **SMALL | options)
    with quiet():
        torch.manual_seed(0)
        auto.from_config(config).save_pretrained(folder)
    return folder
