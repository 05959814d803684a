from __future__ import annotations

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("optuna.testing.pytest_samplers")

# The same examples each time, however busy the machine is.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
