"""The methods by name: a new one is one file, and a line here."""

from __future__ import annotations

from optuna_nas.methods.darts import DARTS
from optuna_nas.methods.darts_pt import DARTS_PT
from optuna_nas.methods.enas import ENAS
from optuna_nas.methods.fair_darts import FAIR_DARTS
from optuna_nas.methods.fbnet import FBNET
from optuna_nas.methods.gdas import GDAS
from optuna_nas.methods.method import Method
from optuna_nas.methods.pc_darts import PC_DARTS
from optuna_nas.methods.proxyless import PROXYLESS, PROXYLESS_REINFORCE
from optuna_nas.methods.random_ws import RANDOM_WS
from optuna_nas.methods.robust_darts import ROBUST_DARTS, ROBUST_DARTS_ADAPTIVE
from optuna_nas.methods.smooth_darts import SMOOTH_DARTS, SMOOTH_DARTS_ADVERSARIAL
from optuna_nas.methods.snas import SNAS
from optuna_nas.methods.spos import SPOS
from optuna_nas.methods.squeezenas import SQUEEZENAS

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        *(DARTS, FAIR_DARTS, PC_DARTS, DARTS_PT),
        *(ROBUST_DARTS, ROBUST_DARTS_ADAPTIVE, SMOOTH_DARTS, SMOOTH_DARTS_ADVERSARIAL),
        *(SNAS, GDAS, PROXYLESS, PROXYLESS_REINFORCE, FBNET, SQUEEZENAS),
        *(RANDOM_WS, SPOS, ENAS),
    )
}
"""The methods by the names that `OneShotSearch` and the command line know."""
