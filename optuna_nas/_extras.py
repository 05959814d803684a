"""Optional packages: what needs one that is not installed says how to install it."""

from __future__ import annotations

import importlib.util

from optuna_nas.errors import UserError

__all__ = ["MissingPackageError", "require"]


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
            f"{what} needs {' and '.join(missing)}: pip install 'optuna-nas[{extra}]'"
        )
