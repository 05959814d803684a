"""Which errors are the user's to mend, and how those are shown.

What the user can mend is one line on stderr and exit code 2; a storage that fails is one line and
exit code 1; everything else is a bug and keeps its traceback, exit code 1.

An error is the user's if it is a :class:`~optuna_nas.errors.UserError`. Settings are checked where
they are used, by constructors that raise `ValueError` and by files that cannot be read; the code
that makes things from settings, and nothing else, runs within :func:`mendable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape

from optuna_nas.cli.terminal import SafeConsole
from optuna_nas.errors import UserError

__all__ = ["mendable", "show_error", "storage_failure"]

_CLIENTS = {"redis", "grpc"}

_LONGEST = 4000
"""Characters of an error: what a study says may be of any length."""


@contextmanager
def mendable(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of these kinds, those of checks and of files if none is named, into the user's.

    Raises:
        UserError: One of them was raised.
    """
    caught = kinds or (ValueError, OSError)
    try:
        yield
    except UserError:
        raise
    except caught as error:
        raise UserError(str(error)) from error


def show_error(text: str) -> None:
    """Write an error in one line, however wide the terminal."""
    SafeConsole(stderr=True).print(
        f"[bold red]Error:[/] {escape(text[:_LONGEST])}", highlight=False, soft_wrap=True
    )


def storage_failure(error: Exception) -> str | None:
    """Say how the storage failed; None if the error is another one."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    from optuna_nas.storages import without_passwords

    # The clients of Redis and of the proxy are only imported where they are used.
    packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if not isinstance(error, (StorageInternalError, SQLAlchemyError)) and not packages & _CLIENTS:
        return None
    # Optuna says that something failed, and the cause of its error what.
    reason = without_passwords(str(error.__cause__ or error)).strip().partition("\n")[0]
    return f"The storage failed: {reason}. The same command goes on where it stopped."
