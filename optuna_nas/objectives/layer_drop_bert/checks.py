"""Whether arguments, model and texts fit each other, said before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from optuna_nas.objectives.devices import usable_device

if TYPE_CHECKING:
    from optuna_nas.objectives.layer_drop_bert.fine_tuning import Recipe
    from optuna_nas.objectives.layer_drop_bert.pretrained import Pretrained
    from optuna_nas.objectives.layer_drop_bert.tokens import TokenData


def trainable_device(device: str | torch.device | None) -> torch.device:
    """Return a device that transformers' Trainer can be told to use.

    Raises:
        ValueError: There is no such device, or it is not the first GPU.
    """
    found = usable_device(device)
    if found.type == "cuda" and found.index not in (None, 0):
        raise ValueError(
            f"`device` is {device!r}; transformers' Trainer takes the first GPU it sees: choose "
            "one with the environment variable CUDA_VISIBLE_DEVICES."
        )
    return found


def check_length(max_length: int, pretrained: Pretrained) -> None:
    """Make sure that the model has places for so many tokens.

    Raises:
        ValueError: It has not.
    """
    limits = (
        getattr(pretrained.model.config, "max_position_embeddings", None),
        pretrained.tokenizer.model_max_length,
    )
    most = min(limit for limit in limits if limit is not None)
    if max_length > most:
        raise ValueError(
            f"`max_length` is {max_length}; {pretrained.name!r} takes up to {most} tokens."
        )


def check_steps(recipe: Recipe, tokens: TokenData) -> None:
    """Make sure that there is a step for each evaluation.

    Raises:
        ValueError: There is not.
    """
    steps = -(-len(tokens.train) // recipe.batch_size)
    if recipe.evaluations_per_epoch > steps:
        raise ValueError(
            f"`evaluations_per_epoch` is {recipe.evaluations_per_epoch}; allowed are up to "
            f"{steps}, the steps of an epoch of {len(tokens.train)} texts in batches of "
            f"{recipe.batch_size}."
        )


def check_tokens(tokens: TokenData, pretrained: Pretrained) -> None:
    """Send the longest texts through one layer, so that a wrong tokenizer shows at once.

    Raises:
        ValueError: The model cannot read them.
    """
    model = pretrained.thin([0])
    known = model.get_input_embeddings().num_embeddings
    for split in (tokens.train, tokens.validation, tokens.test):
        largest = max(max(row, default=0) for row in split.columns["input_ids"])
        try:
            if largest >= known:
                raise IndexError(f"token {largest}, of {known} that it knows")
            with torch.inference_mode():
                model(**tokens.longest_first(split, 1)[0])
        except (IndexError, RuntimeError, TypeError) as error:
            raise ValueError(
                f"`model` {pretrained.name!r} cannot read what its tokenizer writes (a text of "
                f"{split.lengths.max()} tokens): {error}."
            ) from error
