"""What is published: the archive has all of the project, and its page no dead links."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PARTS = ("benchmarks", "docs", "examples", "objectives", "optuna_nas", "samplers", "tests")
LEFT_OUT = ("__pycache__", "*.pyc", "*.egg-info", ".*_cache", ".venv", ".git", "runs", "*.db")


@pytest.fixture(scope="module")
def index_page() -> Callable[..., str]:
    pytest.importorskip("setuptools")
    page: Callable[..., str] = runpy.run_path(str(ROOT / "setup.py"))["index_page"]
    return page


def addresses(text: str) -> set[str]:
    return set(re.findall(r"\]\(([^)]*)\)", text))


def test_an_index_page_has_no_relative_addresses(index_page: Callable[..., str]) -> None:
    assert any(not a.startswith("https:") for a in addresses(README))
    page = index_page(README, "")
    assert addresses(page) == {a for a in addresses(README) if a.startswith("https:")}
    assert "![" not in page
    for name in ("BANANAS", "Regularised evolution", "## Twenty lines"):
        assert name in page
    code = re.compile(r"```.*?```", re.DOTALL)
    assert code.findall(page) == code.findall(README)


def test_with_an_address_links_are_absolute(index_page: Callable[..., str]) -> None:
    page = index_page(README, "https://host/owner/optuna-nas")
    assert all(a.startswith("https://") for a in addresses(page))
    assert "](https://host/owner/optuna-nas/blob/main/docs/bananas.md)" in page
    assert "](https://host/owner/optuna-nas/raw/main/docs/images/report.png)" in page


def test_what_the_readme_links_is_there() -> None:
    for address in addresses(README):
        if not address.startswith("https:"):
            assert (ROOT / address.partition("#")[0]).exists(), address


@pytest.mark.slow
def test_the_archive_has_all_of_the_project(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    files = [path for part in PARTS for path in (copy / part).rglob("*") if path.is_file()]
    assert len(files) > 300
    missing = {str(path.relative_to(copy)) for path in files} - names
    assert not missing
    assert names >= {"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "constraints.txt"}
