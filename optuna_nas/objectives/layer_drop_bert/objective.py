"""Drop layers of a pretrained transformer, fine-tune what is left, and score it.

One trial:

1. the space suggests which layers are kept;
2. the pretrained model is copied with these layers only, and with their weights; with a warm
   start, those of the full model fine-tuned on the same texts; it is measured, and a model over a
   limit is not fine-tuned (see `measures`);
3. the copy is fine-tuned; several times in an epoch it is evaluated on the validation texts, the
   score is reported (the pruner may stop the trial) and a checkpoint is written;
4. the accuracy on the test texts is measured once and logged; nothing is searched on it.

The trial gets the user attributes `architecture` (such as `110100`), `kept_layers`, `parameters`,
`latency` (milliseconds for one text of middling length), `speedup` (how many times as fast as the
full model, measured in turns with it), `validation_accuracy`, `test_accuracy`,
`seconds` (of training, all resumed parts together) and, with a warm start, `full_accuracy` (of the
full model on the validation texts), and the artifacts `layers.svg` and `learning_curve.svg`. A
trial whose training diverges is pruned, and the user attribute `diverged` says how.

The texts are tokenised and the model is read once for all trials of a process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import torch

from optuna_nas._checks import checked_integer, checked_positive, checked_share
from optuna_nas.artifacts import ArtifactPlace, open_artifacts
from optuna_nas.data import TextData, load_text
from optuna_nas.data.few import warn_of_few
from optuna_nas.export.measured import Accuracies, check_measured, share_correct
from optuna_nas.export.onnx_file import require_onnx
from optuna_nas.measures import (
    MEASURES,
    Goals,
    Learned,
    Measure,
    MeasureLike,
    Measurements,
    time_networks,
)
from optuna_nas.measures.measure import device_of
from optuna_nas.networks import thin
from optuna_nas.objectives.devices import usable_device
from optuna_nas.objectives.directions import check_directions
from optuna_nas.objectives.layer_drop_bert.checks import (
    check_length,
    check_steps,
    check_tokens,
    trainable_device,
)
from optuna_nas.objectives.layer_drop_bert.export import export_classifier
from optuna_nas.objectives.layer_drop_bert.fine_tuning import FineTuning, Progress, Recipe
from optuna_nas.objectives.layer_drop_bert.isolation import isolated
from optuna_nas.objectives.layer_drop_bert.memory import probe
from optuna_nas.objectives.layer_drop_bert.onnx_texts import onnx_of_texts
from optuna_nas.objectives.layer_drop_bert.pretrained import Pretrained
from optuna_nas.objectives.layer_drop_bert.tokens import TokenData
from optuna_nas.objectives.layer_drop_bert.warm_start import WarmStart, warm_start
from optuna_nas.objectives.options import ARTIFACTS
from optuna_nas.objectives.pictures import publish_learning_curve
from optuna_nas.spaces import LayerDropSpace
from optuna_nas.tasks import text_classification
from optuna_nas.trials import TrialRun, queued_if_interrupted
from optuna_nas.trials.divergence import DivergedError
from optuna_nas.visualization.cells import cell_svg

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

    from optuna_nas.spaces import Architecture

_ACCURACIES = {
    "accuracy": "validation",
    "validation_accuracy": "validation",
    "test_accuracy": "test",
}
"""Which texts the metrics are of that are measured again before a model is exported."""

_MEASURES = MEASURES["parameters"], MEASURES["latency"]
"""What is always measured, beside the speed-up."""


class LayerDropBert:
    """Fine-tune a transformer with fewer layers; a trial's value is its accuracy less its size.

    Args:
        model: A folder with a model and its tokenizer that transformers can load, or a hub id:
            BERT, RoBERTa, DistilBERT, ELECTRA, MiniLM or any other with one stack of layers.
        data: The texts, or a source for :func:`optuna_nas.data.load_text`.
        space: The choices of layers; None makes it from `min_layers` and `max_layers`.
        min_layers: The fewest layers that are kept.
        max_layers: The most layers that are kept; None is all.
        epochs: Passes over the training texts.
        batch_size: Texts of a step.
        learning_rate: Peak of the learning rate.
        weight_decay: Decoupled weight decay of matrices.
        gradient_clip: Largest norm of the gradient; infinite for none.
        max_length: Tokens of a text; longer ones are cut.
        evaluations_per_epoch: How often an epoch is evaluated and the pruner is asked.
        goals: `"score"` (the accuracy minus `parameter_weight` times the share of parameters that
            is left), `"accuracy"`, or several of these and of measures such as `"latency"` and
            `"speedup"`, the first of them one of these two. Optuna does not prune in studies of
            several objectives.
        measures: What is measured and logged beside goals, limits, parameters, latency, speedup.
        parameter_weight: What all parameters of the full model cost in the score: with 0.1, half
            of them are worth five points of accuracy.
        limits: The most of measures that is allowed, such as `{"parameters": 60_000_000}`. A
            model over a limit is not fine-tuned; its trial is pruned, with Optuna's constraints,
            which samplers take into account.
        measure_device: Where latency and energy are measured; None for where is trained.
        warm_start: Whether the full model is fine-tuned once, and trials inherit from it.
        device: Where to train; None is a GPU if there is one.
        seed: Seed of the trainings. Trial `n` is seeded with this and `n`.
        artifacts: Folder or bucket (see :func:`optuna_nas.artifacts.open_artifacts`) of pictures,
            checkpoints and best weights, shared by all workers; None keeps no files, so that an
            interrupted trial starts again.

    Raises:
        TypeError: `space` is no `LayerDropSpace`.
        ValueError: A number is out of range, the model or the texts cannot be loaded or do not
            fit each other or the space, `device` cannot be used, or `artifacts` is a file.

    Example:
        >>> import optuna, optuna_nas as nas
        >>> objective = nas.objectives.LayerDropBert(
        ...     "google-bert/bert-base-uncased", "stanfordnlp/sst2", max_layers=6
        ... )  # doctest: +SKIP
        >>> study = optuna.create_study(direction="maximize", sampler=nas.BananasSampler())
        >>> study.optimize(objective, n_trials=20)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path,
        data: TextData | str | Path,
        *,
        space: LayerDropSpace | None = None,
        min_layers: int = 1,
        max_layers: int | None = None,
        epochs: int = 2,
        batch_size: int = 32,
        learning_rate: float = 5e-5,
        weight_decay: float = 0.01,
        gradient_clip: float = 1.0,
        max_length: int = 128,
        evaluations_per_epoch: int = 2,
        goals: MeasureLike | Sequence[MeasureLike] | None = None,
        measures: MeasureLike | Sequence[MeasureLike] = (),
        parameter_weight: float = 0.1,
        limits: Mapping[MeasureLike, float] | str | None = None,
        measure_device: str | torch.device | None = None,
        warm_start: bool = False,
        device: str | torch.device | None = None,
        seed: int = 0,
        artifacts: str | Path | ArtifactPlace | None = ARTIFACTS,
    ) -> None:
        self.recipe = Recipe(
            epochs=checked_integer("epochs", epochs),
            batch_size=checked_integer("batch_size", batch_size),
            learning_rate=checked_positive("learning_rate", learning_rate),
            weight_decay=checked_share("weight_decay", weight_decay),
            gradient_clip=checked_positive("gradient_clip", gradient_clip, infinite=True),
            evaluations_per_epoch=checked_integer("evaluations_per_epoch", evaluations_per_epoch),
        )
        self.max_length = checked_integer("max_length", max_length, 3)  # [CLS] text [SEP]
        self.parameter_weight = checked_share("parameter_weight", parameter_weight)
        self._goals = Goals(
            (Learned("score", "score"), Learned("accuracy", "accuracy")),
            goals=goals,
            measures=measures,
            limits=limits,
            more=(*_MEASURES, Measure("speedup", self._speedup, direction="maximize")),
        )
        self._measured_on: torch.device | None = None
        if measure_device is not None:
            self._measured_on = usable_device(measure_device, "measure_device")
        self.warm_start = bool(warm_start)
        self.device = trainable_device(device)
        self.seed = checked_integer("seed", seed, 0, 2**31 - 1)
        self.artifacts = artifacts
        self._probed = False
        self._place = None if artifacts is None else open_artifacts(artifacts)
        if space is not None and not isinstance(space, LayerDropSpace):
            raise TypeError(f"`space` is {space!r}; allowed are None and a LayerDropSpace.")
        if space is not None and (min_layers, max_layers) != (1, None):
            raise ValueError("Give either `space`, or `min_layers` and `max_layers`.")
        self.data = data if isinstance(data, TextData) else load_text(data)
        warn_of_few(self.data)
        self.task = text_classification(self.data)
        self.model = str(model)
        self._pretrained = Pretrained.load(model, self.data.class_names, self.seed)
        layers = self._pretrained.num_layers
        self.space = space or LayerDropSpace(layers, min_layers, max_layers)
        if self.space.num_layers != layers:
            raise ValueError(
                f"`space` is {space!r}, but {self.model!r} has {layers} layers; they must agree."
            )
        check_length(self.max_length, self._pretrained)
        self._tokens = TokenData.tokenize(self.data, self._pretrained.tokenizer, self.max_length)
        check_steps(self.recipe, self._tokens)
        check_tokens(self._tokens, self._pretrained)

    @property
    def directions(self) -> tuple[optuna.study.StudyDirection, ...]:
        """The direction of each goal."""
        return self._goals.directions

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the goals."""
        return self._goals.metric_names

    @property
    def limited(self) -> dict[str, float]:
        """The limits by the name of the measure."""
        return self._goals.limits

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The distributions of the space."""
        return self.space.distributions

    def settings(self) -> dict[str, Any]:
        """What, besides the architecture, decides the outcome of a trial; JSON values."""
        return {
            "space": self.space.to_dict(),
            **self._training_settings(),
            "objectives": list(self.metric_names),
            "parameter_weight": self.parameter_weight,
            "limits": self.limited,
            "warm_start": self.warm_start,
        }

    def __call__(self, trial: BaseTrial) -> float | tuple[float, ...]:
        """Fine-tune the model with the layers that the trial suggests.

        Returns:
            The value of the goal, or of each of them.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial, the model is over a limit, or the
                training diverged.
            UserError: This machine cannot measure something.
            ValueError: The study's directions are not those of the goals.
            RuntimeError: A step does not fit into memory.
        """
        check_directions(trial, self.metric_names, self.directions)
        with queued_if_interrupted(trial):
            return self._train(self.space.suggest(trial), trial)

    def evaluate(self, params: Mapping[str, Any]) -> float | tuple[float, ...]:
        """Fine-tune the model with these parameters, outside of any study.

        Args:
            params: A value for each parameter of the space.

        Returns:
            The value of the goal, or of each of them.
        """
        architecture = self.space.architecture(params)
        return self._train(architecture, optuna.trial.FixedTrial(architecture.params))

    def build(self, architecture: Architecture) -> Any:
        """Copy the pretrained model with the layers of an architecture, on the CPU.

        The weights are those that a trial begins with, except that a warm start is left out.
        """
        return self._pretrained.thin(self.space.kept(architecture))

    def export_model(
        self,
        architecture: Architecture,
        weights: Mapping[str, torch.Tensor],
        folder: str | Path,
        *,
        metrics: Mapping[str, Any],
        about: Mapping[str, Any] | None = None,
        onnx: bool = False,
        overwrite: bool = False,
    ) -> Path:
        """Write a fine-tuned model as a folder that plain transformers loads.

        Args:
            architecture: Which layers the model has.
            weights: Its state dict, such as :func:`optuna_nas.trials.load_weights` returns.
            folder: Where to; its parent folders are made.
            metrics: What was measured, as JSON values.
            about: More to note down, as JSON values.
            onnx: Whether `model.onnx` is written too.
            overwrite: Whether an earlier export in `folder` is replaced.

        Returns:
            The folder, absolute.

        Raises:
            FileExistsError: There is something at `folder`: anything, or with `overwrite`
                anything but an export.
            MissingPackageError: What writes ONNX files is not installed.
            ValueError: The weights are not of this architecture of this model.
        """
        if onnx:
            require_onnx()
        model = self.build(architecture)
        try:
            model.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise ValueError(
                f"`weights` do not fit the model that this objective builds for {architecture}; "
                f"give it the settings of the search. {error}"
            ) from error
        description = {
            "architecture": str(architecture),
            "kept_layers": list(self.space.kept(architecture)),
            "params": architecture.params,
            "pretrained": self.model,
            "class_names": list(self.data.class_names),
            "max_length": self.max_length,
            "metrics": dict(metrics),
            **(about or {}),
        }
        made = None
        if onnx:
            about_file = {name: description[name] for name in ("class_names", "architecture")}
            made = onnx_of_texts(model.eval(), self._tokens, about_file)
        return export_classifier(
            model,
            self._pretrained.tokenizer,
            folder,
            description,
            measure=lambda loaded: check_measured(metrics, self._measured_again(loaded, metrics)),
            onnx=made,
            overwrite=overwrite,
        )

    def _measured_again(self, model: Any, metrics: Mapping[str, Any]) -> Accuracies:
        """The accuracies among the metrics, of a model on the CPU."""
        found = {}
        for name in metrics.keys() & _ACCURACIES.keys():
            split = getattr(self._tokens, _ACCURACIES[name])
            texts = self._tokens.longest_first(split, self.recipe.batch_size)
            batches = (
                (batch, batch.pop("labels")) for batch in map(texts.__getitem__, range(len(texts)))
            )
            found[name] = share_correct(lambda b: model(**b).logits, batches), len(split)
        return found

    def _train(self, architecture: Architecture, trial: BaseTrial) -> float | tuple[float, ...]:
        kept = self.space.kept(architecture)
        fingerprint = {"kept": list(kept), **self.settings()}
        with (
            TrialRun(trial, self.artifacts, fingerprint=fingerprint) as run,
            isolated(self.device),
        ):
            self._probe_once()
            trial.set_user_attr("architecture", str(architecture))
            trial.set_user_attr("kept_layers", list(kept))
            run.publish("layers.svg", cell_svg(architecture))
            if self.warm_start:
                run.log(full_accuracy=self._warm.accuracy)
            model = thin(self._start, kept)
            saved = run.restore()
            measured = Measurements(self._goals, run, self._measured_on)
            measured.before_training(model.to(self.device), self._example)
            run.log(**self.data.measured_on)
            try:
                values = self._fit(model, measured, run, saved)
            except DivergedError as error:
                trial.set_user_attr("diverged", str(error))
                raise optuna.TrialPruned(f"The training diverged: {error}.") from error
            finally:
                publish_learning_curve(run, trial.number, axis="evaluation")
            run.finish(values, model.state_dict())
            return values if len(values) > 1 else values[0]

    def _fit(
        self, model: Any, measured: Measurements, run: TrialRun, saved: Mapping[str, Any] | None
    ) -> tuple[float, ...]:
        share = measured.found["parameters"] / self._pretrained.parameters

        def learned(accuracy: float) -> dict[str, float]:
            return {"accuracy": accuracy, "score": accuracy - self.parameter_weight * share}

        def evaluated(progress: Progress) -> None:
            run.log(seconds=progress.seconds, validation_accuracy=progress.accuracy)
            run.report(learned(progress.accuracy)[self._goals.names[0]], progress.evaluation)
            run.checkpoint(progress.state())

        tuning = self._fine_tuning(model, self._trial_seed(run.origin))
        accuracy = tuning.run(evaluated, saved)
        run.log(validation_accuracy=accuracy, test_accuracy=tuning.accuracy_on_test())
        measured.after_training(model, self._example)
        return measured.values(learned(accuracy))

    def _fine_tuning(self, model: Any, seed: int) -> FineTuning:
        return FineTuning(
            model, self._tokens, self.task, self.recipe, seed=seed, device=self.device
        )

    @cached_property
    def _example(self) -> dict[str, torch.Tensor]:
        """The inputs that models are measured with: a text of middling length."""
        split = self._tokens.validation
        middle = np.argsort(split.lengths, kind="stable")[len(split) // 2]
        [batch] = self._tokens.batches(split, [np.array([middle])])
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def _speedup(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> float:
        """How many times as fast as the full model a model is."""
        full = self._pretrained.thin(range(self.space.num_layers)).eval()
        networks = model, full.to(device_of(inputs))
        own, whole = time_networks(networks, inputs)
        return whole.times_as_long(own)

    @cached_property
    def _warm(self) -> WarmStart:
        def make() -> tuple[Any, FineTuning]:
            model = self._pretrained.thin(range(self.space.num_layers))
            return model, self._fine_tuning(model, self.seed)

        return warm_start(self._place, self._training_settings(), make)

    @cached_property
    def _start(self) -> Any:
        """The full model that trials inherit from."""
        if not self.warm_start:
            return self._pretrained.model
        full = self._pretrained.thin(range(self.space.num_layers))
        full.load_state_dict(self._warm.weights)
        return full

    def _probe_once(self) -> None:
        """Try a step of the largest model on the longest texts, before any trial is trained."""
        if self._probed or self.device.type == "cpu":  # whose memory ends without an error
            return
        largest = self._pretrained.thin(range(self.space.max_layers))
        longest = self._tokens.longest_first(self._tokens.train, self.recipe.batch_size)[0]
        probe(largest, longest, self.device)
        self._probed = True

    def _training_settings(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "weights": self._pretrained.digest,
            "data": self.data.describe(),
            "max_length": self.max_length,
            "seed": self.seed,
            **vars(self.recipe),
        }

    def _trial_seed(self, number: int) -> int:
        # Hashed together, so that trials of searches with neighbouring seeds do not coincide.
        return int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])
