"""Optional packages: what needs one that is not installed says how to install it.

The core (samplers, spaces, recorded benchmarks, storages) comes with optuna-nas itself, what
trains networks with the extra `train`, the command line and its reports with the extra `all`.
"""

from __future__ import annotations

import importlib.util

from optuna_nas.errors import UserError

__all__ = ["MissingPackageError", "require", "require_command_line", "require_training"]

_TRAIN = ("torch", "datasets", "PIL", "safetensors", "sklearn")
_CLI = ("typer", "rich", "plotly", "jinja2", "optuna_dashboard")


class MissingPackageError(UserError, ImportError):
    """A package is not installed; the message has the command that installs it."""


def require(what: str, extra: str, *packages: str) -> None:
    """Make sure that packages are installed, without importing them.

    Args:
        what: What needs them, as the subject of a sentence.
        extra: The extra of optuna-nas that has them.
        *packages: Their names in Python.

    Raises:
        MissingPackageError: One of them is not installed.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"{what} needs {', '.join(missing)}: pip install 'optuna-nas[{extra}]'"
        )


def require_training(what: str) -> None:
    """Make sure that what trains networks is installed."""
    require(what, "train", *_TRAIN)


def require_command_line(what: str) -> None:
    """Make sure that the command line, and what draws figures and reports, is installed."""
    require(what, "all", *_CLI)
