"""An object store, such as a bucket of S3, through any of Optuna's artifact stores.

Objects are whole or not there. What the client library raises (Optuna lets it through) becomes an
`OSError` here, so that a lost connection costs a checkpoint or a picture, not the training.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from optuna.artifacts.exceptions import ArtifactNotFound

from optuna_nas._locks import machine_lock
from optuna_nas.artifacts.names import checked_path
from optuna_nas.artifacts.place import ArtifactPlace, StoredFile, artifact_path
from optuna_nas.artifacts.temporary import temporary_folder

if TYPE_CHECKING:
    from optuna_nas._optuna import ArtifactStore

__all__ = ["ArtifactBucket", "ObjectFile"]


@dataclass(frozen=True)
class _Prefixed:
    """An artifact store whose ids all begin alike, and whose failures are `OSError`."""

    backend: ArtifactStore
    prefix: str

    def open_reader(self, artifact_id: str) -> BinaryIO:
        name = self._name(artifact_id)
        with _failures(name):
            return self.backend.open_reader(name)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        name = self._name(artifact_id)
        with _failures(name):
            self.backend.write(name, content_body)

    def remove(self, artifact_id: str) -> None:
        name = self._name(artifact_id)
        with _failures(name):
            self.backend.remove(name)

    def _name(self, artifact_id: str) -> str:
        return self.prefix + "/".join(artifact_path(artifact_id))


@dataclass(frozen=True)
class ObjectFile(StoredFile):
    """An object of a store.

    Args:
        store: The store.
        name: The object's id.
        address: The object's address, for messages.
    """

    store: ArtifactStore
    name: str
    address: str

    def __str__(self) -> str:
        return self.address

    def exists(self) -> bool:
        """Whether it is there."""
        try:
            self.store.open_reader(self.name).close()
        except ArtifactNotFound:
            return False
        return True

    def write(self, content: bytes) -> None:
        """Put `content` there."""
        self.store.write(self.name, io.BytesIO(content))

    @contextmanager
    def local(self) -> Iterator[Path]:
        """A copy in a temporary folder."""
        with temporary_folder() as folder:
            path = folder / Path(self.name).name
            try:
                body = self.store.open_reader(self.name)
            except ArtifactNotFound:
                raise FileNotFoundError(f"There is no {self.address}.") from None
            with _failures(self.name), closing(body), path.open("wb") as file:
                shutil.copyfileobj(body, file)
            yield path

    def remove(self) -> None:
        """Delete it, if it is there."""
        with suppress(ArtifactNotFound):
            self.store.remove(self.name)

    def move_aside(self) -> None:
        """Add `.corrupt` to its name."""
        with self.local() as path, path.open("rb") as file:
            self.store.write(f"{self.name}.corrupt", file)
        self.remove()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process of this machine go on."""
        digest = hashlib.sha256(self.address.encode()).hexdigest()[:16]
        with machine_lock(digest):
            yield


class ArtifactBucket(ArtifactPlace):
    """Artifacts, checkpoints and weights in an object store, which machines share without a disk.

    Args:
        store: Any of Optuna's artifact stores, such as `Boto3ArtifactStore` or `GCSArtifactStore`.
        address: What to call it in messages.
        prefix: What the ids of all objects begin with; a slash is added.

    Example:
        >>> from optuna.artifacts import FileSystemArtifactStore
        >>> place = ArtifactBucket(FileSystemArtifactStore("."), "a folder", prefix="digits")
        >>> str(place.checkpoint("study", 3))
        'a folder/digits/checkpoints/study-2f9dc7a0/trial-3.safetensors'
    """

    def __init__(self, store: ArtifactStore, address: str, *, prefix: str = "") -> None:
        self._backend = store
        self._bucket = address.rstrip("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @property
    def address(self) -> str:
        """The bucket's address and the prefix."""
        return f"{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def store(self) -> ArtifactStore:
        """The published files as an Optuna artifact store."""
        return _Prefixed(self._backend, f"{self._prefix}files/")

    def file(self, name: str) -> ObjectFile:
        """The object of a name with slashes."""
        checked_path(name)
        store = _Prefixed(self._backend, self._prefix)
        return ObjectFile(store, name, f"{self.address}/{name}")

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A temporary folder of this machine."""
        with temporary_folder() as folder:
            yield folder

    def check(self) -> None:
        """Write an object, read it and delete it.

        Raises:
            ValueError: One of these failed.
        """
        probe = self.file(f"probe-{uuid4().hex}")
        try:
            probe.write(b"optuna-nas")
            with probe.local() as path:
                path.read_bytes()
            probe.remove()
        except OSError as error:
            raise ValueError(
                f"`artifacts` is {self.address!r}, where no file can be kept: "
                f"{error.__cause__ or error}"
            ) from error


@contextmanager
def _failures(name: str) -> Iterator[None]:
    try:
        yield
    except (ArtifactNotFound, OSError):
        raise
    except Exception as error:  # botocore's and urllib3's have no base of their own in common
        raise OSError(f"{name}: {type(error).__name__}: {error}") from error
