"""The study of a search: made, gone on with, or looked at."""

from __future__ import annotations

import shlex
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from optuna_nas import _optuna
from optuna_nas._attributes import as_number
from optuna_nas.cli.config import SearchConfig
from optuna_nas.cli.mending import storage_failure
from optuna_nas.cli.same_data import check_data, remember_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from optuna_nas.artifacts import ArtifactPlace
    from optuna_nas.cli.objectives.recipe import Objective

__all__ = [
    "CONFIG_ATTRIBUTE",
    "check_study",
    "find_config",
    "load_study",
    "open_study",
    "stored_config",
]

CONFIG_ATTRIBUTE = "optuna_nas:search"
"""Study user attribute with the settings of the search."""

_LOOKED_AT = 20
"""Published files that are looked for in another place; in a bucket each takes a moment."""


@dataclass(frozen=True)
class _Stored:
    """What the study says of its search: the commands, one a line, and the settings."""

    command: str
    config: SearchConfig

    @classmethod
    def read(cls, study: optuna.Study) -> _Stored | None:
        stored = study.user_attrs.get(CONFIG_ATTRIBUTE)
        if stored is None:
            return None
        return cls.from_json_values(stored, study.study_name)

    @classmethod
    def from_json_values(cls, stored: Any, study: str) -> _Stored:
        try:
            return cls(str(stored["command"]), SearchConfig.from_dict(stored["config"]))
        except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(
                f"The settings of the study {study!r} cannot be read "
                f"({type(error).__name__}: {error}): they are of another version of optuna-nas, "
                "or not its own. Use another --study."
            ) from error

    def to_json_values(self) -> dict[str, Any]:
        return {"command": self.command, "config": self.config.to_dict()}


def find_config(name: str, storage: str) -> SearchConfig | None:
    """The settings of a study, or None if there is no such study yet, or it has none.

    Nothing is made on the way.

    Raises:
        ValueError: The storage cannot be opened.
    """
    from optuna_nas.storages import local_file, open_storage

    file = local_file(storage)
    if file is not None and not file.exists():
        return None
    study = _find(name, open_storage(storage))
    stored = None if study is None else _Stored.read(study)
    return None if stored is None else stored.config


def open_study(config: SearchConfig, objective: Objective) -> tuple[optuna.Study, list[str]]:
    """Create the study, or go on with the existing one if that is possible.

    Returns:
        The study, and which of its settings were changed, in words.

    Raises:
        ValueError: The study cannot be gone on with: it was made in another way, or its files lie
            elsewhere.
    """
    import optuna

    from optuna_nas.storages import open_storage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=config.study,
        storage=open_storage(config.storage),
        directions=list(objective.directions),
        load_if_exists=True,
    )
    if study.directions != list(objective.directions):
        raise ValueError(
            f"The study {config.study!r} has the directions {[d.name for d in study.directions]}, "
            f"the search needs {[d.name for d in objective.directions]}. Use another --study."
        )
    stored = _Stored.read(study)
    if stored is None and study.get_trials(deepcopy=False):
        raise ValueError(
            f"The study {config.study!r} exists and was not made by `optuna-nas search`. Use "
            "another --study."
        )
    stored = stored or _begin(study, config, objective)
    return study, _go_on(study, stored, config, objective)


def check_study(study: optuna.Study, config: SearchConfig, objective: Objective) -> None:
    """Refuse to train for a study whose values are made in another way, or on other data.

    Raises:
        ValueError: They are.
    """
    stored = _Stored.read(study)
    if stored is not None:
        config.check_same_values(stored.config)
    check_data(study, objective.data)


def _begin(study: optuna.Study, config: SearchConfig, objective: Objective) -> _Stored:
    """Store the settings, or find those of another search that began at the same moment."""
    from optuna.exceptions import ExperimentalWarning

    from optuna_nas.cli.note import note_text, replace_note
    from optuna_nas.storages import say_once

    new = _Stored(_command(config), _public(config))
    said = say_once(study, CONFIG_ATTRIBUTE, new.to_json_values())
    first = _Stored.from_json_values(said, study.study_name)
    if first == new:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(objective.metric_names))
        replace_note(study, note_text(new.config, objective, new.command))
    return first


def _go_on(
    study: optuna.Study, stored: _Stored, config: SearchConfig, objective: Objective
) -> list[str]:
    """Check that the settings fit the study, and store those that may change."""
    from optuna_nas.cli.note import note_text, replace_note
    from optuna_nas.spaces import recall_space

    config.check_same_values(stored.config)
    space = recall_space(study)
    if space is not None and space != objective.space:
        raise ValueError(
            f"The study {config.study!r} searches {space!r}, and the search now has "
            f"{objective.space!r}. Use another --study."
        )
    notices = remember_data(study, objective.data)
    changes = config.changes(stored.config)
    if changes:
        _check_files(study, stored.config.artifacts, config.artifacts)
        settings = replace(_public(config), storage=stored.config.storage)
        now = _Stored(f"{stored.command}\n{_command(config)}", settings)
        study.set_user_attr(CONFIG_ATTRIBUTE, now.to_json_values())
        before = note_text(stored.config, objective, stored.command)
        replace_note(study, note_text(now.config, objective, now.command), before)
    return [*notices, *changes]


def _check_files(study: optuna.Study, before: str, now: str) -> None:
    """Refuse another folder of artifacts while the study's files are in the one before.

    A folder that was moved, or has another path on this machine, is as good as the one before.

    Raises:
        ValueError: The files are there, and none of them is here.
    """
    from optuna_nas.artifacts import open_artifacts

    old, new = open_artifacts(before), open_artifacts(now)
    if old.address != new.address and _has_files(old, study) and not _has_files(new, study):
        raise ValueError(
            f"`artifacts` is {now!r}, but the pictures, checkpoints and weights of the study "
            f"{study.study_name!r} are in {before!r}. Move that folder first, or go on with "
            f"{shlex.join(['--artifacts', before])}."
        )


def _has_files(place: ArtifactPlace, study: optuna.Study) -> bool:
    from optuna.artifacts import get_all_artifact_meta
    from optuna.artifacts.exceptions import ArtifactNotFound

    from optuna_nas.trials.weights import kept_trials

    with suppress(OSError):  # what cannot be looked at is taken for empty
        if any(place.weights(study.study_name, n).exists() for n in kept_trials(study)):
            return True
        published = (
            meta.artifact_id
            for trial in study.get_trials(deepcopy=False)
            for meta in get_all_artifact_meta(trial, storage=_optuna.storage(study))
        )
        for artifact_id in islice(published, _LOOKED_AT):
            with suppress(ArtifactNotFound):
                place.store.open_reader(artifact_id).close()
                return True
    return False


def load_study(name: str, storage: str) -> optuna.Study:
    """Load an existing study.

    Raises:
        ValueError: There is none of that name; the message lists those there are.
    """
    import optuna

    from optuna_nas.storages import local_file, open_storage, public_address

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = local_file(storage)
    if file is not None and not file.exists():
        raise ValueError(
            f"`storage` is {public_address(storage)!r}, and there is no {str(file)!r} here. "
            "Start a search with `optuna-nas search`, or name another --storage."
        )
    opened = open_storage(storage)
    study = _find(name, opened)
    if study is None:
        names = sorted(study.study_name for study in opened.get_all_studies())
        raise ValueError(f"`study` is {name!r}; in {public_address(storage)} there are {names}.")
    return study


def stored_config(study: optuna.Study) -> SearchConfig:
    """The settings that `optuna-nas search` stored on the study.

    Raises:
        ValueError: The study was not made by the command.
    """
    stored = _Stored.read(study)
    if stored is None:
        raise ValueError(
            f"The study {study.study_name!r} was not made by `optuna-nas search`; use the Python "
            "functions of the same names."
        )
    return stored.config


def _find(name: str, storage: BaseStorage) -> optuna.Study | None:
    """The study of a name, all of which can be read; None if there is none.

    Raises:
        ValueError: What the storage has of it is damaged.
    """
    import optuna

    from optuna_nas.storages.retries import check_told

    try:
        study = optuna.load_study(study_name=name, storage=storage)
        _check_records(study.get_trials(deepcopy=False))
    except KeyError:
        return None
    except Exception as error:  # Optuna takes its own records for sound
        if storage_failure(error) is not None:
            raise
        raise ValueError(
            f"The study {name!r} cannot be read ({type(error).__name__}: {error}): its records "
            "in the storage are damaged. Use a backup, or another --study."
        ) from error
    check_told(study)
    return study


def _check_records(trials: Sequence[FrozenTrial]) -> None:
    """Make sure that trials are numbered as they lie, and that what they report are numbers.

    Raises:
        ValueError: They are not, which Optuna never writes.
    """
    for place, trial in enumerate(trials):
        if trial.number != place:
            raise ValueError(f"a trial has the number {trial.number} in place of {place}")
        reported = trial.intermediate_values
        values = [*reported.values(), *(trial.values or ())]
        if not all(type(step) is int for step in reported) or None in map(as_number, values):
            raise ValueError(f"trial {place} has reported what is no number")


def _command(config: SearchConfig) -> str:
    """What was typed, without the password of the database."""
    from optuna_nas.storages import public_address, without_passwords

    public = public_address(config.storage)
    arguments = [argument.replace(config.storage, public) for argument in sys.argv[1:]]
    return shlex.join(["optuna-nas", *map(without_passwords, arguments)])


def _public(config: SearchConfig) -> SearchConfig:
    """What is stored: neither the database's password nor what is this machine's own."""
    from optuna_nas.storages import public_address

    return replace(config.on_any_machine(), storage=public_address(config.storage))
