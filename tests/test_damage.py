"""Damage in every kind of file: flipped bits, truncations, zeroed sectors give no wrong value.

Each kind is a file, and a way to read it that a user has. What is read is what was written, or
that the file is refused; of files of lines, whose end may not have been written, the first ones.
"""

from __future__ import annotations

import json
import random
import re
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from optuna_nas._lines import sealed_line
from optuna_nas.artifacts import ArtifactFolder, open_artifacts
from optuna_nas.compare.results import read as read_results
from optuna_nas.compare.runs import Run
from optuna_nas.export import export_model
from optuna_nas.objectives.layer_drop_bert.warm_start import warm_start
from optuna_nas.samplers._rankings import RANKING_ATTRIBUTE, Batch, Ranking, RankingBoard
from optuna_nas.spaces import NASBench201Space
from optuna_nas.storages import open_storage
from optuna_nas.trials import TrialRun, load_weights
from tests.cli.conftest import call

REFUSED = "refused"
SPACE = NASBench201Space()


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        file: Where it is.
        read: Reads it as a user does.
        lines: Whether what was not written to its end may be missing.
    """

    file: Path
    read: Callable[[], Any]
    lines: bool = False


def checkpoint(folder: Path) -> Kind:
    trial = optuna.create_study(study_name="s").ask()
    state = {"model": {"w": torch.randn(40), "n": torch.tensor(7)}, "epoch": 3, "lr": 0.1}
    run = TrialRun(trial, folder)
    run.report(0.5, 0)
    run.checkpoint(state)
    file = Path(str(ArtifactFolder(folder).checkpoint("s", 0)))

    def read() -> Any:
        again = TrialRun(trial, folder)
        found = again.restore()
        return REFUSED if found is None else (plain(found), again.curve)

    return Kind(file, read)


def weights(folder: Path) -> Kind:
    study = optuna.create_study(study_name="s", direction="maximize")
    with TrialRun(study.ask(), folder) as run:
        run.finish(0.5, {"w": torch.randn(40), "b": torch.randn(3)})
    study.tell(0, 0.5)
    file = Path(str(ArtifactFolder(folder).weights("s", 0)))
    return Kind(file, lambda: plain(load_weights(folder, study, 0)))


class Model(torch.nn.Linear):
    """A full model, fine-tuned at once."""

    def run(self, *ignored: object) -> float:
        return 0.75


def warm(folder: Path) -> Kind:
    place, settings = open_artifacts(folder), {"model": "bert", "seed": 3}
    model = Model(5, 3)

    def read() -> Any:
        made = []

        def make() -> Any:
            made.append(1)
            return model, model

        found = warm_start(place, settings, make)
        return REFUSED if made else (plain(found.weights), found.accuracy)

    read()
    [file] = (folder / "warm-starts").glob("*.safetensors")
    return Kind(file, read)


def journal(folder: Path) -> Kind:
    file = folder / "study.journal"
    study = optuna.create_study(study_name="s", storage=open_storage(str(file)))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)

    def read() -> Any:
        try:
            trials = optuna.load_study(study_name="s", storage=open_storage(str(file))).trials
        except KeyError:  # cut within the line that made the study
            return []
        return [(t.value, t.params) for t in trials if t.state == TrialState.COMPLETE]

    return Kind(file, read, lines=True)


def database(folder: Path) -> Kind:
    storage = f"sqlite:///{folder / 'optuna-nas.db'}"
    study = optuna.create_study(study_name="nas", storage=storage, direction="maximize")

    def objective(trial: optuna.Trial) -> float:
        SPACE.suggest(trial)
        with TrialRun(trial) as run:
            value = (trial.number * 7 % 5 + 1) / 8
            run.finish(value)
        return value

    study.optimize(objective, n_trials=5)

    def read() -> Any:
        code, out, err = call(folder, "best")
        assert "Traceback" not in err
        if code:
            assert err.count("\n") == 1, err
            return REFUSED
        return re.findall(r"(best trial|value) +([\d.]+)", out)

    return Kind(folder / "optuna-nas.db", read)


def results(folder: Path) -> Kind:
    file = folder / "runs.jsonl"
    settings = {"comparison": 1, "n_trials": 3, "name": "table"}
    runs = [Run("tpe", "TPE", seed, (0.5, None, seed / 7), (1e-3,) * 3) for seed in range(5)]
    file.write_bytes(b"".join(map(sealed_line, (settings, *(run.to_dict() for run in runs)))))

    def read() -> Any:
        found, stored = read_results(file)
        return [found, *stored] if found is not None else []

    return Kind(file, read, lines=True)


def export(name: str) -> Callable[[Path], Kind]:
    def made(folder: Path) -> Kind:
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
        about: dict[str, Any] = {"image_shape": (1, 8, 8), "class_names": ("a", "b", "c")}
        about |= {"mean": (0.25,), "std": (0.5,), "metrics": {"accuracy": 0.5}}
        architecture = SPACE.random(np.random.default_rng(0))
        out = export_model(network, folder / "out", architecture=architecture, **about)
        load = runpy.run_path(str(out / "predict.py"))["load"]
        images = torch.randn(2, 1, 8, 8)

        def read() -> Any:
            loaded, description = load(out)
            with torch.no_grad():
                return loaded(images).tolist(), description

        return Kind(out / name, read)

    return made


def ranking(folder: Path) -> Kind:
    """It is no file, but a text in any of the storages."""
    study = optuna.create_study()
    board = RankingBoard(study, SPACE)
    cells = [SPACE.random(np.random.default_rng(n)) for n in range(6)]
    board.publish(Ranking(Batch(3, 2), cells))
    file = folder / "ranking"
    file.write_text(json.dumps(study._storage.get_study_system_attrs(0)[RANKING_ATTRIBUTE]))

    def read() -> Any:
        study._storage.set_study_system_attr(0, RANKING_ATTRIBUTE, json.loads(file.read_bytes()))
        found, _ = board.read()
        return REFUSED if found is None else (found.batch, list(found.architectures))

    return Kind(file, read)


KINDS = {
    "checkpoint": checkpoint,
    "weights": weights,
    "warm start": warm,
    "journal": journal,
    "database": database,
    "results": results,
    "program": export("model.pt2"),
    "description": export("model.json"),
    "ranking": ranking,
}


def plain(value: Any) -> Any:
    """Tensors as lists, so that what was read can be compared."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, torch.Tensor) else value


def damages(content: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    generator = random.Random(seed)
    for number in range(count):
        damaged, kind = bytearray(content), ("flip", "flip", "truncated", "zeroed")[number % 4]
        place = generator.randrange(len(damaged))
        if kind == "flip":
            damaged[place] ^= 1 << generator.randrange(8)
        elif kind == "truncated":
            del damaged[place:]
        else:
            start = place // 512 * 512
            damaged[start : start + 512] = bytes(len(damaged[start : start + 512]))
        yield kind, bytes(damaged)


def check(kind: Kind, count: int, seed: int) -> int:
    """Damage a file so many times; return how often that was noticed."""
    content, good, refused = kind.file.read_bytes(), kind.read(), 0
    assert good != REFUSED and kind.read() == good
    for what, damaged in damages(content, count, seed):
        kind.file.write_bytes(damaged)
        try:
            found = kind.read()
        except (ValueError, StorageInternalError) as error:
            assert "\n" not in str(error)
            found = REFUSED
        if kind.lines and found != REFUSED:
            assert found == good[: len(found)], (what, seed)
        else:
            assert found in (good, REFUSED), (what, seed)
        refused += found == REFUSED
        kind.file.write_bytes(content)
    assert kind.read() == good
    return refused


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(verbosity)


@pytest.mark.parametrize("name", KINDS)
def test_damage_gives_no_wrong_value(name: str, tmp_path: Path) -> None:
    refused = check(KINDS[name](tmp_path), 24, seed=0)
    assert refused > (0 if name == "database" else 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_much_damage_gives_no_wrong_value(name: str, tmp_path: Path) -> None:
    check(KINDS[name](tmp_path), 200, seed=1)


def test_a_flipped_bit_of_a_value_in_a_database_is_noticed(tmp_path: Path) -> None:
    """Its file has no checksums; but the value is there twice."""
    kind = database(tmp_path)
    [good] = [value for name, value in kind.read() if name == "value"]
    content = kind.file.read_bytes()
    stored = np.array(float(good), ">f8").tobytes()
    places = [match.start() for match in re.finditer(re.escape(stored), content)]
    assert places
    for place in places:
        damaged = bytearray(content)
        damaged[place + 1] ^= 8
        kind.file.write_bytes(damaged)
        code, _, err = call(tmp_path, "best")
        assert code == 2 and "The storage is damaged: the trial" in err
