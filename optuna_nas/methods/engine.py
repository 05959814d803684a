"""The engine: the one loop over the steps of any method, on any supernet.

For each batch of training examples:

1. the method's step moves the architecture, by Adam along a gradient; not in epochs of warm-up,
   and only with every k-th batch if the schedule says so;
2. weights of the operations are drawn, perturbed if the method does so, and the network's weights
   take a step of SGD on the loss of the batch, with the gradient clipped.

After each epoch the architecture's strengths are recorded, and the method may stop the search and
go back to an earlier epoch.

Reference: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
arXiv:1806.09055, algorithm 1 and appendix A.1.

*Departures*: running statistics of batch norm follow the batches of the weights' steps only; in
the reference code also those of the architecture's, at shifted weights too. Held-out batches are
drawn anew for each step, as there.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import nn

from optuna_nas._numerics import autocast, numerics
from optuna_nas.data import Split, batches
from optuna_nas.methods.bilevel import constant
from optuna_nas.methods.costs import CostOf, cost_of
from optuna_nas.methods.trajectory import Trajectory
from optuna_nas.supernets import RelaxedNetwork, Supernet, Weights, frozen_statistics
from optuna_nas.trials.divergence import DivergedError

if TYPE_CHECKING:
    from optuna_nas.methods.method import Method
    from optuna_nas.tasks import Task

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Augmented inputs `B ...` and their targets `B ...`."""


class Engine:
    """Trains one supernet and its architecture by a method.

    Args:
        method: The method.
        supernet: The supernet, on its device.
        architecture: What gives the weights of the operations, on the same device.
        train: The examples for the weights, on the same device.
        held_out: The examples for the architecture, likewise.
        task: What is learnt: its loss, its score, and what is done to every batch.
        generator: Source of shuffling, augmentation and of a relaxation's noise, on the CPU.

    Attributes:
        method: The method.
        supernet: The supernet.
        architecture: What gives the weights of the operations.
        held_out: The examples for the architecture.
        task: What is learnt.
        weights: The weights of the supernet.
        alphas: The parameters of the architecture.
        weight_optimizer: The optimiser of the weights.
        trajectory: The strengths after every epoch.
        kept_epochs: How many epochs of the trajectory count, when the method has stopped the
            search; None as long as it has not.
        records: What else was measured, by name and by the number of epochs before.
        memory: What the choices of the method remember from step to step, by name.
    """

    def __init__(
        self,
        method: Method,
        supernet: Supernet,
        architecture: Any,
        train: Split,
        held_out: Split,
        *,
        task: Task,
        generator: torch.Generator,
    ) -> None:
        schedule = method.schedule
        self.method = method
        self.supernet = supernet
        self.architecture = architecture
        self.held_out = held_out
        self.task = task
        self.generator = generator
        self._train = train
        self._batch_size = min(schedule.batch_size, len(train))
        whole, rest = divmod(len(train), self._batch_size)
        self._steps = schedule.epochs * (whole + (rest > 1))
        self._step = 0
        self.epochs = 0
        self.kept_epochs: int | None = None
        self.records: dict[str, dict[int, float]] = {}
        self.memory: dict[str, float] = {}
        self._snapshots: dict[int, dict[str, Any]] = {}
        self._costs: dict[str, CostOf] = {}
        self.weights = list(supernet.parameters())
        self.alphas = list(architecture.parameters())
        self.weight_optimizer = schedule.weight_optimizer(self.weights)
        self._architecture_optimizer = (
            schedule.architecture_optimizer(self.alphas) if self.alphas else None
        )
        supernet.plain = method.execution.plain(self.weights[0].device)
        supernet.sampled = method.execution.sampled
        self.trajectory = Trajectory()
        self.trajectory.record(architecture.strengths())

    def train_epoch(self) -> float:
        """Pass once over the training examples.

        Returns:
            The mean training loss.

        Raises:
            DivergedError: The loss, or the architecture, is not finite.
        """
        schedule = self.method.schedule
        with numerics(schedule.precision, deterministic=schedule.deterministic):
            return self._train_epoch()

    def _train_epoch(self) -> float:
        self.supernet.train()
        for group in self.weight_optimizer.param_groups:
            group["lr"] = self.learning_rate
        losses, counts = [], []
        for inputs, targets in batches(self._train, self._batch_size, self.generator):
            batch = self._augmented(inputs), targets
            if self.method.step is not None and self._architecture_moves:
                self.method.step(self, batch)
            losses.append(self._step_weights(batch))  # on the device, which is not waited for
            counts.append(len(targets))
            self._step += 1
        self.epochs += 1
        count = sum(counts)
        total: float = sum(
            loss * n for loss, n in zip(torch.stack(losses).tolist(), counts, strict=True)
        )
        if not math.isfinite(total):
            raise DivergedError(f"the mean training loss of the epoch is {total / count}")
        if not all(bool(alpha.isfinite().all()) for alpha in self.alphas):
            raise DivergedError("the parameters of the architecture are not finite")
        self.trajectory.record(self.architecture.strengths())
        if self.method.stopping is not None:
            self.kept_epochs = self.method.stopping(self)
        return total / count

    def strengths(self) -> Weights:
        """The strengths that count: the last ones, or those that the search went back to."""
        return self.trajectory[-1 if self.kept_epochs is None else self.kept_epochs]

    def networks(self) -> list[RelaxedNetwork]:
        """The supernet with weights to evaluate it by; the mean of their scores counts.

        Where operations are sampled by parameters, it is the path that would be derived. A path is
        evaluated with the statistics of each batch: the running ones are those of all paths.
        """
        sampled = self.method.execution.sampled
        found: list[Weights] = self.architecture.evaluated()
        if sampled and self.alphas:
            found = [self.supernet.encode(self.supernet.derive(weights)) for weights in found]
        return [RelaxedNetwork(self.supernet, w, batch_statistics=sampled) for w in found]

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on exactly from here."""
        return {
            **self._learnt(),
            "generator": self.generator.get_state(),
            "step": self._step,
            "epoch": self.epochs,
            "kept_epochs": self.kept_epochs,
            "records": {name: dict(found) for name, found in self.records.items()},
            "memory": dict(self.memory),
            "snapshots": dict(self._snapshots),
            "trajectory": self.trajectory.state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._load_learnt(state)
        self.generator.set_state(state["generator"])
        self._step = state["step"]
        self.epochs = state["epoch"]
        self.kept_epochs = state["kept_epochs"]
        self.records = {name: dict(found) for name, found in state.get("records", {}).items()}
        self.memory = dict(state.get("memory", {}))
        self._snapshots = dict(state.get("snapshots", {}))
        self.trajectory.load(state["trajectory"])

    def _learnt(self) -> dict[str, Any]:
        optimizer = self._architecture_optimizer
        return {
            "supernet": self.supernet.state_dict(),
            "architecture": self.architecture.state_dict(),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "architecture_optimizer": None if optimizer is None else optimizer.state_dict(),
        }

    def _load_learnt(self, state: Mapping[str, Any]) -> None:
        self.supernet.load_state_dict(state["supernet"])
        self.architecture.load_state_dict(state["architecture"])
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        if self._architecture_optimizer is not None:
            self._architecture_optimizer.load_state_dict(state["architecture_optimizer"])

    # What choices of a method do with a search.

    def record(self, name: str, value: float) -> None:
        """Write down a number that was measured after the present epoch."""
        self.records.setdefault(name, {})[self.epochs] = value

    def keep(self, last: int) -> None:
        """Keep what is learnt by now, to go back to; of the last so many times only."""
        self._snapshots[self.epochs] = copy.deepcopy(self._learnt())
        for epochs in sorted(self._snapshots)[:-last]:
            del self._snapshots[epochs]

    def go_back(self, epochs: int) -> None:
        """Go back to what was learnt by then, and kept; the number of epochs goes on.

        Raises:
            KeyError: It was not kept.
        """
        self._load_learnt(copy.deepcopy(self._snapshots[epochs]))
        self._snapshots.clear()

    def cost_of(self, costs: str) -> CostOf:
        """What the operations cost (see `costs`), looked up once."""
        if costs not in self._costs:
            self._costs[costs] = cost_of(costs, self.supernet, self._train.inputs.shape[1:])
        return self._costs[costs]

    def branch(self, method: Method, architecture: Any, generator: torch.Generator) -> Engine:
        """Another search on the same examples, with a copy of the supernet as it is now."""
        return Engine(
            method,
            copy.deepcopy(self.supernet),
            architecture,
            self._train,
            self.held_out,
            task=self.task,
            generator=generator,
        )

    def move(self, gradients: Sequence[torch.Tensor]) -> None:
        """Move the architecture by a step of its optimiser, along a gradient of each parameter."""
        assert self._architecture_optimizer is not None
        for alpha, gradient in zip(self.alphas, gradients, strict=True):
            alpha.grad = gradient
        self._architecture_optimizer.step()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the weights in the present epoch."""
        return self.method.schedule.learning_rate_at(self.epochs)

    @property
    def progress(self) -> float:
        """How much of the training is over, from 0 to 1."""
        return self._step / self._steps

    def draw_held_out(self) -> Batch:
        """A batch of held-out examples, drawn anew."""
        order = torch.randperm(len(self.held_out), generator=self.generator)
        rows = order[: self._batch_size].to(self.held_out.targets.device)
        return self._augmented(self.held_out.inputs[rows]), self.held_out.targets[rows]

    def draw_noise(self) -> int:
        """What the noise of a step comes from: with it a sample can be drawn again."""
        return int(torch.randint(2**31, (), generator=self.generator))

    def sample(self, noise: int) -> Weights:
        """The weights of the operations for a step."""
        weights: Weights = self.architecture(_seeded(noise), self.progress)
        return weights

    def loss(
        self, batch: Batch, weights: Weights, computed: Weights | None = None
    ) -> torch.Tensor:
        """The loss of a batch.

        Args:
            batch: The inputs and their targets.
            weights: The weights of the operations.
            computed: Which operations are computed; None for those that have a weight.
        """
        inputs, targets = batch
        own = {kind: w[: len(targets)] if w.ndim == 3 else w for kind, w in weights.items()}
        with autocast(self.method.schedule.precision, inputs.device):
            outputs = self.supernet(inputs, own, computed)
        return self.task.loss(outputs.float() if _is_half(outputs) else outputs, targets)

    def merit(self, batch: Batch, weights: Weights) -> float:
        """The score of a batch, negated if less of it is better; statistics stay as they are."""
        inputs, targets = batch
        network = RelaxedNetwork(self.supernet, weights, batch_statistics=True)
        with torch.no_grad():
            value = self.task.score.measure([(network(inputs), targets)]).value
        return self.task.score.sign * value

    def architecture_loss(self, batch: Batch, noise: int) -> torch.Tensor:
        """The loss that the architecture is to minimise: that of a batch, regularised."""
        weights = self.sample(noise)
        return self.regularised(self.loss(batch, weights), weights, noise)

    def regularised(self, loss: torch.Tensor, weights: Weights, noise: int) -> torch.Tensor:
        """A loss of the architecture, with what the method adds to it."""
        if self.method.regulariser is None:
            return loss
        return self.method.regulariser(loss, weights, self, _seeded(noise))

    @property
    def _architecture_moves(self) -> bool:
        schedule = self.method.schedule
        due = self._step % schedule.architecture_every == 0
        return bool(self.alphas) and due and self.epochs >= schedule.warm_up_epochs

    def _step_weights(self, batch: Batch) -> torch.Tensor:
        noise = self.draw_noise()
        with torch.no_grad():
            weights = self.sample(noise)
        if self.method.perturbation is not None:
            with frozen_statistics(self.supernet), constant(self.weights):
                weights = self.method.perturbation(
                    weights, lambda w: self.loss(batch, w), _seeded(noise), self.progress
                )
        loss = self.loss(batch, weights)
        self.weight_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.weights, self.method.schedule.gradient_clip)
        self.weight_optimizer.step()
        return loss.detach()

    def _augmented(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.task.augment(inputs, self.generator)


def _is_half(outputs: torch.Tensor) -> bool:
    return outputs.dtype in (torch.bfloat16, torch.float16)


def _seeded(noise: int) -> torch.Generator:
    return torch.Generator().manual_seed(noise)
