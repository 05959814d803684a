"""One trial as training code sees it: the only door from training to Optuna.

    with TrialRun(trial, "artifacts", fingerprint=settings) as run:
        state = run.restore()
        ...                                     # load the state, if there is one
        for epoch in range(first, epochs):
            ...                                 # train and validate
            run.report(accuracy, epoch)         # may raise optuna.TrialPruned
            run.checkpoint({"model": model.state_dict(), "epoch": epoch})
        run.publish("cell.svg", cell_svg(architecture))
        run.finish(accuracy, model.state_dict())

Report first, then checkpoint: a checkpoint holds the learning curve up to it, and the trial that
continues from it reports that curve again, so pruners and plots see the whole of it.

A trial that ends, complete or pruned, leaves no checkpoint: its outcome is stored first, so that
it is told even if its worker is killed before it can. One that is interrupted by Ctrl-C is queued
again, so that the same command goes on with it, from its checkpoint if it has one; one that is
killed is taken up by `recover_interrupted` or by Optuna's heartbeat. A trial that fails by an
error of its own keeps its checkpoint, but nothing retries it.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import optuna
import torch
from optuna.trial import BaseTrial

from optuna_nas import _optuna
from optuna_nas._attributes import read_number
from optuna_nas._interrupts import check_interrupted, held_back
from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.storages.retries import REASON_ATTR, remember_outcome
from optuna_nas.trials.checkpoints import Checkpoint, Curve
from optuna_nas.trials.inheritance import Inheritance, inheritance
from optuna_nas.trials.origins import RUN_ATTR, origin
from optuna_nas.trials.publishing import publish
from optuna_nas.trials.recovery import (
    WORKER_ATTR,
    queue_interrupted,
    queued_if_interrupted,
    worker_identity,
)
from optuna_nas.trials.weights import keep_weights

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["TrialRun"]

CURVE_ATTR = "learning_curve"
RESUMED_ATTR = "resumed_from_epoch"

_LONGEST_REASON = 500

_logger = optuna.logging.get_logger("optuna_nas")


class TrialRun:
    """Report, prune, log, checkpoint, resume and publish for one trial.

    Args:
        trial: The trial. A `FixedTrial` or `FrozenTrial` works too: it has no study, so nothing is
            pruned, checkpointed or published.
        artifacts: Where the search keeps its files, shared by all workers: a folder or what
            :func:`optuna_nas.artifacts.open_artifacts` takes; None to keep none.
        fingerprint: What is being trained (space, architecture, settings), as JSON values. A
            checkpoint made under another fingerprint is refused.

    Attributes:
        trial: The trial.
        curve: The values reported so far, by epoch.
        origin: The number of the trial that started this training: another than the trial's own if
            it continues an interrupted one. Seed by it, and both go the same way.

    Raises:
        TypeError: If the fingerprint is not JSON.
        ValueError: If `artifacts` is a file or no address.
    """

    def __init__(
        self,
        trial: BaseTrial,
        artifacts: str | Path | ArtifactPlace | None = None,
        *,
        fingerprint: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            settings = json.loads(json.dumps(dict(fingerprint or {})))
        except TypeError as error:
            raise TypeError(f"fingerprint must hold JSON values only: {error}.") from error
        self.curve: Curve = {}
        self.origin: int = trial.number
        self.trial = trial
        self._live = trial if isinstance(trial, optuna.Trial) else None
        place = None if artifacts is None else open_artifacts(artifacts)
        self._place = place if self._live else None
        self._checkpoint: Checkpoint | None = None
        self._parts: dict[str, Checkpoint] = {}
        self._finished = False
        self._known_epochs: frozenset[int] = frozenset()
        if self._live is not None:
            with queued_if_interrupted(trial):
                self._register(self._live, settings)

    def _register(self, trial: optuna.Trial, settings: Mapping[str, Any]) -> None:
        """Say which process runs the trial, and find the run it belongs to and its checkpoint."""
        frozen = trial.storage.get_trial(_optuna.trial_id(trial))
        run = frozen.system_attrs.get(RUN_ATTR) or uuid4().hex
        trial.storage.set_trial_system_attr(
            _optuna.trial_id(trial), WORKER_ATTR, worker_identity(trial.number)
        )
        trial.storage.set_trial_system_attr(_optuna.trial_id(trial), RUN_ATTR, run)
        self._known_epochs = frozenset(frozen.intermediate_values)
        self.origin = origin(trial.study, frozen)
        if self._place is not None:
            study = trial.study.study_name
            file = self._place.checkpoint(study, self.origin)
            self._checkpoint = Checkpoint(file, study, run, settings)

    def report(self, value: float, epoch: int) -> None:
        """Report the validation value after an epoch, and stop here if the pruner says so.

        With several objectives Optuna has no pruning: the value only joins the user attribute
        `learning_curve`.

        Args:
            value: The value, in the unit of the study's objective.
            epoch: The epoch, counted from 0.

        Raises:
            optuna.TrialPruned: If the trial should stop.
            ValueError: If `epoch` is negative.
        """
        self._record(float(value), epoch)
        if not self._is_multi_objective and self.trial.should_prune():
            raise optuna.TrialPruned(f"Pruned after report {epoch + 1}, with value {value:.6g}.")

    def log(self, **values: Any) -> None:
        """Store numbers of the trial as user attributes, as plain Python numbers.

        Args:
            **values: Numbers: Python's, NumPy's or tensors of one element.

        Raises:
            TypeError: If a value is no number; none is stored then.
        """
        for name, number in {name: _number(name, value) for name, value in values.items()}.items():
            self.trial.set_user_attr(name, number)

    def recall(self, name: str) -> float | None:
        """The number that :meth:`log` stored, also before an interruption; None if it did not."""
        return read_number(self.trial.user_attrs, name)

    def constrain(self, name: str, excess: float) -> None:
        """Set a constraint of the trial, which is met up to zero; one that is set stays.

        Args:
            name: What is constrained.
            excess: By how much it exceeds what is allowed.
        """
        if name not in self.trial.constraints:
            self.trial.set_constraint(name, excess)

    def checkpoint(self, state: Mapping[str, Any], *, part: str = "") -> None:
        """Save the state of the training, in place of the one before.

        Args:
            state: A tree of dicts, lists, tuples, tensors, numbers, strings, booleans and None.
            part: A name, if this is a part of the state that is saved once, in a file of its own.

        Raises:
            TypeError: If the state holds anything else.
        """
        checkpoint = self._part(part)
        if checkpoint is not None:
            with held_back():
                checkpoint.save(state, self.curve)
        check_interrupted()

    def restore(self) -> dict[str, Any] | None:
        """Return the state this trial's training was last saved in, or None to start from scratch.

        The learning curve up to that state is reported again, and the user attribute
        `resumed_from_epoch` tells its last epoch.
        """
        found = None if self._checkpoint is None else self._checkpoint.load()
        if found is None:
            if RESUMED_ATTR in self.trial.user_attrs:  # inherited from an earlier retry
                self.trial.set_user_attr(RESUMED_ATTR, None)
            return None
        state, curve = found
        for epoch, value in curve.items():
            self._record(value, epoch)
        self._known_epochs |= frozenset(curve)
        last = max(curve, default=None)
        self.trial.set_user_attr(RESUMED_ATTR, last)
        reports = 0 if last is None else last + 1
        _logger.info(f"Trial {self.trial.number} goes on after report {reports}.")
        return state

    def start_over(self) -> None:
        """Forget what :meth:`restore` returned: it cannot be gone on from."""
        self.curve.clear()
        self.trial.set_user_attr(RESUMED_ATTR, None)

    def restore_part(self, part: str) -> dict[str, Any] | None:
        """Return a part that was saved under this name; None if it cannot be read."""
        checkpoint = self._part(part)
        found = None if checkpoint is None else checkpoint.load()
        return None if found is None else found[0]

    def publish(self, name: str, content: str | bytes | go.Figure) -> str | None:
        """Attach a file to the trial; the dashboard shows it. Publishing a name again replaces it.

        Args:
            name: The file's name; its suffix says what it is. Without one, `.svg`, `.html`,
                `.txt` or `.bin` is added.
            content: Text (SVG, CSV, Markdown), bytes, or a plotly figure (published as HTML).

        Returns:
            The artifact's id, or None if no files are kept or it cannot be written.

        Raises:
            TypeError: If `content` is none of these.
        """
        if self._place is None or self._live is None:
            return None
        try:
            return publish(self._place, self._live, name, content)
        except OSError as error:
            _logger.warning(f"Trial {self.trial.number}: cannot publish {name!r}: {error}")
            return None

    def inherit(self) -> Inheritance | None:
        """Return the architecture and the weights of the trial that this one was made from.

        To be called after the architecture was suggested, and only if :meth:`restore` returned
        nothing. The user attribute `inherited_from` names the parent, or `not_inherited` says why
        there is nothing to inherit from it.

        Returns:
            None if the sampler made it from nothing, or the weights are gone.
        """
        return None if self._live is None else inheritance(self._place, self._live)

    def finish(
        self,
        value: float | Sequence[float] | None = None,
        weights: Mapping[str, torch.Tensor] | None = None,
        *,
        keep: int = 3,
    ) -> None:
        """End the training: keep the weights if they are among the best, and drop the checkpoint.

        The value is stored, so that it is not lost if the trial is killed before it returns it.

        Args:
            value: The trial's final value, or values, that it is about to return. Needed to keep
                weights; without it, a trial that is killed now is trained again.
            weights: The final state dict.
            keep: How many trials' weights the study keeps.

        Raises:
            ValueError: If there are weights but no value, or `keep` is less than 1.
        """
        if keep < 1:
            raise ValueError(f"{keep=} must be at least 1.")
        if weights is not None and value is None:
            raise ValueError("finish(weights=...) needs the trial's final value as well.")
        with held_back():
            if value is not None:
                values = value if isinstance(value, Sequence) else (value,)
                if weights is not None:
                    self._keep(weights, values, keep)
                self._remember([float(v) for v in values])
            self._drop_checkpoint()

    def _keep(
        self, weights: Mapping[str, torch.Tensor], values: Sequence[float], keep: int
    ) -> None:
        if self._place is None or self._live is None:
            return
        try:
            keep_weights(self._place, self._live, values, weights, keep=keep)
        except OSError as error:
            _logger.warning(f"Trial {self.trial.number}: cannot keep its weights: {error}")

    def __enter__(self) -> TrialRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            with held_back():
                queue_interrupted(self.trial)
                if self._finished:
                    self._drop_checkpoint()
            return
        with queued_if_interrupted(self.trial), held_back():
            if isinstance(error, Exception):
                # Optuna keeps neither the message of a pruned trial nor that of an error.
                self._say_why(error)
            if isinstance(error, optuna.TrialPruned):
                self._remember(None)
            if error is None or isinstance(error, optuna.TrialPruned):
                self.finish()

    def _say_why(self, error: Exception) -> None:
        reason = str(error)
        if not isinstance(error, optuna.TrialPruned):
            reason = reason or type(error).__name__
        if reason:
            self.trial.set_user_attr(REASON_ATTR, reason[:_LONGEST_REASON])

    def _remember(self, values: Sequence[float] | None) -> None:
        if self._live is not None:
            remember_outcome(self._live, values)
        self._finished = True

    def _part(self, name: str) -> Checkpoint | None:
        """The checkpoint itself, or the file of a part of it."""
        if not name or self._checkpoint is None or self._place is None or self._live is None:
            return self._checkpoint
        if name not in self._parts:
            file = self._place.checkpoint(self._live.study.study_name, self.origin, name)
            self._parts[name] = replace(self._checkpoint, file=file)
        return self._parts[name]

    def _drop_checkpoint(self) -> None:
        for checkpoint in (*self._parts.values(), self._checkpoint):
            if checkpoint is not None:
                checkpoint.remove()

    @property
    def _is_multi_objective(self) -> bool:
        return self._live is not None and len(self._live.study.directions) > 1

    def _record(self, value: float, epoch: int) -> None:
        """Add a point to the curve without pruning; what the trial has is not sent again."""
        if epoch < 0:
            raise ValueError(f"{epoch=} must not be negative.")
        self.curve[epoch] = value
        if self._is_multi_objective:
            self.trial.set_user_attr(CURVE_ATTR, [list(point) for point in self.curve.items()])
        elif epoch not in self._known_epochs:
            self.trial.report(value, epoch)


def _number(name: str, value: Any) -> bool | int | float:
    """Return `value` as a plain number: databases refuse NumPy's."""
    plain = value.item() if isinstance(value, (np.generic, torch.Tensor)) else value
    if isinstance(plain, bool):
        return plain
    if isinstance(plain, numbers.Integral):
        return int(plain)
    if isinstance(plain, numbers.Real):
        return float(plain)
    raise TypeError(f"log({name}={value!r}): a number is needed, not a {type(value).__name__}.")
