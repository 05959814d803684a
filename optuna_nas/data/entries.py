"""The files of a folder that somebody has put there, without what programs leave behind."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import optuna

__all__ = ["report_left_out", "visible_files", "visible_folders"]

_HIDDEN = (".", "~$")  # .ipynb_checkpoints, ._x.parquet, .cache; open documents of offices
_HIDDEN_FOLDERS = ("__", "@eaDir", "$RECYCLE.BIN", "System Volume Information")  # __MACOSX
_OF_SYSTEMS = {"thumbs.db", "desktop.ini", "dataset_infos.json", "dataset_info.json"}
_NAMED = 3

_logger = optuna.logging.get_logger("optuna_nas")


def visible_files(folder: Path) -> list[Path]:
    """All files in a folder and below, sorted; nothing of a hidden folder.

    Raises:
        OSError: A folder may not be read.
    """
    found = []
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not _is_hidden_folder(name)]
        found += [Path(place, name) for name in names if not _is_hidden_file(name)]
    return sorted(found)


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted."""
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not _is_hidden_folder(entry.name)
    )


def report_left_out(
    folder: Path, found: Iterable[Path], used: Collection[Path], kind: str
) -> None:
    """Tell how many files of a folder are not read, and name some.

    Args:
        folder: The folder.
        found: Its files.
        used: Those that are read.
        kind: What the others are not.
    """
    left = sorted(str(file.relative_to(folder)) for file in set(found).difference(used))
    if left:
        names = ", ".join(left[:_NAMED]) + (", ..." if len(left) > _NAMED else "")
        _logger.warning(f"Left out of {folder}, as no {kind}: {len(left)} files ({names}).")


def _refuse(error: OSError) -> None:
    raise error


def _is_hidden_file(name: str) -> bool:
    return name.startswith(_HIDDEN) or name.lower() in _OF_SYSTEMS


def _is_hidden_folder(name: str) -> bool:
    return name.startswith((*_HIDDEN, *_HIDDEN_FOLDERS))
