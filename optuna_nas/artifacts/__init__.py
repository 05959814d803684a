"""Where a search keeps its files: what trials publish, their checkpoints, the best weights."""

from __future__ import annotations

from optuna_nas.artifacts.bucket import ArtifactBucket
from optuna_nas.artifacts.folder import ArtifactFolder
from optuna_nas.artifacts.opening import open_artifacts
from optuna_nas.artifacts.place import ArtifactPlace, StoredFile

__all__ = ["ArtifactBucket", "ArtifactFolder", "ArtifactPlace", "StoredFile", "open_artifacts"]
