"""Workers and supervisors are killed and asked to stop, at the small size of `benchmarks`."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import chaos, kill_drill


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter")
@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_nothing_is_lost_wrong_or_left_over(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kill_drill.made(storage, tmp_path) as address:
        drill = kill_drill.Drill(tmp_path, storage, address, trainings=4)
        planned = [
            kill_drill.Strike(signal.SIGKILL, "tell"),
            kill_drill.Strike(signal.SIGINT, "batch"),
            kill_drill.Strike(signal.SIGKILL, "file"),
        ]
        drill.run(planned, patience=400)
        monkeypatch.chdir(tmp_path)
        findings = chaos.check(address)
    assert findings.clean, findings
    assert 4 <= findings.finished <= 5  # never more than the other worker's too many
    assert drill.left_over() == []
    assert (drill.course.code, drill.course.kills + drill.course.stops) == (0, 3)
    assert drill.course.orphan < 15 and drill.course.locked < 30  # on a machine with other work


def test_strikes_are_spread_evenly() -> None:
    planned = kill_drill.strikes(40, "sqlite", np.random.default_rng(0))
    numbers = Counter(strike.number for strike in planned)
    assert numbers == {signal.SIGKILL: 40, signal.SIGINT: 20, signal.SIGTERM: 20}
    places = Counter(strike.place for strike in planned)
    expected = dict.fromkeys(kill_drill.places("sqlite"), 8)
    assert places == {**expected, "worker": 20, "supervisor": 20}
