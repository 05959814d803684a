"""What all objectives that train on images have in common: a space, and images on a device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from optuna_nas.data import ImageData, load_images
from optuna_nas.data.few import warn_of_few
from optuna_nas.objectives.options import ImageOptions
from optuna_nas.objectives.training import evaluate
from optuna_nas.objectives.training_objective import TrainingObjective
from optuna_nas.spaces import SearchSpace
from optuna_nas.tasks import Splits, image_classification


class Images:
    """A field that is given images, or where they are, and has images."""

    def __get__(self, objective: Any, kind: type | None = None) -> ImageData:
        if objective is None:
            raise AttributeError("data")  # so that the field has no default
        found: ImageData = vars(objective)["data"]
        return found

    def __set__(self, objective: Any, data: ImageData | str | Path) -> None:
        vars(objective)["data"] = data


@dataclass(eq=False, repr=False)
class ImageObjective(TrainingObjective, ImageOptions):
    """An objective that trains networks of a space on images.

    Args:
        space: The search space.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.

    Raises:
        TypeError: `space` is no search space, or has not what the objective needs.
        ValueError: An option is out of range, an operation of the space is not registered, the
            images are too small or too few, `device` cannot be used, or `artifacts` is a file.
    """

    space: SearchSpace
    data: Images = Images()

    def __post_init__(self) -> None:
        if not isinstance(self.space, SearchSpace):
            raise TypeError(
                f"`space` is {self.space!r}; allowed are search spaces such as NASBench201Space()."
            )
        super().__post_init__()
        if not isinstance(self.data, ImageData):
            self.data = load_images(self.data)
        warn_of_few(self.data)
        self.task = image_classification(
            self.data, flip=self.flip, crop_padding=self.crop_padding, cutout=self.cutout
        )

    def settings(self) -> dict[str, Any]:
        """What, besides what a trial suggests, decides its outcome; JSON values."""
        about = {"space": self.space.to_dict(), "data": self.data.describe()}
        return about | super().settings() | dict(self.task.settings)

    @property
    def _ends(self) -> dict[str, int]:
        """What networks are built for: what goes in, and what comes out."""
        return {"num_classes": self.task.outputs, "in_channels": self.task.input_shape[0]}

    @property
    def _example(self) -> torch.Tensor:
        """The inputs that networks are measured with: one image of zeros, where is trained."""
        return torch.zeros(1, *self.task.input_shape, device=self.device)

    def _generator(self) -> torch.Generator:
        """What draws initial weights where nobody says so."""
        return torch.Generator().manual_seed(self.seed)

    @cached_property
    def _on_device(self) -> Splits:
        return self.task.splits.to(self.device)

    def _validated(self, *networks: torch.nn.Module) -> float:
        """The mean score of networks on the validation images."""
        validation, score = self._on_device.validation, self.task.score
        scores = [evaluate(network, validation, score).value for network in networks]
        return sum(scores) / len(scores)
