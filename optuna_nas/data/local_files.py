"""Data in local files and folders.

A folder is one of these, looked for in this order:

1. What `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote.
2. `.parquet` or `.arrow` files (for text also `.csv`, `.tsv`, `.json` and `.jsonl`), in the folder
   itself, or else all in one folder below it. Files named `train*`, `test*` and `validation*` (or
   `val`, `valid`, `dev`) are splits, any number of files each; if no file has such a name, all of
   them are one split.
   Files in several folders are splits if the folders are named so.
3. For images, one subfolder of image files for each class, at the top or in folders named after
   splits.

Suffixes may be in any case. What programs and systems leave in folders is not looked at
(`entries.py`); other files that are not read are counted and named in the log.
"""

from __future__ import annotations

import glob
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import datasets

from optuna_nas.data.delimited import Columns, read_delimited, typed
from optuna_nas.data.entries import report_left_out, visible_files, visible_folders
from optuna_nas.data.image_files import IMAGE_FORMATS, is_image_file
from optuna_nas.data.json_files import read_json
from optuna_nas.data.split_names import TRAIN, all_or_none, folder_role, split_role

Loaded = TypeVar("Loaded")
Splits = dict[str, datasets.Dataset]
Readers = Mapping[str, Callable[[list[Path]], datasets.Dataset]]
"""By suffix, what reads the files of one split."""


def open_path(path: Path) -> Splits:
    """Open a local file or folder.

    Args:
        path: A `.parquet` or `.arrow` file, or a folder as described above.

    Returns:
        The splits by name.

    Raises:
        ValueError: If it is none of these, or cannot be read.
    """
    return _open_known(path, _BINARY) or _open_image_folder(path)


def open_text_path(path: Path, encoding: str | None = None) -> Splits:
    """Open a local file or folder of text.

    Args:
        path: A `.parquet`, `.arrow`, `.csv`, `.tsv`, `.json` or `.jsonl` file, or a folder as
            described above.
        encoding: How text files are encoded; by default as their byte order mark says, else
            UTF-8.

    Returns:
        The splits by name.

    Raises:
        ValueError: If it is none of these, or cannot be read.
    """
    delimited, json = partial(_delimited, encoding), partial(_json, encoding)
    readers: Readers = {
        **_BINARY,
        ".csv": delimited,
        ".tsv": delimited,
        ".json": json,
        ".jsonl": json,
    }
    splits = _open_known(path, readers)
    if splits is None:
        raise ValueError(f"{path} holds none of the files that can be read: {[*readers]}.")
    return splits


def _open_known(path: Path, readers: Readers) -> Splits | None:
    """Open a file, a saved dataset or a folder of tables; None if it is another folder."""
    if path.is_file():
        if path.suffix.lower() not in readers:
            raise ValueError(
                f"{path} is not one of the files that can be read: {', '.join(readers)}."
            )
        return _read_tables({TRAIN: [path]}, readers)
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        saved = _reading([path], lambda: datasets.load_from_disk(str(path)))
        return dict(saved) if isinstance(saved, datasets.DatasetDict) else {TRAIN: saved}
    files = visible_files(path)
    tables = [file for file in files if file.suffix.lower() in readers]
    tables = [file for file in tables if file.parent == path] or tables
    if not tables:
        return None
    report_left_out(path, files, tables, "table of the data")
    return _read_tables(_by_split(path, tables), readers)


def _by_split(folder: Path, files: list[Path]) -> dict[str, list[Path]]:
    parents = {file.parent for file in files}
    suffixes = {file.suffix.lower() for file in files}
    named = {parent: folder_role(parent.name) for parent in parents}
    if len(suffixes) > 1 or (len(parents) > 1 and None in named.values()):
        raise ValueError(
            f"{folder} holds several datasets, or one in two formats: {sorted(suffixes)} files in "
            f"{sorted(map(str, parents))}. Name one folder or file."
        )
    roles = {
        str(file): split_role(file.stem) if len(parents) == 1 else named[file.parent]
        for file in files
    }
    found: dict[str, list[Path]] = defaultdict(list)
    for name, split in all_or_none(roles, folder).items():
        found[split].append(Path(name))
    return found


def _read_tables(files: Mapping[str, list[Path]], readers: Readers) -> Splits:
    return {  # one by one: a test split for a competition lacks the labels
        split: readers[names[0].suffix.lower()](names) for split, names in files.items()
    }


def _load(kind: str, files: list[Path]) -> datasets.Dataset:
    # `datasets` takes every name for a glob pattern.
    names = [glob.escape(str(file.absolute())) for file in files]
    options = {"data_files": {TRAIN: names}, "trust_remote_code": False}
    return _reading(files, lambda: datasets.load_dataset(kind, **options)[TRAIN])


def _delimited(encoding: str | None, files: list[Path]) -> datasets.Dataset:
    whole: Columns = {}
    for file in files:
        table = read_delimited(file, encoding)
        whole = whole or {name: [] for name in table}
        if table.keys() != whole.keys():
            raise ValueError(f"{file} has the columns {[*table]}, another has {[*whole]}.")
        for name, fields in table.items():
            whole[name].extend(fields)
    return _table(files, {name: typed(fields) for name, fields in whole.items()})


def _json(encoding: str | None, files: list[Path]) -> datasets.Dataset:
    tables = [_table([file], read_json(file, encoding)) for file in files]
    return _reading(files, lambda: datasets.concatenate_datasets(tables))


def _table(files: list[Path], columns: Mapping[str, Any]) -> datasets.Dataset:
    return _reading(files, lambda: datasets.Dataset.from_dict(dict(columns)))


_BINARY: Readers = {".parquet": partial(_load, "parquet"), ".arrow": partial(_load, "arrow")}


def _open_image_folder(root: Path) -> Splits:
    roles = {str(folder): folder_role(folder.name) for folder in visible_folders(root)}
    split_folders = all_or_none(roles, root)
    if not any(roles.values()):
        split_folders = {str(root): TRAIN}
    files: dict[str, list[tuple[str, str]]] = defaultdict(list)  # split: (file, class)
    for split_folder, split in split_folders.items():
        files[split].extend(_labelled_images(Path(split_folder)))
    used = [Path(file) for entries in files.values() for file, _ in entries]
    report_left_out(root, visible_files(root), used, f"image of {', '.join(IMAGE_FORMATS)}")
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


def _labelled_images(folder: Path) -> list[tuple[str, str]]:
    """The images of one split, each with the name of its class."""
    stray = sorted(file.name for file in folder.iterdir() if file.is_file() and _is_image(file))
    classes = visible_folders(folder)
    if stray or not classes:
        raise ValueError(
            f"{folder} must hold one subfolder of images for each class, or .parquet or "
            f".arrow files; it holds {len(classes)} folders and {len(stray)} images outside "
            f"of them{': ' + stray[0] if stray else ''}."
        )
    found: list[tuple[str, str]] = []
    for name in classes:
        images = [str(file) for file in visible_files(name) if is_image_file(file)]
        if not images:
            raise ValueError(
                f"The class folder {name} holds no images of {', '.join(IMAGE_FORMATS)}. Fill or "
                "remove it."
            )
        found.extend((image, name.name) for image in images)
    return found


def _is_image(file: Path) -> bool:
    return is_image_file(file) and not file.name.startswith(".")


def _reading(files: list[Path], read: Callable[[], Loaded]) -> Loaded:
    try:
        return read()
    except Exception as error:
        cause = error.__cause__ or error  # `datasets` wraps what went wrong
        raise ValueError(
            f"Cannot read {' and '.join(map(str, files[:3]))} (is a file damaged, or a split "
            f"empty?): "
            f"{type(cause).__name__}: {cause}"
        ) from error
