"""Where data comes from: a bundled set, local files or folders, or the Hugging Face hub.

Every source is opened as a mapping of split name to `datasets.Dataset`, so that the code after
it reads one kind of table. In this order:

1. `"digits"`: scikit-learn's 1,797 handwritten digits, 8 x 8 pixels, always available offline.
2. A local path, if it exists: a `.parquet` or `.arrow` file, a folder written by
   `Dataset.save_to_disk`, a folder of such files, or a folder with one subfolder of images for
   each class (`local_files.py`).
3. A string of the form `name` or `owner/name`: a dataset of the Hugging Face hub, unless it is
   near a local name and so mistyped (`_hub.py`).

Parquet and hub datasets are kept by `datasets` in its own cache (`HF_HOME`, `HF_DATASETS_CACHE`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import PIL.Image

from optuna_nas._checks import user_path
from optuna_nas._hub import asking_hub, in_words, is_hub_id, near_local
from optuna_nas.data.local_files import open_path
from optuna_nas.data.split_names import TRAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIGITS = "digits"
_DIGITS_GREY_STEP = 15  # grey levels 0..16 become 0..240: exact in a byte, where 255 / 16 is not


def open_source(
    source: str | Path,
    *,
    config_name: str | None = None,
    open_local: Callable[[Path], dict[str, datasets.Dataset]] = open_path,
) -> dict[str, datasets.Dataset]:
    """Open a source of labelled examples.

    Args:
        source: `"digits"`, a local file or folder, or a hub id. A local path wins over a hub id;
            a local folder called `digits` is reached as `./digits` or as a `Path`.
        config_name: The configuration of a hub dataset that has several.
        open_local: Opens a local path.

    Returns:
        The source's splits by name, in the source's own order.

    Raises:
        TypeError: If `source` is neither a string nor a path.
        ValueError: If nothing can be read there; the message says what was tried.
    """
    if not isinstance(source, (str, Path)):
        raise TypeError(f"`source` must be a str or a Path, got {source!r}.")
    if source == DIGITS:
        return {TRAIN: _digits()}
    path = user_path(source)
    with _no_progress_bars():
        if str(source) and path.exists():
            return open_local(path)
        return _open_hub(source, path, config_name)


def _digits() -> datasets.Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * _DIGITS_GREY_STEP).astype("uint8")  # 1797 x 8 x 8
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=[str(name) for name in digits.target_names]),
        }
    )
    images = [PIL.Image.fromarray(image) for image in pixels]
    return datasets.Dataset.from_dict(
        {"image": images, "label": digits.target.tolist()}, features=features
    )


def _open_hub(
    source: str | Path, path: Path, config_name: str | None
) -> dict[str, datasets.Dataset]:
    missing = f"`source`={str(source)!r} is no local file or folder (looked for {path.absolute()})"
    if near := near_local(path, known=(DIGITS,)):
        raise ValueError(
            f"{missing}; did you mean {near!r}? A dataset of the Hugging Face hub is owner/name."
        )
    if not isinstance(source, str) or not is_hub_id(source):
        raise ValueError(f"{missing}, and it does not have the form of a hub id, owner/name.")
    if source.isidentifier() and importlib.util.find_spec(f"datasets.packaged_modules.{source}"):
        # `datasets` would read whatever lies in the working folder.
        raise ValueError(f"{missing}, and it names a file format, not a dataset of the hub.")
    with asking_hub("dataset", source) as unreachable:
        try:
            loaded = datasets.load_dataset(source, config_name, trust_remote_code=False)
        except Exception as error:
            reason = f"it cannot be reached ({unreachable})" if unreachable else in_words(error)
            raise ValueError(
                f"{missing}, and not to be had from the Hugging Face hub: {reason}."
            ) from error
    return dict(loaded)


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Hide the bars of `datasets`, unless they are off or an environment variable rules them."""
    if (
        datasets.are_progress_bars_disabled()
        or os.environ.get("HF_DATASETS_DISABLE_PROGRESS_BARS") is not None
    ):
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
