"""From a trained supernet to the architecture that a search gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from optuna_nas.methods.engine import Engine
    from optuna_nas.spaces import Architecture


class Selection(Protocol):
    """How the architecture is chosen in the end."""

    def __call__(self, search: Engine) -> Architecture:
        """Choose; called again with a search in the same state, it chooses the same."""


@dataclass(frozen=True)
class Strongest:
    """By the strengths of the operations and the published rule of the space."""

    def __call__(self, search: Engine) -> Architecture:
        """Derive it from the last strengths, or those that the search went back to."""
        return search.supernet.derive(search.strengths())
