"""The checkpoint of one training: saved as it goes, found again by the trial that continues it.

A checkpoint belongs to one *run*: the trial that started the training, and the trials Optuna
re-queues when its worker dies. All of them carry the run's token in a system attribute, so a file
left by an older study of the same name is not mistaken for theirs. A *fingerprint* of what is
trained (space, architecture, settings) must agree as well: a search restarted with other settings
starts its interrupted trials anew.

A file that cannot be used is reported, moved aside as `*.corrupt`, and the training starts from
scratch. A full disk or a read-only folder costs the checkpoint, not the training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from optuna_nas.artifacts import StoredFile
from optuna_nas.trials.states import CorruptStateError, read_state, write_state

__all__ = ["Checkpoint", "Curve"]

Curve = dict[int, float]

_logger = optuna.logging.get_logger("optuna_nas")


@dataclass
class Checkpoint:
    """The one checkpoint file of a run.

    Args:
        file: Where it is kept.
        study: The study's name.
        run: The run's token.
        fingerprint: What is being trained, as JSON.
    """

    file: StoredFile
    study: str
    run: str
    fingerprint: Mapping[str, Any]
    _failed: bool = field(default=False, init=False)

    def save(self, state: Mapping[str, Any], curve: Curve) -> None:
        """Replace the checkpoint. What the file system refuses is logged, once per run.

        Raises:
            TypeError: If the state holds something that cannot be stored.
        """
        header = {
            "kind": "checkpoint",
            "study": self.study,
            "run": self.run,
            "fingerprint": self.fingerprint,
            "curve": sorted(curve.items()),
        }
        try:
            write_state(self.file, state, header)
        except OSError as error:
            if not self._failed:
                _logger.warning(f"Training goes on without a checkpoint: {self.file}: {error}")
            self._failed = True

    def load(self) -> tuple[dict[str, Any], Curve] | None:
        """Return the state and the learning curve up to it, or None to start from scratch."""
        try:
            state, header = read_state(self.file)
            self._check(header)
            return state, {int(epoch): float(value) for epoch, value in header["curve"]}
        except FileNotFoundError:
            return None
        except OSError as error:
            _logger.warning(f"Training starts from scratch: cannot read {self.file}: {error}")
        except (LookupError, TypeError, ValueError) as error:
            _logger.warning(f"Training starts from scratch: the checkpoint is refused. {error}")
            self._move_aside()
        return None

    def exists(self) -> bool:
        """Whether there is one, as far as can be seen."""
        try:
            return self.file.exists()
        except OSError as error:
            _logger.warning(f"Cannot look for the checkpoint {self.file}: {error}")
            return False

    def remove(self) -> None:
        """Delete the checkpoint, if there is one; what the file system refuses is logged."""
        try:
            self.file.remove()
        except OSError as error:
            _logger.warning(f"Cannot remove the checkpoint {self.file}: {error}")

    def _check(self, header: dict[str, Any]) -> None:
        if (header["kind"], header["study"]) != ("checkpoint", self.study):
            raise CorruptStateError(
                f"{self.file} is a {header['kind']!r} of the study {header['study']!r}, "
                f"not a checkpoint of {self.study!r}."
            )
        saved = header["fingerprint"]
        differences = _differences(saved, _comparable(self.fingerprint, saved))
        if differences:
            raise CorruptStateError(
                f"{self.file} belongs to another training: {'; '.join(differences)}."
            )
        if header["run"] != self.run:
            raise CorruptStateError(
                f"{self.file} belongs to a trial of another study of the name {self.study!r}."
            )

    def _move_aside(self) -> None:
        try:
            self.file.move_aside()
        except OSError as error:
            _logger.warning(f"Cannot move {self.file} aside: {error}")


def _comparable(fingerprint: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """A fingerprint without the digest of the data, if an earlier version saved none."""
    data = fingerprint.get("data")
    if not isinstance(data, Mapping) or "digest" in saved.get("data", {}):
        return dict(fingerprint)
    return {**fingerprint, "data": {k: v for k, v in data.items() if k != "digest"}}


def _differences(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Say what changed between two fingerprints; empty if nothing did."""
    texts = [{k: json.dumps(v, sort_keys=True) for k, v in m.items()} for m in (saved, current)]
    before, now = texts
    return [
        f"{key} was {before.get(key, 'not set')}, is {now.get(key, 'not set')}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
