from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

from benchmarks.servers import Server
from tests.servers import SharedServers, start

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
def shared_servers() -> Iterator[SharedServers]:
    """The servers of all tests of this process."""
    with ExitStack() as stack:
        yield SharedServers(stack)


@pytest.fixture(scope="session")
def new_database(shared_servers: SharedServers) -> Callable[[], str]:
    """Make an empty PostgreSQL database and return its address, password and all."""
    return lambda: shared_servers.database("postgresql")


@pytest.fixture
def own_server() -> Iterator[Callable[[str], Server]]:
    """Start a server of the test's own, which it may stop."""
    with ExitStack() as stack:
        yield lambda kind: start(kind, stack)


@pytest.fixture
def postgres(own_server: Callable[[str], Server]) -> Server:
    """A PostgreSQL server of the test's own, which it may stop."""
    return own_server("postgresql")
