"""Names as paths: none leads elsewhere, and two names are never one file."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from optuna_nas.artifacts import ArtifactBucket, ArtifactFolder, ArtifactPlace
from optuna_nas.artifacts.names import checked_path, folder_name, safe_name

HARMLESS = re.compile(r"[A-Za-z0-9_ -][A-Za-z0-9._ -]{0,79}")

ALIKE = [
    *("\u732b", "\u72ac", "\u043f\u043e\u0438\u0441\u043a", "caf\u00e9", "cafe\u0301", "\udcff"),
    *("a/b", "a_b", "a\\b", "a:b", "a.b", "a.b.", "a.b ", "..", ".", "", "/", "_", " ", "-rf"),
    *("Cells", "cells", "CELLS", "con", "CON", "nul.txt", "com1", "x.con", "a\0b", "a\nb"),
    *("a" * 300, "a" * 301, "b" * 64, "b" * 65, "x.svg", "\u00e9.svg", "\u00e8.svg", "..svg"),
]


def test_no_two_names_are_one_file() -> None:
    names = [*ALIKE, *map(safe_name, ALIKE), safe_name(safe_name("a/b"))]
    distinct = set(names)
    for case in (safe_name, folder_name):
        assert len({case(name).lower() for name in distinct}) == len(distinct)
    kept = {safe_name(name, any_case=True) for name in distinct}
    assert len(kept) == len(distinct)


@pytest.mark.parametrize("name", ["cells", "nas-2", "my study", "v1.2", "_x", "curve 3.svg"])
def test_ordinary_names_stay(name: str) -> None:
    assert safe_name(name) == safe_name(name, any_case=True) == name


@hypothesis.given(st.text(max_size=200), st.booleans())
def test_every_name_is_harmless(name: str, any_case: bool) -> None:
    for safe in (safe_name(name, any_case=any_case), folder_name(name)):
        assert HARMLESS.fullmatch(safe) and not safe.endswith((".", " "))
        assert safe.split(".")[0].lower() not in ("con", "prn", "aux", "nul", "com1", "lpt9")
        assert checked_path(safe) == [safe]


def test_folders_of_older_versions_are_found() -> None:
    assert folder_name("digits") == "digits-cc6b6bad"
    assert folder_name("a/b.c") == "a_b_c-c0620514"


ELSEWHERE: list[Any] = [
    *("", ".", "..", "../x", "x/..", "x/../../y", "/etc/passwd", "x//y", "x/", "a\\b", "C:x"),
    *("a\0", "a\n", "~", "caf\u00e9", "con", "aux.svg", "x.", 3, None, True, ["x"], {"a": 1}),
]


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactPlace:
    if request.param == "folder":
        return ArtifactFolder(tmp_path / "files")
    (tmp_path / "files" / "mine" / "files").mkdir(parents=True)
    return ArtifactBucket(FileSystemArtifactStore(tmp_path / "files"), "a disk", prefix="mine")


@pytest.mark.parametrize("name", ELSEWHERE, ids=repr)
def test_nothing_leads_out_of_a_place(place: ArtifactPlace, name: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    with pytest.raises(ValueError, match="is no name of a file"):
        place.file(name)
    for operation in (place.store.open_reader, place.store.remove):
        with pytest.raises(ArtifactNotFound):
            operation(name)
    with pytest.raises(ArtifactNotFound):
        place.store.write(name, io.BytesIO(b"theirs"))
    assert secret.read_text() == "mine"


@pytest.mark.parametrize("number", [-1, "0", "../../x", True, 1.0, None])
def test_only_numbers_of_trials_name_their_files(place: ArtifactPlace, number: Any) -> None:
    for file in (place.checkpoint, place.weights):
        with pytest.raises(ValueError, match="is no number of a trial"):
            file("s", number)
