"""The file of a comparison: JSON lines, the settings first, then a line for each finished run.

A line is appended when its run is finished, and forced to the disk; it carries a checksum. What a
crash leaves of a line is dropped, one that is damaged is an error.
Runs of other settings are never mixed in: opening the file with others is an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout

from optuna_nas._checks import user_path
from optuna_nas._lines import read_line, sealed_line
from optuna_nas._version import __version__
from optuna_nas.compare.runs import Benchmark, Run
from optuna_nas.compare.samplers import Contestant

_FORMAT = 1


def header(benchmark: Benchmark, n_trials: int) -> dict[str, Any]:
    """All that decides the outcome of a run, besides sampler and seed."""
    return {
        "comparison": _FORMAT,
        "name": benchmark.name,
        "metric": benchmark.metric_names[0],
        "direction": benchmark.directions[0].name.lower(),
        "optimum": float(benchmark.optimum),
        "worst": float(benchmark.worst),
        "n_trials": n_trials,
        "benchmark": benchmark.settings(),
        "optuna": optuna.__version__,
        "optuna_nas": __version__,
    }


class ResultsFile:
    """The finished runs of a comparison, in a file or in memory only.

    Args:
        path: The file; None keeps nothing.
        settings: What :func:`header` returned.

    Raises:
        ValueError: The file belongs to other settings, or is no such file.
    """

    def __init__(self, path: str | Path | None, settings: Mapping[str, Any]) -> None:
        self.path = None if path is None else user_path(path)
        # As JSON has it, so that what was written and what is asked for can be compared.
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.runs: list[Run] = []
        if self.path is not None and self.path.exists():
            stored, self.runs = read(self.path)
            _check_same(self.path, stored or self.settings, self.settings)

    def check(self, samplers: Sequence[Contestant]) -> None:
        """Refuse labels that stand for something else in the file.

        Raises:
            ValueError: One does.
        """
        for sampler in samplers:
            for run in self.runs:
                if run.sampler == sampler.label and run.description != sampler.description:
                    raise ValueError(
                        f"In {str(self.path)!r} {sampler.label!r} is {run.description!r}, here it "
                        f"is {sampler.description!r}. Use another label or another file."
                    )

    def finished(self, sampler: str, seed: int) -> bool:
        """Whether the run is there."""
        return any(run.sampler == sampler and run.seed == seed for run in self.runs)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the file to this process, and put it in order for appending.

        Raises:
            ValueError: Another process writes to it.
        """
        if self.path is None:
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ValueError(
                f"Another comparison is writing to {str(self.path)!r}. Wait for it, or use "
                "another file."
            ) from None
        try:
            # What another process finished since the file was read counts as well.
            stored, self.runs = read(self.path) if self.path.exists() else (None, [])
            _check_same(self.path, stored or self.settings, self.settings)
            with self.path.open("ab") as file:
                file.truncate(_whole_bytes(self.path))
            if stored is None:
                self._append(self.settings)
            yield
        finally:
            lock.release()

    def add(self, run: Run) -> None:
        """Append a finished run."""
        self.runs.append(run)
        if self.path is not None:
            self._append(run.to_dict())

    def _append(self, line: Mapping[str, Any]) -> None:
        assert self.path is not None
        with self.path.open("ab") as file:
            file.write(sealed_line(line, allow_nan=False))
            file.flush()
            os.fsync(file.fileno())


def read(path: Path) -> tuple[dict[str, Any] | None, list[Run]]:
    """Read a file of results.

    Returns:
        The settings, None if nothing is written yet, and the runs; of runs that are there twice
        the first.

    Raises:
        ValueError: It is no file of results.
    """
    lines = path.read_bytes()[: _whole_bytes(path)].splitlines()
    try:
        records: list[Any] = [read_line(line) for line in lines] or [None]
        settings, *stored = records
        if settings is not None and settings["comparison"] != _FORMAT:
            raise ValueError(f"its format is {settings['comparison']}, known is {_FORMAT}")
        if any(len(run["values"]) != settings["n_trials"] for run in stored):
            raise ValueError("a run has another number of trainings than the settings")
        runs = {(run.sampler, run.seed): run for run in map(Run.from_dict, reversed(stored))}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(path)!r} is no file of results ({error!r}).") from error
    return settings, list(reversed(runs.values()))


def _whole_bytes(path: Path) -> int:
    """How long the file is without a last line that was not finished."""
    return path.read_bytes().rfind(b"\n") + 1


def _check_same(path: Path, stored: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    changed = [
        f"{name} was {stored.get(name)!r} and is {here.get(name)!r}"
        for name in sorted(stored.keys() | here.keys())
        if stored.get(name) != here.get(name)
    ]
    if changed:
        raise ValueError(
            f"{str(path)!r} has runs with other settings, which cannot be compared: "
            f"{'; '.join(changed)}. Use the same settings or another file."
        )
