"""The pretrained classifier whose layers are dropped, and its tokenizer, read once."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from optuna_nas._checks import user_path
from optuna_nas._hub import asking_hub, in_words, near_local
from optuna_nas.networks import check_thinnable, count_parameters, find_layer_stack, thin
from optuna_nas.networks.initial_weights import DrawnFrom
from optuna_nas.objectives.layer_drop_bert.isolation import isolated

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model with all its layers and a new head, and its tokenizer.

    Attributes:
        name: The folder or hub id it was read from.
        model: The model, on the CPU, in evaluation mode. It is never trained itself.
        tokenizer: Its tokenizer.
    """

    name: str
    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, model: str | Path, class_names: Sequence[str], seed: int) -> Pretrained:
        """Read a model and give it a head for these classes.

        Args:
            model: A folder that transformers can load, or a hub id.
            class_names: The classes by number.
            seed: Draws the weights of the head, where the saved model does not have them.

        Raises:
            ValueError: Nothing can be loaded from there, the tokenizer cannot pad, or the model
                has no stack of layers that can be dropped.
        """
        if not isinstance(model, (str, Path)) or not str(model):
            raise ValueError(f"`model` is {model!r}; allowed are a folder and a hub id.")
        local = user_path(model)
        here = local.exists()
        if not here and (near := near_local(local)):
            raise ValueError(
                f"`model` is {str(model)!r}, and there is no such folder; did you mean {near!r}? "
                "A model of the Hugging Face hub is owner/name."
            )
        place = str(local) if here else str(model)
        with (
            isolated(torch.device("cpu")),
            DrawnFrom(torch.Generator().manual_seed(seed)),
            nullcontext("") if here else asking_hub("model", place) as unreachable,
        ):
            try:
                tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
                loaded = AutoModelForSequenceClassification.from_pretrained(
                    place,
                    num_labels=len(class_names),
                    id2label=dict(enumerate(class_names)),
                    label2id={name: number for number, name in enumerate(class_names)},
                    ignore_mismatched_sizes=True,
                    use_safetensors=True,  # nothing is unpickled
                    trust_remote_code=False,  # and no code of the model's is run
                )
            except (OSError, ValueError, KeyError, ImportError) as error:
                reason = f"The hub cannot be reached ({unreachable})" if unreachable else ""
                raise ValueError(
                    f"`model` is {str(model)!r}, which transformers cannot load as a text "
                    f"classifier; allowed are a folder with a model and its tokenizer, and a hub "
                    f"id. {reason or in_words(error)}."
                ) from error
        if tokenizer.pad_token_id is None:
            raise ValueError(
                f"`model` is {str(model)!r}, whose tokenizer has no padding token; set one and "
                "save it with the model."
            )
        check_thinnable(loaded)
        return cls(str(model), loaded.float().eval(), tokenizer)

    @cached_property
    def num_layers(self) -> int:
        """The number of layers."""
        return len(self.model.get_submodule(find_layer_stack(self.model)))

    @cached_property
    def parameters(self) -> int:
        """The number of trainable parameters."""
        return count_parameters(self.model)

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any weight, the new head's too."""
        found = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            found.update(name.encode())
            found.update(tensor.detach().contiguous().cpu().numpy().tobytes())
        return found.hexdigest()[:16]

    def thin(self, kept: Sequence[int]) -> Any:
        """Copy the model with some of its layers (see :func:`optuna_nas.networks.thin`)."""
        return thin(self.model, kept)
