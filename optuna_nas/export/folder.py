"""A folder that appears complete or not at all: written under another name and renamed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from optuna_nas._checks import user_path
from optuna_nas.artifacts.atomic import sync_folder, write_atomically
from optuna_nas.artifacts.temporary import sweep, temporary_name

__all__ = ["check_folder", "write_folder"]


def check_folder(folder: str | Path, *, ours: Collection[str], overwrite: bool) -> Path:
    """Make sure that nothing but an earlier export would be replaced.

    Args:
        folder: The folder to write.
        ours: The names of the files of an export.
        overwrite: Whether an earlier export may be replaced.

    Returns:
        The folder, absolute.

    Raises:
        FileExistsError: There is something that stays.
    """
    target = user_path(folder).absolute()
    if not target.exists() and not target.is_symlink():
        return target
    if not overwrite:
        raise FileExistsError(
            f"`folder` {str(target)!r} exists; choose another, or `overwrite` it."
        )
    others = sorted(p.name for p in target.iterdir()) if target.is_dir() else [target.name]
    if target.is_dir() and not target.is_symlink():
        others = [name for name in others if name not in ours]
    if others:
        raise FileExistsError(
            f"`folder` {str(target)!r} is not an earlier export and stays as it is; there is "
            f"{others[:5]}."
        )
    return target


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Put a folder with these files at `target`, in place of an earlier one.

    Raises:
        OSError: It cannot be written; what was there is untouched.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent, target.name)
    new, old = (target.with_name(temporary_name(target.name, kind)) for kind in ("new", "old"))
    try:
        for name, content in files.items():
            write_atomically(new / name, content)
        if target.exists():
            target.rename(old)
        new.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
