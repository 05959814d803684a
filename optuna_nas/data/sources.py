"""Where data comes from: a bundled set, local files or folders, or the Hugging Face hub.

Every source is opened as a mapping of split name to `datasets.Dataset`, so that the code after it reads
one kind of table. In this order:

1. `"digits"`: scikit-learn's 1,797 handwritten digits, 8 x 8 pixels, always available offline.
2. A local path, if it exists: a `.parquet` or `.arrow` file, a folder written by
   `Dataset.save_to_disk`, a folder of such files, or a folder with one subfolder of images per class.
3. A string of the form `name` or `owner/name`: a dataset of the Hugging Face hub.

Parquet and hub datasets are kept by `datasets` in its own cache (`HF_HOME`, `HF_DATASETS_CACHE`).
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import PIL.Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TRAIN, VALIDATION, TEST = "train", "validation", "test"

# How the names of hub splits and of split files begin, and what split folders are called.
_SPLIT_FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
_SPLIT_NAME = re.compile(
    r"(?P<train>train)|(?P<test>test)|(?P<validation>validation|(?:valid|val|dev)(?![a-z]))"
)
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_DIGITS_GREY_STEP = 15  # grey levels 0..16 become 0..240: exact in a byte, where 255 / 16 is not


def open_source(
    source: str | Path, *, config_name: str | None = None
) -> dict[str, datasets.Dataset]:
    """Open a source of labelled examples.

    Args:
        source: `"digits"`, a local file or folder, or a hub id. A local path wins over a hub id;
            a local folder called `digits` is reached as `./digits` or as a `Path`.
        config_name: The configuration of a hub dataset that has several.

    Returns:
        The source's splits by name, in the source's own order.

    Raises:
        TypeError: If `source` is neither a string nor a path.
        ValueError: If nothing can be read there; the message says what was tried.
    """
    if not isinstance(source, (str, Path)):
        raise TypeError(f"source must be a str or a Path, got {source!r}.")
    if source == "digits":
        return {TRAIN: _digits()}
    path = Path(source).expanduser()
    with _no_progress_bars():
        if str(source) and path.exists():
            return _open_path(path)
        return _open_hub(source, path, config_name)


def split_role(name: str) -> str | None:
    """Return "train", "validation" or "test" by what a split's name starts with, or None."""
    match = _SPLIT_NAME.match(name.lower())
    return match.lastgroup if match else None


def choose_splits(
    splits: Mapping[str, datasets.Dataset],
    *,
    source: str | Path,
    train_split: str | None = None,
    test_split: str | None = None,
) -> tuple[str, str | None]:
    """Choose which of a source's splits to train on and which to test on.

    The training split is the one named like "train", or the only one there is. The test split is the
    one named like "test", else the one named like "validation", else none.

    Args:
        splits: The splits of the source.
        source: The source, for error messages.
        train_split: The name of the training split, instead of the rule.
        test_split: The name of the test split, instead of the rule.

    Returns:
        The names of the training split and of the test split; the latter is None if there is none.

    Raises:
        ValueError: If a named split is not there, or if the rule finds none or several.
    """
    for argument, name in (("train_split", train_split), ("test_split", test_split)):
        if name is not None and name not in splits:
            raise ValueError(f"{argument}={name!r} is not a split of {source}: {list(splits)}.")
    by_role: dict[str | None, list[str]] = defaultdict(list)
    for name in splits:
        by_role[split_role(name)].append(name)
    if train_split is None:
        candidates = by_role[TRAIN] or (by_role[None] if len(splits) == 1 else [])
        if len(candidates) != 1:
            raise ValueError(
                f"Cannot tell which split of {source} to train on; name it with train_split, "
                f"one of {list(splits)}."
            )
        train_split = candidates[0]
    if test_split is None:
        candidates = [name for name in by_role[TEST] or by_role[VALIDATION] if name != train_split]
        if len(candidates) > 1:
            raise ValueError(
                f"Cannot tell which split of {source} to test on; name it with test_split, "
                f"one of {candidates}."
            )
        test_split = candidates[0] if candidates else None
    if test_split == train_split:
        raise ValueError(f"train_split and test_split are both {train_split!r}; they must differ.")
    return train_split, test_split


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


def _open_path(path: Path) -> dict[str, datasets.Dataset]:
    if path.is_file():
        if path.suffix not in _TABLE_BUILDERS:
            raise ValueError(f"{path} is not one of the files that can be read: .parquet, .arrow.")
        return _open_tables(path.parent, [path])
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        saved = _reading(path, lambda: datasets.load_from_disk(str(path)))
        return dict(saved) if isinstance(saved, datasets.DatasetDict) else {TRAIN: saved}
    tables = sorted(file for file in path.rglob("*") if file.suffix in _TABLE_BUILDERS)
    return _open_tables(path, tables) if tables else _open_image_folder(path)


_TABLE_BUILDERS = {".parquet": "parquet", ".arrow": "arrow"}


def _open_tables(folder: Path, files: list[Path]) -> dict[str, datasets.Dataset]:
    parents = {str(file.parent) for file in files}
    suffixes = {file.suffix for file in files}
    if len(parents) > 1 or len(suffixes) > 1:
        raise ValueError(
            f"{folder} holds several datasets, or one in two formats: {sorted(suffixes)} files in "
            f"{sorted(parents)}. Name one folder or file."
        )
    data_files: dict[str, list[str]] = defaultdict(list)
    roles = {str(file): split_role(file.stem) for file in files}
    for file, split in _all_or_none(roles, folder).items():
        data_files[split].append(
            glob.escape(str(Path(file).absolute()))
        )  # `datasets` globs each name
    builder = _TABLE_BUILDERS[suffixes.pop()]
    return dict(_reading(folder, lambda: datasets.load_dataset(builder, data_files=data_files)))


def _all_or_none(roles: dict[str, str | None], folder: Path) -> dict[str, str]:
    """Check that all names or none are names of splits; if none, everything is for training."""
    other = [name for name, role in roles.items() if role is None]
    if other and len(other) < len(roles):
        raise ValueError(
            f"{folder} mixes names of splits (train, validation, test) with others, "
            f"{sorted(other)[:10]}. Rename these, or move all into one folder called train."
        )
    return {name: role or TRAIN for name, role in roles.items()}


def _open_image_folder(root: Path) -> dict[str, datasets.Dataset]:
    roles = {str(folder): _SPLIT_FOLDERS.get(folder.name.lower()) for folder in _subfolders(root)}
    split_folders = _all_or_none(roles, root)
    if not any(roles.values()):
        split_folders = {str(root): TRAIN}
    files: dict[str, list[tuple[str, str]]] = defaultdict(list)  # split: (file, class)
    for split_folder, split in split_folders.items():
        stray = [file.name for file in Path(split_folder).iterdir() if _is_image(file)]
        classes = _subfolders(Path(split_folder))
        if stray or not classes:
            raise ValueError(
                f"{split_folder} must hold one subfolder of images for each class, or .parquet or "
                f".arrow files; it holds {len(classes)} folders and {len(stray)} images outside "
                f"of them{': ' + sorted(stray)[0] if stray else ''}."
            )
        for folder in classes:
            images = sorted(str(file) for file in folder.rglob("*") if _is_image(file))
            if not images:
                raise ValueError(f"The class folder {folder} holds no images.")
            files[split].extend((image, folder.name) for image in images)
    class_names = sorted({name for entries in files.values() for _, name in entries})
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=class_names)}
    )
    return {
        split: datasets.Dataset.from_dict(
            {"image": [file for file, _ in entries], "label": [name for _, name in entries]},
            features=features,
        )
        for split, entries in files.items()
    }


def _subfolders(folder: Path) -> list[Path]:
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith((".", "__")))
    return sorted(entry for entry in entries if entry.is_dir())


def _is_image(file: Path) -> bool:
    readable = PIL.Image.registered_extensions().get(file.suffix.lower()) in PIL.Image.OPEN
    return readable and not file.name.startswith(".") and file.is_file()


def _open_hub(
    source: str | Path, path: Path, config_name: str | None
) -> dict[str, datasets.Dataset]:
    missing = f"source={str(source)!r} is no local file or folder (looked for {path.absolute()})"
    if not isinstance(source, str) or not _HUB_ID.fullmatch(source):
        raise ValueError(f"{missing}, and it does not have the form of a hub id, owner/name.")
    if source.isidentifier() and importlib.util.find_spec(f"datasets.packaged_modules.{source}"):
        # `datasets` would read whatever lies in the working folder.
        raise ValueError(f"{missing}, and it names a file format, not a dataset of the hub.")
    try:
        loaded = datasets.load_dataset(source, config_name)
    except Exception as error:
        raise ValueError(
            f"{missing}, and it could not be loaded from the Hugging Face hub either: "
            f"{type(error).__name__}: {error}"
        ) from error
    return dict(loaded)


def _reading(path: Path, read: Callable[[], datasets.DatasetDict]) -> datasets.DatasetDict:
    try:
        return read()
    except Exception as error:
        cause = error.__cause__ or error  # `datasets` wraps what went wrong
        raise ValueError(f"Cannot read {path}: {type(cause).__name__}: {cause}") from error


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Hide the bars of `datasets`, unless they are off already or an environment variable rules."""
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
