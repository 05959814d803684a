"""Databases whose records somebody has replaced, for the test of what commands make of them."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from optuna_nas.cli.config import Given, SearchConfig
from optuna_nas.cli.studies import CONFIG_ATTRIBUTE
from optuna_nas.spaces import NASBench201Space, remember_space

Change = Callable[[sqlite3.Connection, random.Random], Any]

NAME = "optuna-nas.db"

HOSTILE_TEXTS = (
    "evil:space",
    "evil",
    "os:system",
    "../../outside",
    "/etc/outside",
    "\x1b]0;title\x07\x1b[2J\x9b31m",
    "a\u202eb\u2066c\x00d\u2028e\r\nError: f\x08",
    "[bold red]x[/] [link=file:///etc/passwd]y[/link] [/",
    "<script>alert(1)</script>]]>&quot;'\"",
    "\ud800 half",
    "s3://evil-bucket/x",
    "x" * 100_000,
    "",
    "1e999",
    "%s %d {0} {x} ${HOME} $(touch owned)",
)
HOSTILE_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None, {"a": [1, "x"]}],
    {"space": "evil", "nodes": 10**18},
    {"space": "CellSpace", "num_nodes": 10**18, "operations": ["evil:op", "\x1b[31m"]},
    {"space": "NASBench101Space", "x": 1},
    {"space": "FlatSpace", "distributions": {"a": "no"}},
    {"command": "\x1b[31mx", "config": {}},
    list(range(5000)),
    {str(n): n for n in range(2000)},
)


def nested(depth: int) -> Any:
    value: Any = "\x1b[31m"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def make(folder: Path) -> None:
    """A sound database of a search for cells, as each hostile one begins."""
    space = NASBench201Space()
    storage = f"sqlite:///{folder / NAME}"
    study = optuna.create_study(study_name="nas", storage=storage, direction="maximize")
    options: dict[str, Any] = {
        "train_size": 60,
        "validation_size": 40,
        "test_size": 40,
        "epochs": 1,
    }
    options |= {"channels": 4, "cells": 1, "batch_size": 32, "data": "digits"}
    config = SearchConfig.resolve(Given("nas", storage, options=options), None)
    study.set_user_attr(CONFIG_ATTRIBUTE, {"command": "optuna-nas", "config": config.to_dict()})
    study.set_metric_names(["validation accuracy"])
    remember_space(study.ask(), space)
    study.tell(0, state=TrialState.FAIL)
    rng = np.random.default_rng(0)
    for number in range(11):
        cell = space.random(rng)
        value = 0.5 + 0.01 * number
        study.add_trial(
            create_trial(
                value=value,
                params=cell.params,
                distributions=space.distributions,
                user_attrs={
                    "parameters": 1000 + number,
                    "flops": 10**6,
                    "test_accuracy": value,
                    "seconds": 1.5,
                    "architecture": str(cell),
                    "members": [str(cell)],
                    "learning_curve": [[0, 0.1], [1, 0.2]],
                    "stopped_because": "a reason",
                    "test_report": {"accuracy": 0.5, "mean_member_accuracy": 0.4},
                    "validation_images": 40,
                    "test_images": 40,
                },
                system_attrs={
                    "constraints:size": -1.0,
                    "constraints": [-1.0],
                    "retry_history": [0],
                    "failed_trial": 0,
                    "fixed_params": cell.params,
                    "optuna_nas:run": "run",
                    "optuna_nas:worker": {"trial": number, "pid": 1, "host": "x"},
                    "optuna_nas:proposal": str(cell),
                },
                intermediate_values={0: 0.1, 1: value},
            )
        )
    study._storage.set_study_system_attr(study._study_id, "optuna_nas:weights:3", [-0.5, 0.0])
    running = study.ask()
    running.report(0.1, 0)
    study._storage.set_trial_system_attr(
        running._trial_id, "optuna_nas:worker", {"trial": running.number, "pid": 1, "host": "x"}
    )


def damage(source: Path, folder: Path, seed: int) -> list[str]:
    """Copy a sound database into a folder and replace one to four of its records.

    Returns:
        What was replaced, for the message of a test that fails.
    """
    rng = random.Random(seed)
    file = folder / NAME
    shutil.copy(source / NAME, file)
    said = []
    with sqlite3.connect(file) as database:
        for _ in range(rng.randint(1, 4)):
            change = rng.choice(CHANGES)
            said.append(f"{change(database, rng)!r:.200}")
    database.close()
    return said


def _value(rng: random.Random) -> Any:
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(HOSTILE_TEXTS)
    if kind < 0.9:
        return rng.choice(HOSTILE_VALUES)
    return nested(rng.choice([3, 50, 300]))


def _within(stored: Any, rng: random.Random) -> Any:
    """The stored value with one part of it replaced."""
    if isinstance(stored, dict) and stored and rng.random() < 0.85:
        name = rng.choice(sorted(stored))
        kind = rng.random()
        if kind < 0.15:
            return {n: v for n, v in stored.items() if n != name}
        if kind < 0.3:
            return {**stored, rng.choice(HOSTILE_TEXTS): stored[name]}
        return {**stored, name: _within(stored[name], rng)}
    if isinstance(stored, list) and stored and rng.random() < 0.5:
        place = rng.randrange(len(stored))
        return [*stored[:place], _within(stored[place], rng), *stored[place + 1 :]]
    return _value(rng)


def _attribute(table: str, part: bool) -> Change:
    identifier = {"study": "study_", "trial": "trial_"}[table.partition("_")[0]]
    key = f"{identifier}{table.partition('_')[2].removesuffix('s')}_id"

    def change(database: sqlite3.Connection, rng: random.Random) -> Any:
        rows = database.execute(f"SELECT {key}, key, value_json FROM {table}").fetchall()
        row, name, stored = rng.choice(rows)
        value = _within(json.loads(stored), rng) if part else _value(rng)
        text = json.dumps(value)
        database.execute(f"UPDATE {table} SET value_json = ? WHERE {key} = ?", (text, row))
        return name, value

    return change


def _metric_names(database: sqlite3.Connection, rng: random.Random) -> Any:
    value = rng.choice([[rng.choice(HOSTILE_TEXTS)], _value(rng)])
    database.execute(
        "UPDATE study_system_attributes SET value_json = ? WHERE key = 'study:metric_names'",
        (json.dumps(value),),
    )
    return value


def _configuration(database: sqlite3.Connection, rng: random.Random) -> Any:
    query = "SELECT value_json FROM study_user_attributes WHERE key = ?"
    [stored] = database.execute(query, (CONFIG_ATTRIBUTE,)).fetchone()
    value = json.loads(stored)
    place = value
    for name in ("config", "options")[: rng.randint(1, 2)]:  # as far as they are still there
        if isinstance(place, dict) and isinstance(place.get(name), dict):
            place = place[name]
    if not isinstance(place, dict) or not place:
        return None
    name = rng.choice(sorted(place))
    place[name] = rng.choice(HOSTILE_TEXTS) if rng.random() < 0.7 else _value(rng)
    database.execute(
        "UPDATE study_user_attributes SET value_json = ? WHERE key = ?",
        (json.dumps(value), CONFIG_ATTRIBUTE),
    )
    return name, place[name]


def _distribution(database: sqlite3.Connection, rng: random.Random) -> Any:
    [row] = rng.choice(database.execute("SELECT param_id FROM trial_params").fetchall())
    value = rng.choice(
        [
            json.dumps(_value(rng)),
            "no json",
            json.dumps(
                {
                    "name": "CategoricalDistribution",
                    "attributes": {"choices": [rng.choice(HOSTILE_TEXTS), "b"]},
                }
            ),
            json.dumps({"name": "evil", "attributes": {}}),
            json.dumps(
                {
                    "name": "FloatDistribution",
                    "attributes": {"low": 0, "high": 1e308, "log": False, "step": None},
                }
            ),
        ]
    )
    database.execute(
        "UPDATE trial_params SET distribution_json = ? WHERE param_id = ?", (value, row)
    )
    return value


def _parameter(database: sqlite3.Connection, rng: random.Random) -> Any:
    [row] = rng.choice(database.execute("SELECT param_id FROM trial_params").fetchall())
    name, value = rng.choice(HOSTILE_TEXTS[:10]), rng.choice([0, 1, 99, -1, 0.5, 1e308, "text"])
    if rng.random() < 0.5:
        name = name.encode("utf-8", "replace").decode()
        database.execute("UPDATE trial_params SET param_name = ? WHERE param_id = ?", (name, row))
        return name
    database.execute("UPDATE trial_params SET param_value = ? WHERE param_id = ?", (value, row))
    return value


def _number(table: str, column: str, kind: str) -> Change:
    def change(database: sqlite3.Connection, rng: random.Random) -> Any:
        value = rng.choice([0, -1, 1e308, -1e308, None, "text", 1e-320])
        form = rng.choice(["FINITE", "INF_POS", "INF_NEG", "NAN", "evil"])
        if kind == "value_type" and form == "NAN":
            form = "INF_POS"
        rows = database.execute(f"SELECT rowid FROM {table}").fetchall()
        [row] = rng.choice(rows)
        query = f"UPDATE {table} SET {column} = ?, {kind} = ? WHERE rowid = ?"
        database.execute(query, (value, form, row))
        return value, form

    return change


def _step(database: sqlite3.Connection, rng: random.Random) -> Any:
    value = rng.choice([-1, 10**12, 2**63 - 1, "text"])
    query = "SELECT trial_intermediate_value_id FROM trial_intermediate_values"
    [row] = rng.choice(database.execute(query).fetchall())
    database.execute(
        "UPDATE trial_intermediate_values SET step = ? WHERE trial_intermediate_value_id = ?",
        (value, row),
    )
    return value


_FIELDS: dict[str, list[Any]] = {
    "state": ["RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", "evil"],
    "datetime_start": [None, "text", "9999-12-31 23:59:59.999999", "0001-01-01 00:00:00"],
    "datetime_complete": [None, "text", "9999-12-31 23:59:59.999999"],
    "number": [10**9, -1, None],
}


def _field(database: sqlite3.Connection, rng: random.Random) -> Any:
    [row] = rng.choice(database.execute("SELECT trial_id FROM trials").fetchall())
    column = rng.choice(sorted(_FIELDS))
    value = rng.choice(_FIELDS[column])
    database.execute(f"UPDATE trials SET {column} = ? WHERE trial_id = ?", (value, row))
    return column, value


def _direction(database: sqlite3.Connection, rng: random.Random) -> Any:
    value = rng.choice(["MINIMIZE", "NOT_SET", "evil"])
    database.execute("UPDATE study_directions SET direction = ?", (value,))
    return value


_NEW = (
    "artifacts:evil",
    "dashboard:note_ver",
    "dashboard:note_str:0",
    "dashboard:objective_names",
    "constraints:evil",
    "optuna_nas:weights:1",
    "optuna_nas:derived_space",
    "optuna_nas:invalid",
    *HOSTILE_TEXTS[:5],
)


def _new_attribute(database: sqlite3.Connection, rng: random.Random) -> Any:
    owner, owners = rng.choice([("study", "studies"), ("trial", "trials")])
    [row] = rng.choice(database.execute(f"SELECT {owner}_id FROM {owners}").fetchall())
    table = f"{owner}_{rng.choice(['user', 'system'])}_attributes"
    name, value = rng.choice(_NEW), _value(rng)
    database.execute(
        f"INSERT OR REPLACE INTO {table} ({owner}_id, key, value_json) VALUES (?, ?, ?)",
        (row, name, json.dumps(value)),
    )
    return table, name, value


CHANGES: list[Change] = [
    *(
        _attribute(f"{owner}_{kind}_attributes", part)
        for owner in ("study", "trial")
        for kind in ("user", "system")
        for part in (False, True)
    ),
    _metric_names,
    _configuration,
    _configuration,
    _distribution,
    _parameter,
    _number("trial_values", "value", "value_type"),
    _number("trial_intermediate_values", "intermediate_value", "intermediate_value_type"),
    _step,
    _field,
    _direction,
    _new_attribute,
]
