"""Fixtures for the samplers: small ones of each kind, and small searches."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from optuna_nas.samplers import ArchitectureSampler
from optuna_nas.samplers._company import Company
from optuna_nas.spaces import Architecture, NASBench201Space, SearchSpace

small_search = importlib.import_module("small_search")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever others have under way is company, whether it shows signs of life or not."""

    def look(_: Company, others: Iterable[FrozenTrial]) -> int:
        return sum(trial.state == TrialState.RUNNING for trial in others)

    monkeypatch.setattr(Company, "look", look)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture
def space() -> SearchSpace:
    return NASBench201Space()


@pytest.fixture(params=small_search.SAMPLERS.items(), ids=list(small_search.SAMPLERS))
def named(request: pytest.FixtureRequest) -> tuple[str, Callable[..., ArchitectureSampler]]:
    """Each sampler by the name it has in `small_search`."""
    item: tuple[str, Callable[..., ArchitectureSampler]] = request.param
    return item


@pytest.fixture
def make(
    named: tuple[str, Callable[..., ArchitectureSampler]],
) -> Callable[..., ArchitectureSampler]:
    """A factory of a small sampler with seed 0; keyword arguments replace its own."""
    return named[1]


@pytest.fixture
def search() -> Callable[..., optuna.Study]:
    function: Callable[..., optuna.Study] = small_search.search
    return function


@pytest.fixture
def proposals() -> Callable[[optuna.Study, SearchSpace], list[str]]:
    function: Callable[[optuna.Study, SearchSpace], list[str]] = small_search.proposals
    return function


@pytest.fixture
def keys() -> Callable[[optuna.Study, SearchSpace], list[str]]:
    function: Callable[[optuna.Study, SearchSpace], list[str]] = small_search.keys
    return function


@pytest.fixture
def error() -> Callable[[Architecture], float]:
    function: Callable[[Architecture], float] = small_search.error
    return function


@pytest.fixture
def open_storage() -> Callable[[str, Path], BaseStorage]:
    """A storage in a file, `sqlite` or `journal`."""

    def build(kind: str, path: Path) -> BaseStorage:
        storage: BaseStorage = small_search.STORAGES[kind](str(path))
        return storage

    return build


@pytest.fixture
def finished() -> Callable[..., FrozenTrial]:
    """A trial with an architecture, complete with a value unless told otherwise."""

    def build(
        architecture: Architecture,
        value: float | None = 0.0,
        state: TrialState = TrialState.COMPLETE,
        **options: Any,
    ) -> FrozenTrial:
        return create_trial(
            state=state,
            value=value if state == TrialState.COMPLETE else None,
            params=architecture.params,
            distributions=architecture.space.distributions,
            **options,
        )

    return build


@pytest.fixture
def propose() -> Callable[..., dict[str, Any]]:
    """What a sampler proposes for the next trial, which stays as it is: running, no values."""

    def ask(
        sampler: ArchitectureSampler, study: optuna.Study, space: SearchSpace
    ) -> dict[str, Any]:
        trial_id = study._storage.create_new_trial(study._study_id)
        trial = study._storage.get_trial(trial_id)
        return sampler.sample_relative(study, trial, space.distributions)

    return ask
