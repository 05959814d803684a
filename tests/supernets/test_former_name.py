from __future__ import annotations

import importlib

import pytest

from optuna_nas import methods, supernets
from optuna_nas.supernets.pointwise import PointwiseNorm


def test_code_that_knows_the_former_name_goes_on() -> None:
    with pytest.warns(FutureWarning, match=r"is now optuna_nas\.supernets"):
        former = importlib.import_module("optuna_nas.relaxations")
    assert former.build_supernet is supernets.build_supernet
    assert former.Softmax is methods.Softmax
    pointwise = importlib.import_module("optuna_nas.relaxations.pointwise")
    assert pointwise.PointwiseNorm is PointwiseNorm
    with pytest.raises(AttributeError, match="nothing"):
        _ = former.nothing
