"""The error of bad input that is only noticed while something runs.

Arguments are checked in constructors, with `ValueError` and `TypeError`. Code that meets bad input
later, where a `ValueError` might as well be a bug, raises this one, and the command line shows it
as one line instead of a traceback.
"""

from __future__ import annotations

__all__ = ["UserError"]


class UserError(ValueError):
    """Something that whoever called can mend; the message says what, and what is allowed."""
