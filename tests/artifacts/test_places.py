"""Folders and buckets keep files alike."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from optuna_nas.artifacts import ArtifactBucket, ArtifactFolder, ArtifactPlace, open_artifacts


@pytest.fixture(params=["folder", "bucket", "prefix"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactPlace:
    if request.param == "folder":
        return open_artifacts(tmp_path / "files")
    address = request.getfixturevalue("bucket")
    return open_artifacts(address if request.param == "bucket" else f"{address}/some/where/")


def test_a_file(place: ArtifactPlace) -> None:
    file = place.checkpoint("a study", 3)
    assert not file.exists()
    with pytest.raises(FileNotFoundError), file.local() as path:
        path.read_bytes()
    file.remove()
    file.write(b"one")
    file.write(b"two")
    assert file.exists()
    assert not place.checkpoint("a study", 4).exists()
    assert not place.weights("a study", 3).exists()
    with file.local() as path:
        assert path.read_bytes() == b"two"
        assert path.name == "trial-3.safetensors"
    file.move_aside()
    assert not file.exists()
    study = place.checkpoint("a study", 0)
    assert str(file).startswith(str(study).removesuffix("trial-0.safetensors"))
    with place.file("x/y.safetensors").lock():
        file.write(b"three")
    file.remove()
    assert not file.exists()


def test_what_is_moved_aside_is_still_there(place: ArtifactPlace) -> None:
    place.file("a/b.txt").write(b"damaged")
    place.file("a/b.txt").move_aside()
    with place.file("a/b.txt.corrupt").local() as path:
        assert path.read_bytes() == b"damaged"


def test_published_files(place: ArtifactPlace) -> None:
    with place.workspace() as folder:
        assert folder.is_dir()
    assert not folder.exists()
    place.store.write("an-id", io.BytesIO(b"picture"))
    with place.store.open_reader("an-id") as file:
        assert file.read() == b"picture"
    with place.file("files/an-id").local() as path:
        assert path.read_bytes() == b"picture"
    place.store.remove("an-id")
    with pytest.raises(ArtifactNotFound):
        place.store.open_reader("an-id")


def test_checking_leaves_nothing(place: ArtifactPlace, bucket: str, tmp_path: Path) -> None:
    import boto3

    place.check()
    assert list(tmp_path.iterdir()) == []
    assert boto3.client("s3").list_objects_v2(Bucket=bucket.removeprefix("s3://"))["KeyCount"] == 0


def test_prefixes_are_apart(bucket: str) -> None:
    one, other, whole = (open_artifacts(bucket + end) for end in ("/one", "/one/two", "/"))
    one.file("a").write(b"1")
    other.file("a").write(b"2")
    assert (one.address, whole.address) == (f"{bucket}/one", bucket)
    for file in (one.file("two/a"), whole.file("one/two/a")):
        with file.local() as path:
            assert path.read_bytes() == b"2"


def test_any_of_optunas_stores(tmp_path: Path) -> None:
    (tmp_path / "mine" / "files").mkdir(parents=True)
    place = ArtifactBucket(FileSystemArtifactStore(tmp_path), "a disk", prefix="mine")
    assert open_artifacts(place) is place
    place.check()
    place.store.write("id", io.BytesIO(b"content"))
    assert (tmp_path / "mine" / "files" / "id").read_bytes() == b"content"


def test_a_place_where_nothing_can_be_kept(new_bucket: Callable[[], str], tmp_path: Path) -> None:
    new_bucket()
    with pytest.raises(ValueError, match="`artifacts` is 's3://no-such/a', where no file"):
        open_artifacts("s3://no-such/a").check()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file' is no folder"):
        open_artifacts(tmp_path / "file")
    with pytest.raises(ValueError, match="is no folder that can be written"):
        open_artifacts(tmp_path / "file" / "below").check()


def test_what_goes_wrong_is_an_os_error(new_bucket: Callable[[], str]) -> None:
    import boto3

    name = new_bucket()
    file = open_artifacts(f"s3://{name}").file("a")
    file.write(b"1")
    client = boto3.client("s3")
    client.delete_object(Bucket=name, Key="a")
    client.delete_bucket(Bucket=name)
    acts: list[Callable[[], object]] = [lambda: file.write(b"2"), file.remove, file.move_aside]
    for act in acts:
        with pytest.raises(OSError, match=r"NoSuchBucket|does not exist|There is no"):
            act()


def test_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    monkeypatch.setattr("optuna_nas.artifacts.opening._ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    file = open_artifacts(bucket).file("a")
    for act in (file.exists, file.remove, lambda: file.write(b"")):
        with pytest.raises(OSError, match="EndpointConnectionError"):
            act()


@pytest.mark.parametrize("address", ["gs://bucket/x", "s3://", "s3://me@bucket", "s3://b/?x=1"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ValueError, match=r"allowed are a folder and s3://bucket/prefix"):
        open_artifacts(address)


def test_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ValueError, match=r"which needs boto3: pip install 'optuna-nas\[s3\]'"):
        open_artifacts("s3://bucket")


def test_a_folder_is_not_made_before_it_is_needed(tmp_path: Path) -> None:
    place = open_artifacts(str(tmp_path / "a" / "b"))
    assert isinstance(place, ArtifactFolder)
    place.check()
    assert not place.weights("study", 0).exists()
    assert list(tmp_path.iterdir()) == []
