"""A place for the files of searches, and one file there.

    files/<artifact id>                          what trials publish, and `optuna-dashboard` serves
    checkpoints/<study>/trial-<n>.safetensors    trainings that are under way, and what their
    checkpoints/<study>/trial-<n>.<part>.safetensors    finished parts have found
    weights/<study>/trial-<n>.safetensors        the best trials' final weights

`<study>` is the study's name made safe for any file system, with eight digits of its hash behind
it: names that differ only in what was replaced stay apart, and none leaves the place.

Whatever goes wrong with a file is an `OSError`, and one that is not there a `FileNotFoundError`,
wherever it lies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.artifacts.exceptions import ArtifactNotFound

from optuna_nas.artifacts.names import checked_path, folder_name

if TYPE_CHECKING:
    from optuna_nas._optuna import ArtifactStore

__all__ = ["ArtifactPlace", "StoredFile", "artifact_path"]


def artifact_path(artifact_id: str) -> list[str]:
    """Split an artifact's id, which a storage has said, into the names of a path.

    Raises:
        ArtifactNotFound: It leads elsewhere, so there is no artifact of that id.
    """
    try:
        return checked_path(artifact_id)
    except ValueError as error:
        raise ArtifactNotFound(str(error)) from None


class StoredFile(ABC):
    """One file in a place, which need not be there yet; as text, its address."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether it is there."""

    @abstractmethod
    def write(self, content: bytes) -> None:
        """Put `content` there, whole or not at all; what was there before is replaced."""

    @abstractmethod
    def local(self) -> AbstractContextManager[Path]:
        """A file of this machine with the same content, to be read while the context is open."""

    @abstractmethod
    def remove(self) -> None:
        """Delete it, if it is there."""

    @abstractmethod
    def move_aside(self) -> None:
        """Put it where nobody looks for it: `.corrupt` is added to its name."""

    @abstractmethod
    def lock(self) -> AbstractContextManager[object]:
        """Let one process at a time go on: of all that see a folder, of one machine elsewhere."""


class ArtifactPlace(ABC):
    """A place for files that all workers of a study share."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is: what :func:`open_artifacts` takes."""

    @property
    @abstractmethod
    def store(self) -> ArtifactStore:
        """The published files, as an Optuna artifact store."""

    @abstractmethod
    def file(self, name: str) -> StoredFile:
        """The file of a name with slashes."""

    @abstractmethod
    def workspace(self) -> AbstractContextManager[Path]:
        """A temporary folder of this machine for what is about to be published."""

    def make(self) -> None:  # noqa: B027
        """Make what has to be there before something is published; in most places nothing."""

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder of slashes; none where they cannot be listed."""
        return []

    def sweep(self) -> None:  # noqa: B027
        """Remove the workspaces of processes of this machine that were killed."""

    @abstractmethod
    def check(self) -> None:
        """Find out whether files can be kept here, without leaving one.

        Raises:
            ValueError: They cannot; the message says why.
        """

    def checkpoint(self, study_name: str, number: int, part: str = "") -> StoredFile:
        """The checkpoint of the trial that was first started as `number`, or a part of it."""
        return self.file(f"checkpoints/{folder_name(study_name)}/{_trial_file(number, part)}")

    def weights(self, study_name: str, number: int) -> StoredFile:
        """The final weights of trial `number`."""
        return self.file(f"weights/{folder_name(study_name)}/{_trial_file(number)}")


def _trial_file(number: int, part: str = "") -> str:
    if type(number) is not int or number < 0:
        raise ValueError(f"{number!r} is no number of a trial.")
    named = f".{part.replace(' ', '-')}" if part else ""
    return f"trial-{number}{named}.safetensors"
