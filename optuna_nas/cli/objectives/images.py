"""The options of objectives that train cells on images, and what is made from them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_nas.cli.named import made, named, unfit
from optuna_nas.cli.objectives.recipe import Option, Options
from optuna_nas.errors import UserError

if TYPE_CHECKING:
    from optuna_nas.data import ImageData
    from optuna_nas.spaces import SearchSpace

__all__ = [
    "IMAGE_OPTIONS",
    "SPACES",
    "describe_images",
    "image_command",
    "make_image_space",
    "make_images",
    "make_space",
    "space_option",
]

CHAINS = ("fbnet", "proxyless", "squeezenas")

SPACES = {
    "nasbench101": "optuna_nas.spaces:NASBench101Space",
    "nasbench201": "optuna_nas.spaces:NASBench201Space",
    "darts": "optuna_nas.spaces:DARTSSpace",
    "edge-nes": "optuna_nas.spaces:EdgeNESSpace",
    "nasnet": "optuna_nas.spaces:NASNetSpace",
    "hierarchical": "optuna_nas.spaces:HierarchicalSpace",
    **{f"nasbench1shot1-{n}": f"optuna_nas.spaces.nasbench1shot1:SPACE_{n}" for n in (1, 2, 3)},
    "chain": "optuna_nas.spaces:ChainSpace",
    **{name: f"optuna_nas.spaces.chain:{name.upper()}" for name in CHAINS},
    "genetic-cnn": "optuna_nas.spaces:GeneticCNNSpace",
}


_IMAGE_AXES = 3  # C H W


def space_option(default: str, known: Mapping[str, str] = SPACES) -> Option:
    """The option that names the space, with the default of an objective."""
    words = f"{', '.join(known)}, or module:object for your own."
    return Option("space", str, default, words, task=True, imports=True)


IMAGE_OPTIONS = tuple(
    Option(name, kind, default, words, task=True)
    for name, kind, default, words in (
        (
            "data",
            str,
            "digits",
            "digits, a folder or file of images, or a dataset of the Hugging Face hub.",
        ),
        ("image_column", str, None, "Column of the images."),
        ("label_column", str, None, "Column of the labels."),
        ("image_size", int, None, "Resize to this side."),
        ("train_size", int, None, "Training examples to use."),
        ("validation_size", int, None, "Validation examples to use."),
        ("test_size", int, None, "Test examples to use."),
    )
)


def make_images(options: Options, seed: int) -> ImageData:
    """Load the images.

    Raises:
        ValueError: They cannot be had as the options say.
    """
    from optuna_nas.data import load_images

    names = [option.name for option in IMAGE_OPTIONS if option.name != "data"]
    return load_images(options["data"], seed=seed, **{name: options[name] for name in names})


def make_image_space(options: Options) -> SearchSpace:
    """Make the space of cells.

    Raises:
        ValueError: The option `space` names none, or one without networks.
    """
    from optuna_nas.networks import input_axes

    space = make_space(options)
    if input_axes(space) != _IMAGE_AXES:
        raise UserError(
            f"`space` is {options['space']!r}, a {space.name}, which has no networks for images; "
            f"allowed are {sorted(SPACES)} and module:object with a space of cells."
        )
    return space


def make_space(options: Options, known: Mapping[str, str] = SPACES) -> SearchSpace:
    """Make the space that the option `space` names.

    Args:
        options: The options.
        known: The spaces that have a name.

    Raises:
        ValueError: It names none.
    """
    from optuna_nas.spaces import SearchSpace

    name = options["space"]
    found = named("space", name, known)
    space = made("space", name, found) if isinstance(found, type) else found
    if not isinstance(space, SearchSpace):
        raise unfit("space", name, space, "a SearchSpace")
    return space


def image_command(folder: Path) -> str:
    """The command that uses an exported network on images."""
    return f"{shlex.join(['python', str(folder / 'predict.py')])} IMAGE ..."


def describe_images(data: ImageData) -> str:
    """Say how many images there are, and of what kind."""
    about = data.describe()
    return (
        f"`{about['name']}`: {about['train']:,} training, {about['validation']:,} validation and "
        f"{about['test']:,} test images of {about['in_channels']} x "
        f"{' x '.join(map(str, about['image_size']))}, {about['num_classes']} classes"
    )
