"""The imports of the package: from a layer to layers below it, and in no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "optuna_nas"
LAYERS = (
    "cli",
    "objectives",
    "meta",
    "methods",
    "supernets",
    "measures",
    "export",
    "networks",
    "visualization",
    "compare",
    "samplers",
    "surrogates",
    "ensembles",
    "tasks",
    "data",
    "trials",
    "spaces",
    "storages",
    "artifacts",
)
"""The folders, from above; private modules beside them are below all."""
ABOVE = {"__main__.py": "the command", "relaxations.py": "the former name of two folders"}


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of the package that are imported when it runs, also inside of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            package, *below = node.module.split(".")
            if package == "optuna_nas":
                names = [alias.name for alias in node.names]
                yield from [".".join(below)] if below else names
                yield from (".".join([*below, name]) for name in names if below)
        yield from imported(node)


def module(name: str) -> Path | None:
    """The file of a dotted name below the package."""
    place = PACKAGE.joinpath(*name.split("."))
    found = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in found if file.is_file()), None)


FILES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")}


def test_every_folder_has_a_layer() -> None:
    folders = {file.relative_to(PACKAGE).parts[0] for file in FILES if file.parent != PACKAGE}
    assert folders == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_is_imported_from_above(layer: str) -> None:
    above = LAYERS[: LAYERS.index(layer)]
    found = [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file, tree in FILES.items()
        if file.relative_to(PACKAGE).parts[0] == layer
        for name in imported(tree)
        if name.split(".")[0] in above
    ]
    assert found == []


def test_private_modules_import_no_folder() -> None:
    found = [
        f"{file.name} imports {name}"
        for file, tree in FILES.items()
        if file.parent == PACKAGE and file.name not in ABOVE
        for name in imported(tree)
        if name.split(".")[0] in LAYERS
    ]
    assert found == []


def test_modules_are_in_no_circle() -> None:
    graph = {
        file: {
            other
            for name in imported(tree)
            if (other := module(name)) not in (None, file) and other.name != "__init__.py"
        }
        for file, tree in FILES.items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(str(file.relative_to(PACKAGE)) for file in error.args[1]))
