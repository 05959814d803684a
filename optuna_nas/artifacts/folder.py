"""A folder of this machine, or one that several machines see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from optuna.artifacts.exceptions import ArtifactNotFound

from optuna_nas._checks import user_path
from optuna_nas.artifacts.atomic import write_atomically
from optuna_nas.artifacts.names import checked_path
from optuna_nas.artifacts.place import ArtifactPlace, StoredFile, artifact_path
from optuna_nas.artifacts.temporary import sweep, temporary_folder

__all__ = ["ArtifactFolder", "FolderStore", "LocalFile"]

_WORKSPACE = "publish"


@dataclass(frozen=True)
class LocalFile(StoredFile):
    """A file in a folder.

    Args:
        path: Where it is.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Whether it is there."""
        return self.path.exists()

    def write(self, content: bytes) -> None:
        """Put `content` there, through a temporary file beside it."""
        write_atomically(self.path, content)

    @contextmanager
    def local(self) -> Iterator[Path]:
        """The file itself."""
        yield self.path

    def remove(self) -> None:
        """Delete it, and what a worker left that was killed while writing it."""
        self.path.unlink(missing_ok=True)
        for leftover in self.path.parent.glob(f".{self.path.name}.*.tmp"):
            leftover.unlink(missing_ok=True)

    def move_aside(self) -> None:
        """Add `.corrupt` to its name."""
        self.path.replace(self.path.with_name(f"{self.path.name}.corrupt"))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process of all that see the folder go on."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{self.path}.lock", mode=0o666)  # users may share the folder
        try:
            lock.acquire()
        except PermissionError as error:
            raise OSError(
                f"The lock {lock.lock_file!r} is another user's, and not yours to take: have it "
                "made writable or removed, or use another folder."
            ) from error
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True)
class FolderStore:
    """The published files of a folder, each there whole or not at all.

    Args:
        place: The folder.
    """

    place: ArtifactFolder

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a file to read it."""
        try:
            return self._path(artifact_id).open("rb")
        except FileNotFoundError:
            raise ArtifactNotFound(f"There is no {artifact_id!r}.") from None

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Put a file there, or replace it."""
        write_atomically(self._path(artifact_id), content_body.read())

    def remove(self, artifact_id: str) -> None:
        """Delete a file."""
        try:
            self._path(artifact_id).unlink()
        except FileNotFoundError:
            raise ArtifactNotFound(f"There is no {artifact_id!r}.") from None

    def _path(self, artifact_id: str) -> Path:
        return self.place.files.joinpath(*artifact_path(artifact_id))


@dataclass(frozen=True)
class ArtifactFolder(ArtifactPlace):
    """A folder for artifacts, checkpoints and weights; nothing is made before it is needed.

    Args:
        path: The folder. Workers of one study share it.

    Raises:
        ValueError: If there is something at `path` that is not a folder.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", user_path(self.path).absolute())
        if self.path.exists() and not self.path.is_dir():
            raise self._refused(self.path)

    @property
    def address(self) -> str:
        """The folder's path."""
        return str(self.path)

    @property
    def files(self) -> Path:
        """Where published files lie: pass it to `optuna-dashboard --artifact-dir`."""
        return self.path / "files"

    @property
    def store(self) -> FolderStore:
        """The published files as an Optuna artifact store."""
        return FolderStore(self)

    def file(self, name: str) -> LocalFile:
        """The file of a name with slashes."""
        return LocalFile(self.path.joinpath(*checked_path(name)))

    def make(self) -> None:
        """Make the folder of published files."""
        self.files.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A temporary folder on the same disk, so that a full one is met here."""
        self.make()
        with temporary_folder(self.path, _WORKSPACE) as folder:
            yield folder

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder of slashes."""
        path = self.path.joinpath(*folder.split("/"))
        return sorted(file.name for file in path.iterdir()) if path.is_dir() else []

    def sweep(self) -> None:
        """Remove what processes of this machine left that were killed."""
        for folder in (self.path, self.files, *_folders(self.path)):
            sweep(folder)

    def check(self) -> None:
        """Find out whether it can be written, without making it.

        Raises:
            ValueError: Neither it nor what it would be made in can be written.
        """
        places = (self.path, *self.path.parents)
        there = next(path for path in places if path.exists() or path.is_symlink())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise self._refused(there)

    def _refused(self, there: Path) -> ValueError:
        return ValueError(
            f"`artifacts` is {_shown(self.path)!r}, but {_shown(there)!r} is no folder that can "
            "be written; allowed is a folder, also one that is still to be made."
        )


def _folders(place: Path) -> list[Path]:
    """The folders in which files are replaced."""
    return [*place.glob("checkpoints/*/"), *place.glob("weights/*/"), place / "warm-starts"]


def _shown(path: Path) -> str:
    """The path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
