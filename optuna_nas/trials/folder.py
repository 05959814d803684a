"""The folder of a search: what trials publish, their checkpoints and the best weights.

    <folder>/files/<artifact id>                        what `optuna-dashboard` serves
    <folder>/checkpoints/<study>/trial-<n>.safetensors   trainings that are under way
    <folder>/weights/<study>/trial-<n>.safetensors       the best trials' final weights

`<study>` is the study's name made safe for any file system, with eight digits of its hash behind
it: names that differ only in what was replaced stay apart, and none leaves the folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from optuna.artifacts import FileSystemArtifactStore

__all__ = ["ArtifactFolder", "folder_name", "safe_name"]


@dataclass(frozen=True)
class ArtifactFolder:
    """A folder for artifacts, checkpoints and weights; nothing is made before it is needed.

    Args:
        path: The folder. Workers of one study share it.

    Raises:
        ValueError: If there is something at `path` that is not a folder.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path).expanduser().absolute())
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"artifacts={str(self.path)!r} is not a folder.")

    @property
    def files(self) -> Path:
        """Where published files lie: pass it to `optuna-dashboard --artifact-dir`."""
        return self.path / "files"

    @property
    def store(self) -> FileSystemArtifactStore:
        """The published files as an Optuna artifact store."""
        return FileSystemArtifactStore(self.files)

    def checkpoint(self, study_name: str, number: int) -> Path:
        """The checkpoint of the trial that was first started as `number`."""
        return self.path / "checkpoints" / folder_name(study_name) / _trial_file(number)

    def weights(self, study_name: str, number: int) -> Path:
        """The final weights of trial `number`."""
        return self.path / "weights" / folder_name(study_name) / _trial_file(number)


def safe_name(name: str, *, length: int = 80) -> str:
    """Return `name` as one harmless file name of at most `length` ASCII characters."""
    stem, dot, suffix = re.sub(r"[^A-Za-z0-9._ -]+", "_", name).strip(". ").rpartition(".")
    if not dot or len(suffix) > 16:
        stem, suffix = stem + dot + suffix, ""
    ending = f".{suffix}" if suffix else ""
    return (stem[: length - len(ending)].rstrip(". ") or "_") + ending


def folder_name(study_name: str) -> str:
    """Return the folder name of a study: readable, harmless, and different for every study."""
    digest = hashlib.sha256(study_name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe_name(study_name.replace('.', '_'), length=64)}-{digest}"


def _trial_file(number: int) -> str:
    return f"trial-{number}.safetensors"
