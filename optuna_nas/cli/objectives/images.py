"""The options of objectives that train on images, and the images made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna_nas.cli.objectives.recipe import Option, Options

if TYPE_CHECKING:
    from optuna_nas.data import ImageData

__all__ = ["IMAGE_OPTIONS", "describe_images", "make_images"]

IMAGE_OPTIONS = (
    Option(
        "data",
        str,
        "digits",
        "digits, a folder or file of images, or a dataset of the Hugging Face hub.",
    ),
    Option("image_column", str, None, "Column of the images."),
    Option("label_column", str, None, "Column of the labels."),
    Option("image_size", int, None, "Resize to this side."),
    Option("train_size", int, None, "Training examples to use."),
    Option("validation_size", int, None, "Validation examples to use."),
    Option("test_size", int, None, "Test examples to use."),
)


def make_images(options: Options, seed: int) -> ImageData:
    """Load the images.

    Raises:
        ValueError: They cannot be had as the options say.
    """
    from optuna_nas.data import load_images

    names = [option.name for option in IMAGE_OPTIONS if option.name != "data"]
    return load_images(options["data"], seed=seed, **{name: options[name] for name in names})


def describe_images(data: ImageData) -> str:
    """Say how many images there are, and of what kind."""
    about = data.describe()
    return (
        f"`{about['name']}`: {about['train']:,} training, {about['validation']:,} validation and "
        f"{about['test']:,} test images of {about['in_channels']} x "
        f"{' x '.join(map(str, about['image_size']))}, {about['num_classes']} classes"
    )
