"""DARTS as one trial: the short form of `OneShotSearch` with the method `darts`.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055.

*Departures*: see `methods.darts` and `one_shot`. The paper searches four times and picks by a
short training: here that is four trials, and a study of `CellCNN`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna_nas.methods import Relaxation
from optuna_nas.methods.darts import DARTS
from optuna_nas.objectives.one_shot import OneShotSearch

if TYPE_CHECKING:
    from optuna_nas.data import ImageData
    from optuna_nas.spaces import SearchSpace


class Darts(OneShotSearch):
    """Search an architecture by gradient descent, in one trial; see `one_shot` for what it does.

    Args:
        space: The search space; it must have a supernet.
        data: The images, or a source for :func:`optuna_nas.data.load_images`.
        relaxation: How parameters become weights of operations; None for `Softmax()`.
        **options: `preset` and the options of `OneShotSearch`, and those of DARTS:
            `methods.darts.DARTS.options`.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> space = nas.spaces.NASBench201Space()
        >>> search = nas.objectives.Darts(space, "digits", epochs=5, channels=8, cells=1)
        >>> study = optuna.create_study(direction="maximize")
        >>> study.optimize(search, n_trials=4)  # doctest: +SKIP
    """

    def __init__(
        self,
        space: SearchSpace,
        data: ImageData | str | Path,
        *,
        relaxation: Relaxation | None = None,
        **options: Any,
    ) -> None:
        method = DARTS if relaxation is None else replace(DARTS, relaxation=relaxation)
        super().__init__(space, data, method=method, **options)
