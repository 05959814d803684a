"""Workers are killed and the database is restarted, at a small size; `benchmarks/chaos.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import chaos
from benchmarks.postgres import PostgresServer


@pytest.mark.slow
def test_nothing_is_lost_when_workers_are_killed_and_the_database_restarts(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.database("studies")
    course = chaos.run(
        tmp_path,
        postgres,
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
