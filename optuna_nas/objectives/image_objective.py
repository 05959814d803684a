"""What all objectives that train on images have in common: a space, and images on a device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna_nas.data import ImageData, load_images
from optuna_nas.data.few import warn_of_few
from optuna_nas.objectives.options import ImageOptions
from optuna_nas.objectives.space_objective import SpaceObjective
from optuna_nas.tasks import image_classification


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
class ImageObjective(SpaceObjective, ImageOptions):
    """An objective that trains networks of a space on images.

    Args:
        space: The search space.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.

    Raises:
        TypeError: `space` is no search space, or has not what the objective needs; or `data` is
            something else, such as a task.
        ValueError: An option is out of range, an operation of the space is not registered, the
            images are too small or too few, `device` cannot be used, or `artifacts` is a file.
    """

    data: Images = Images()  # a descriptor: it has no default

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.data, (ImageData, str, Path)):
            raise TypeError(
                f"`data` is a {type(self.data).__name__}; allowed are ImageData and a source of "
                f"images. A {type(self).__name__} learns classes of images; networks for other "
                "data and tasks are trained by TaskTraining."
            )
        if not isinstance(self.data, ImageData):
            self.data = load_images(self.data)
        warn_of_few(self.data)
        self.task = image_classification(
            self.data, flip=self.flip, crop_padding=self.crop_padding, cutout=self.cutout
        )
