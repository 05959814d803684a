"""The description on an index page, made from README.md; all else is in pyproject.toml.

An index page has no files beside it. If the project has an address, links and pictures of the
README become absolute, and the page links the project; without one their texts stay, and pictures
are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

ADDRESS = ""
"""Where the repository is published, as `https://host/owner/optuna-nas`; empty until it is."""

_PICTURE = re.compile(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n*")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]*)\)")


def index_page(readme: str, address: str = ADDRESS) -> str:
    """Return the README as an index page shows it, without relative addresses."""
    if address:
        kinds = {"": "blob", "!": "raw"}
        return _LINK.sub(lambda m: f"{m[1]}[{m[2]}]({address}/{kinds[m[1]]}/main/{m[3]})", readme)
    return _LINK.sub(r"\2", _PICTURE.sub("", readme))


if __name__ == "__main__":
    setup(
        long_description=index_page(Path("README.md").read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
        project_urls={
            name: ADDRESS + path
            for name, path in {
                "Repository": "",
                "Documentation": "/tree/main/docs",
                "Changelog": "/blob/main/CHANGELOG.md",
                "Issues": "/issues",
            }.items()
            if ADDRESS
        },
    )
