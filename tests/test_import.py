"""What an import costs: a worker that only proposes starts without the heavy libraries."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import optuna_nas

HEAVY = ("torch", "transformers", "datasets", "plotly", "sklearn", "pandas", "matplotlib")


@pytest.mark.parametrize(
    "statement",
    [
        "import optuna_nas",
        "import optuna_nas; optuna_nas.BananasSampler; optuna_nas.RegularizedEvolutionSampler",
        "import optuna_nas; optuna_nas.BananasSampler(optuna_nas.spaces.NASBench201Space())",
        "import optuna_nas.surrogates, optuna_nas.samplers, optuna_nas.spaces",
        "import optuna_nas.ensembles",
    ],
)
def test_heavy_libraries_are_not_imported(statement: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {
        name.partition(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, flags=re.M)
    }
    assert "optuna_nas" in imported
    assert not imported & set(HEAVY)


@pytest.mark.parametrize("name", sorted({*optuna_nas.__all__}))
def test_public_names_exist(name: str) -> None:
    assert getattr(optuna_nas, name) is not None
    assert name in dir(optuna_nas)


def test_other_names_do_not() -> None:
    with pytest.raises(AttributeError, match="module 'optuna_nas' has no attribute 'Sampler'"):
        _ = optuna_nas.Sampler
