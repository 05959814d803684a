from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import settings

from benchmarks.postgres import PostgresServer, missing

# Tests run in as many processes as there are cores, so each computes on one: threads that wait
# for each other made them ten times slower. Set before torch and BLAS are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A user's own database is no place for tests.
os.environ.pop("OPTUNA_NAS_STORAGE", None)

# No test needs a hub, and where there is none the hub's client tries again for a minute.
os.environ["HF_HUB_OFFLINE"] = "1"

# A shell that starts the tests in the background lets them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("optuna.testing.pytest_samplers")

# The same examples each time, however busy the machine is.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def _shared_postgres() -> Iterator[PostgresServer]:
    if reason := missing():
        pytest.skip(f"No PostgreSQL server: {reason}.")
    with PostgresServer(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def new_database(_shared_postgres: PostgresServer) -> Callable[[], str]:
    """Make an empty PostgreSQL database and return its address, password and all."""
    numbers = count()
    return lambda: _shared_postgres.database(f"studies_{next(numbers)}")


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own, which it may stop."""
    if reason := missing():
        pytest.skip(f"No PostgreSQL server: {reason}.")
    with PostgresServer(durable=False) as server:
        yield server
