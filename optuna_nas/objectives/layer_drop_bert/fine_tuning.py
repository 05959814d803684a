"""Fine-tuning of one classifier with transformers' Trainer, which can stop and go on exactly.

The recipe is the usual one: AdamW, weight decay on matrices only, a learning rate that rises
linearly during the first tenth of the steps and falls linearly to zero, gradients clipped.

A later process goes on from a saved state as if there had been no interruption:

1. the batches of all epochs follow from the seed, so the rest of the training is a Trainer on the
   batches that are left, with the restored optimizer and schedule;
2. torch's generator is seeded anew in each step, by the seed and the number of the step. So the
   noise of dropout does not depend on how often was evaluated, or on what ran before.

The Trainer's own checkpoints are not used: they are pickled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)

from optuna_nas.artifacts.temporary import temporary_folder
from optuna_nas.objectives.layer_drop_bert.memory import clear_memory_errors
from optuna_nas.objectives.layer_drop_bert.tokens import Batches, TokenData, epoch_groups
from optuna_nas.tasks import Task
from optuna_nas.trials.divergence import DivergedError

_WARMUP_SHARE = 0.1
_EVALUATION_FACTOR = 4  # without gradients, larger batches fit


@dataclass(frozen=True)
class Recipe:
    """How a classifier is fine-tuned.

    Attributes:
        epochs: Passes over the training texts.
        batch_size: Texts of a step.
        learning_rate: The peak of the schedule.
        weight_decay: Decoupled weight decay of matrices.
        gradient_clip: The largest norm of the gradient; infinite for none.
        evaluations_per_epoch: How often an epoch is evaluated, evenly spaced, its end included.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float
    evaluations_per_epoch: int


@dataclass(frozen=True)
class Progress:
    """What is known after an evaluation.

    Attributes:
        evaluation: The number of the evaluation, counted from 0.
        accuracy: The share of validation texts whose class is predicted.
        seconds: The time of all training steps so far.
        state: Makes all that a later process needs to go on from here.
    """

    evaluation: int
    accuracy: float
    seconds: float
    state: Callable[[], dict[str, Any]]


class FineTuning:
    """Fine-tunes one classifier. Run it inside :func:`~.isolation.isolated`.

    Args:
        model: The classifier; it is moved to the device and trained in place.
        tokens: The tokenised data.
        task: What is learnt: its loss, and its score.
        recipe: How to train.
        seed: Decides the order of the batches and the noise of dropout.
        device: Where to train.
    """

    def __init__(
        self,
        model: Any,
        tokens: TokenData,
        task: Task,
        recipe: Recipe,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self._model = model.to(device)
        self._tokens = tokens
        self._task = task
        self._recipe = recipe
        self._seed = seed
        self._device = device
        lengths = tokens.train.lengths
        self._groups = [
            group
            for epoch in range(recipe.epochs)
            for group in epoch_groups(lengths, recipe.batch_size, seed, epoch)
        ]
        count = recipe.epochs * recipe.evaluations_per_epoch
        self._evaluations = {
            round(len(self._groups) * (number + 1) / count): number for number in range(count)
        }
        decayed: list[torch.Tensor] = []
        others: list[torch.Tensor] = []
        for parameter in self._model.parameters():
            (decayed if parameter.ndim > 1 else others).append(parameter)
        self._optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            fused=True,  # of a small model's step on a CPU, the plain one is up to a half
        )
        steps = len(self._groups)
        self._schedule = get_linear_schedule_with_warmup(
            self._optimizer, round(_WARMUP_SHARE * steps), steps
        )

    def run(
        self,
        evaluated: Callable[[Progress], None],
        saved: Mapping[str, Any] | None = None,
    ) -> float:
        """Train to the end.

        Args:
            evaluated: Called after each evaluation; what it raises ends the training.
            saved: The state to go on from; None starts at the first step.

        Returns:
            The accuracy on the validation texts after the last step, from 0 to 1.

        Raises:
            DivergedError: The loss is not finite.
            RuntimeError: A batch does not fit into memory; the message says what to lower.
        """
        first, seconds, accuracy = 0, 0.0, float("nan")
        if saved is not None:
            self._model.load_state_dict(saved["model"])
            self._optimizer.load_state_dict(saved["optimizer"])
            self._schedule.load_state_dict(saved["schedule"])
            first, seconds, accuracy = saved["step"], saved["seconds"], saved["accuracy"]
        remaining = self._groups[first:]
        if not remaining:
            return float(accuracy)
        reached: list[Progress] = []

        def after(step: int, accuracy: float, seconds: float) -> None:
            summary = {"step": step, "accuracy": accuracy, "seconds": seconds}
            number = self._evaluations[step]
            reached.append(Progress(number, accuracy, seconds, lambda: self._state(summary)))
            evaluated(reached[-1])

        with temporary_folder() as folder:
            trainer = self._trainer(folder, len(remaining))
            trainer.train_dataset = self._tokens.batches(self._tokens.train, remaining)
            trainer.add_callback(
                _Pacemaker(self._seed, first, seconds, set(self._evaluations), after)
            )
            with clear_memory_errors(self._recipe.batch_size):
                trainer.train()
        return reached[-1].accuracy

    def accuracy_on_test(self) -> float:
        """The share of test texts whose class is predicted, from 0 to 1."""
        with temporary_folder() as folder:
            trainer = self._trainer(folder, 1)
            metrics = trainer.predict(self._evaluation_batches("test")).metrics
        return float(metrics["test_score"])

    def _state(self, progress: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            **progress,
        }

    def _evaluation_batches(self, split: str) -> Batches:
        size = _EVALUATION_FACTOR * self._recipe.batch_size
        return self._tokens.longest_first(getattr(self._tokens, split), size)

    def _trainer(self, folder: Path, steps: int) -> Trainer:
        clip = self._recipe.gradient_clip
        arguments = TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=self._recipe.batch_size,
            per_device_eval_batch_size=_EVALUATION_FACTOR * self._recipe.batch_size,
            max_grad_norm=clip if np.isfinite(clip) else 0.0,
            use_cpu=self._device.type == "cpu",
            seed=self._seed,
            save_strategy="no",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            label_names=["labels"],
        )
        arguments._n_gpu = min(arguments.n_gpu, 1)  # no DataParallel: a trial has one device
        trainer = _BatchTrainer(
            self._model,
            arguments,
            eval_dataset=self._evaluation_batches("validation"),
            compute_loss_func=self._loss,
            compute_metrics=self._score,
            optimizers=(self._optimizer, self._schedule),
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _loss(self, outputs: Any, labels: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return self._task.loss(outputs["logits"], labels)

    def _score(self, predicted: Any) -> dict[str, float]:
        logits = predicted.predictions
        logits = logits[0] if isinstance(logits, tuple) else logits  # N classes
        if not np.isfinite(logits).all():
            raise DivergedError("outputs of the model are not finite")
        batch = torch.from_numpy(logits), torch.from_numpy(predicted.label_ids)
        return {"score": self._task.score.measure([batch]).value}


class _BatchTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose data sets hold ready batches, and that stops when the loss is lost."""

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train_dataset, batch_size=None)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        return DataLoader(eval_dataset or self.eval_dataset, batch_size=None)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        return DataLoader(test_dataset, batch_size=None)

    def training_step(self, *arguments: Any, **options: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(*arguments, **options)
        if not torch.isfinite(loss):
            raise DivergedError(f"the training loss of step {self.state.global_step} is {loss}")
        return loss


class _Pacemaker(TrainerCallback):  # type: ignore[misc]
    """Seeds and times each step, and asks for the evaluations where they are due."""

    def __init__(
        self,
        seed: int,
        first: int,
        seconds: float,
        due: Set[int],
        after: Callable[[int, float, float], None],
    ) -> None:
        self._seed = seed
        self._first = first
        self._seconds = seconds
        self._due = due
        self._after = after
        self._started = 0.0

    def on_step_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        entropy = np.random.SeedSequence((self._seed, self._first + state.global_step))
        torch.manual_seed(int(entropy.generate_state(1)[0]))
        self._started = time.perf_counter()

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._seconds += time.perf_counter() - self._started
        control.should_evaluate = self._first + state.global_step in self._due

    def on_evaluate(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float],
        **kwargs: Any,
    ) -> None:
        step = self._first + state.global_step
        self._after(step, float(metrics["eval_score"]), self._seconds)
