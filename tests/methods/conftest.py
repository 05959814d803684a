from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def same_weights_each_time() -> None:
    """Networks are initialised from torch's default generator where a test gives no other."""
    torch.manual_seed(0)
