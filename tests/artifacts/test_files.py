"""Files that are there whole or not at all; what is no file stays what it is; nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from optuna_nas._locks import boot
from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.artifacts.atomic import is_stream, write_atomically, write_output
from optuna_nas.artifacts.temporary import sweep, temporary_folder, temporary_name
from optuna_nas.export.folder import write_folder

posix = pytest.mark.skipif(os.name != "posix", reason="devices and pipes are files there")


def test_the_file_of_a_link_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for target in (tmp_path / "far" / "there", tmp_path / "far" / "new"):
        link = tmp_path / f"link to {target.name}"
        link.symlink_to(target)
        (tmp_path / "far" / "there").write_bytes(b"before")
        write_output(link, b"content")
        assert link.is_symlink() and target.read_bytes() == b"content"
    assert sorted(p.name for p in (tmp_path / "far").iterdir()) == ["new", "there"]
    assert not is_stream(link) and not is_stream(tmp_path)


@posix
def test_devices_and_pipes_get_the_content(tmp_path: Path) -> None:
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    before = Path("/dev/null").stat().st_rdev
    for path in (Path("/dev/null"), null):
        write_output(path, b"content")
        assert is_stream(path)
    assert Path("/dev/null").stat().st_rdev == before and null.is_symlink()

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_output(pipe, b"x" * 300_000)
    reader.join()
    assert read == [b"x" * 300_000] and pipe.is_fifo()
    with pytest.raises(IsADirectoryError):
        write_output(tmp_path, b"")


@posix
@pytest.mark.parametrize("kind", ["pipe", "file", "appended"])
def test_stdout_gets_the_content(tmp_path: Path, kind: str) -> None:
    program = (
        "from pathlib import Path; from optuna_nas.artifacts.atomic import write_output; "
        "write_output(Path('/dev/stdout'), b'content'); print('more')"
    )
    file = tmp_path / "out"
    file.write_bytes(b"before ")
    with file.open("ab" if kind == "appended" else "wb") as out:
        ran = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE if kind == "pipe" else out
        )
    found = ran.stdout if kind == "pipe" else file.read_bytes()
    assert found == (b"before " if kind == "appended" else b"") + b"contentmore\n"
    assert Path("/dev/stdout").is_symlink()


KILLED: dict[str, Callable[[Path], object]] = {
    "file": lambda folder: write_atomically(folder / "report.html", b"x"),
    "folder": lambda folder: write_folder(folder / "export", {"a": b"x"}),
    "artifact": lambda folder: (w := ArtifactFolder(folder).workspace(), w.__enter__()),
}


def killed(kind: str, folder: Path) -> None:
    """Have a process killed when it has what it writes on the disk, under another name."""
    program = f"""
import os, pathlib, signal
from tests.artifacts.test_files import KILLED
def die(*ignored): os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.replace = pathlib.Path.rename = die
folder = pathlib.Path({str(folder)!r})
held = KILLED[{kind!r}](folder)
die()
"""
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2])


@pytest.mark.skipif(not boot(), reason="Only on Linux processes are known to be gone.")
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    for kind in KILLED:
        killed(kind, tmp_path)
    names = [path.name for path in tmp_path.iterdir()]
    assert len([name for name in names if name.endswith((".tmp", ".new"))]) == 3, names
    mine = tmp_path / temporary_name("report.html")
    mine.write_bytes(b"being written")
    write_output(tmp_path / "report.html", b"y")
    write_folder(tmp_path / "export", {"a": b"y"})
    ArtifactFolder(tmp_path).sweep()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("files", "report.html", "export", mine.name)
    }


def test_an_export_that_was_put_aside_is_put_back(tmp_path: Path) -> None:
    name = temporary_name("export", "old")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    aside = tmp_path / name.replace(f"_{os.getpid()}_", f"_{gone.pid}_")
    aside.mkdir()
    (aside / "model.json").write_text("{}")
    if not boot():
        os.utime(aside, (0, 0))
    sweep(tmp_path, "other")
    assert aside.exists()
    sweep(tmp_path, "export")
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert (tmp_path / "export" / "model.json").read_text() == "{}"


def test_what_others_are_writing_stays_for_a_week(tmp_path: Path) -> None:
    other = tmp_path / ".a.0123abcd_17_99999_0a1b2c3d.tmp"
    theirs = tmp_path / ".a.swp.tmp"
    for path in (other, theirs):
        path.write_bytes(b"half")
    sweep(tmp_path)
    assert other.exists()
    for path in (other, theirs):
        os.utime(path, (time.time() - 8 * 86400,) * 2)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [theirs.name]


def test_a_temporary_folder_is_private_and_gone(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        (folder / "x").write_text("x")
        assert folder.parent == tmp_path
        assert os.name != "posix" or folder.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_user_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ArtifactFolder(tmp_path).file("warm-starts/a.safetensors")
    with file.lock():
        pass

    def refuse(lock: FileLock, *ignored: object) -> None:
        raise PermissionError(13, "Permission denied", lock.lock_file)

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with (
        pytest.raises(OSError, match=r"a\.safetensors\.lock' is another user's"),
        file.lock(),
    ):
        pass
