"""Data in local files and folders.

A folder is one of these, looked for in this order:

1. What `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote.
2. `.parquet` or `.arrow` files (for text also `.csv`, `.tsv`, `.json` and `.jsonl`), in the folder
   itself, or else all in one folder below it. Files named `train*`, `test*` and `validation*` (or
   `val`, `valid`, `dev`) are splits, any number of files each; if no file has such a name, all of
   them are one split.
3. For images, one subfolder of image files for each class, at the top or in folders named after
   splits.
"""

from __future__ import annotations

import glob
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import datasets
import PIL.Image

from optuna_nas.data.split_names import TRAIN, all_or_none, folder_role, split_role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Loaded = TypeVar("Loaded")

_TABLES = {".parquet": "parquet", ".arrow": "arrow"}
_TEXT_TABLES = {**_TABLES, ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}
_OPTIONS = {".tsv": {"sep": "\t"}}


def open_path(path: Path) -> dict[str, datasets.Dataset]:
    """Open a local file or folder.

    Args:
        path: A `.parquet` or `.arrow` file, or a folder as described above.

    Returns:
        The splits by name.

    Raises:
        ValueError: If it is none of these, or cannot be read.
    """
    return _open_known(path, _TABLES) or _open_image_folder(path)


def open_text_path(path: Path) -> dict[str, datasets.Dataset]:
    """Open a local file or folder of text.

    Args:
        path: A `.parquet`, `.arrow`, `.csv`, `.tsv`, `.json` or `.jsonl` file, or a folder as
            described above.

    Returns:
        The splits by name.

    Raises:
        ValueError: If it is none of these, or cannot be read.
    """
    splits = _open_known(path, _TEXT_TABLES)
    if splits is None:
        raise ValueError(f"{path} holds none of the files that can be read: {[*_TEXT_TABLES]}.")
    return splits


def _open_known(path: Path, formats: Mapping[str, str]) -> dict[str, datasets.Dataset] | None:
    """Open a file, a saved dataset or a folder of tables; None if it is another folder."""
    if path.is_file():
        if path.suffix not in formats:
            raise ValueError(
                f"{path} is not one of the files that can be read: {', '.join(formats)}."
            )
        return _read_tables(path, {TRAIN: [path]})
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        saved = _reading(path, lambda: datasets.load_from_disk(str(path)))
        return dict(saved) if isinstance(saved, datasets.DatasetDict) else {TRAIN: saved}
    tables = _tables(path.iterdir(), formats) or _tables(path.rglob("*"), formats)
    return _open_tables(path, tables) if tables else None


def _tables(entries: Iterable[Path], formats: Mapping[str, str]) -> list[Path]:
    return sorted(entry for entry in entries if entry.suffix in formats)


def _open_tables(folder: Path, files: list[Path]) -> dict[str, datasets.Dataset]:
    parents = {str(file.parent) for file in files}
    suffixes = {file.suffix for file in files}
    if len(parents) > 1 or len(suffixes) > 1:
        raise ValueError(
            f"{folder} holds several datasets, or one in two formats: {sorted(suffixes)} files in "
            f"{sorted(parents)}. Name one folder or file."
        )
    roles = {str(file): split_role(file.stem) for file in files}
    split_files: dict[str, list[Path]] = defaultdict(list)
    for file, split in all_or_none(roles, folder).items():
        split_files[split].append(Path(file))
    return _read_tables(folder, split_files)


def _read_tables(path: Path, files: dict[str, list[Path]]) -> dict[str, datasets.Dataset]:
    [suffix] = {file.suffix for split in files.values() for file in split}
    options = _OPTIONS.get(suffix, {})
    patterns = {  # `datasets` takes every name for a glob pattern
        split: [glob.escape(str(file.absolute())) for file in names]
        for split, names in files.items()
    }
    return {  # one by one: a test split for a competition lacks the labels
        split: _reading(path, partial(_load_tables, suffix, split, names, options))
        for split, names in patterns.items()
    }


def _load_tables(
    suffix: str, split: str, names: list[str], options: Mapping[str, str]
) -> datasets.Dataset:
    loaded = datasets.load_dataset(_TEXT_TABLES[suffix], data_files={split: names}, **options)
    return loaded[split]


def _open_image_folder(root: Path) -> dict[str, datasets.Dataset]:
    roles = {str(folder): folder_role(folder.name) for folder in _subfolders(root)}
    split_folders = all_or_none(roles, root)
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


def _reading(path: Path, read: Callable[[], Loaded]) -> Loaded:
    try:
        return read()
    except Exception as error:
        cause = error.__cause__ or error  # `datasets` wraps what went wrong
        raise ValueError(
            f"Cannot read {path} (is a file damaged, or a split empty?): "
            f"{type(cause).__name__}: {cause}"
        ) from error
