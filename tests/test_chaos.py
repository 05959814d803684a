"""Workers are killed and the database is restarted, at a small size; `benchmarks/chaos.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import chaos
from benchmarks.servers import KINDS, Server


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_when_workers_are_killed_and_the_database_restarts(
    kind: str,
    own_server: Callable[[str], Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = own_server(kind)
    address = server.database("studies")
    course = chaos.run(
        tmp_path,
        server,
        address,
        trainings=10,
        workers=2,
        restarts=1,
        interval=(2.0, 4.0),
        patience=240,
    )
    assert course.code == 0, course.output
    assert course.restarts == 1 and course.kills >= 1
    assert "Traceback" not in course.output and "s3cret" not in course.output
    monkeypatch.chdir(tmp_path)
    findings = chaos.check(address)
    assert findings.clean, findings
    assert 10 <= findings.finished <= 11  # never more than the other worker's too many
