"""A training that has diverged."""

from __future__ import annotations

__all__ = ["DivergedError"]


class DivergedError(RuntimeError):
    """The training loss, or what the network says, is not finite any more."""
