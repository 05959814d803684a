"""The benchmark of databases at its smallest size, on made-up numbers and with threads."""

from __future__ import annotations

import csv
import json
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import databases
from benchmarks.servers import PostgreSQLServer
from optuna_nas.objectives.tabular import Metric, Table, TabularBenchmark
from optuna_nas.spaces import NAS_BENCH_201_OPERATIONS, Architecture, NASBench201Space


class MadeUp(TabularBenchmark):
    """All cells of NAS-Bench-201 with made-up accuracies."""

    def __init__(self) -> None:
        worth = np.random.default_rng(0).random((6, 5))
        digits = np.arange(5**6)[:, None] // 5 ** np.arange(6) % 5
        table = Table("made up", {"accuracy": worth[np.arange(6), digits].sum(axis=1)})
        metrics = {"accuracy": Metric("accuracy", True, "accuracy")}
        super().__init__(
            NASBench201Space(), table, metrics, metric="accuracy", constraints=None, log=False
        )

    def row(self, architecture: Architecture) -> int:
        return sum(
            NAS_BENCH_201_OPERATIONS.index(architecture[name]) * 5**place
            for place, name in enumerate(self.space.distributions)
        )


@cache
def made_up(path: Any) -> MadeUp:
    return MadeUp()


def measure(run: databases.Run, address: str, path: str | None) -> dict[str, Any]:
    """As the benchmark's own, with threads for processes."""
    barrier: Any = threading.Barrier(run.workers)
    threads = [
        threading.Thread(target=databases.work, args=(run, address, index, path, barrier))
        for index in range(run.workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return databases.outcome(run, address, 1.0, 0)


@pytest.mark.skipif(
    bool(PostgreSQLServer.missing()), reason=PostgreSQLServer.missing() or "there is a server"
)
def test_the_benchmark_of_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(databases, "_benchmark", made_up)
    monkeypatch.setattr(databases, "measure", measure)
    arguments = [
        *("--workers", "2", "--trials", "13"),
        *("--results", str(tmp_path), "--runs", str(tmp_path)),
    ]
    databases.main(arguments)
    with (tmp_path / "databases.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["storage"], row["sampler"]) for row in rows] == [
        (storage, sampler)
        for storage in ("journal", "postgresql", "sqlite")
        for sampler in ("bananas", "tpe")
    ]
    for row in rows:
        assert row["finished"] in ("13", "14") and row["errors"] == "0"
        assert row["sampler"] == "tpe" or row["duplicates"] == "0"
        cost = 1000 / int(row["finished"])
        assert float(row["ms per trial"]) == pytest.approx(cost, abs=0.01)
    lines = (tmp_path / "databases.jsonl").read_text()
    assert [json.loads(line)["storage"] for line in lines.splitlines()[::2]] == list(
        databases.WORKERS
    )
    databases.main(arguments)  # nothing is left to do
    assert (tmp_path / "databases.jsonl").read_text() == lines
