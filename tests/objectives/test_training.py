from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from optuna_nas.data import ImageSplit
from optuna_nas.data.augmentation import Augmentation
from optuna_nas.objectives.options import TrainingOptions
from optuna_nas.objectives.training import Trainer, evaluate
from optuna_nas.tasks import ACCURACY, Task
from optuna_nas.trials.divergence import DivergedError
from tests.classifying import classifying


def noise(count: int, classes: int = 4) -> ImageSplit:
    images = torch.randn(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))  # N 1 4 4
    return ImageSplit(images, torch.arange(count) % classes)


def linear(classes: int = 4) -> nn.Module:
    """A linear classifier that starts at zero: every class has the same probability."""
    layer = nn.Linear(16, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Flatten(), layer)


class Unlearned(nn.Module):
    """Base of networks that do not learn; an optimizer wants a parameter all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(3))


def trainer(
    network: nn.Module, train: ImageSplit, task: Task | None = None, **options: Any
) -> Trainer:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 10, "weight_decay": 0.0}
    chosen = TrainingOptions(**settings | options)
    generator = torch.Generator().manual_seed(0)
    return Trainer(network, train, task or classifying(), chosen, generator)


def learning_rates(count: int, *, epochs: int, batch_size: int, peak: float = 0.1) -> list[float]:
    """The learning rate of every step of a whole training."""
    network, seen = linear(), []
    training = trainer(
        network, noise(count), epochs=epochs, batch_size=batch_size, learning_rate=peak
    )
    rates = training._optimizer.param_groups
    network.register_forward_pre_hook(lambda module, inputs: seen.append(rates[0]["lr"]))
    for _ in range(epochs):
        training.train_epoch()
    return seen


def test_learning_rate_rises_linearly_and_falls_along_a_cosine() -> None:
    rates = learning_rates(40, epochs=10, batch_size=10, peak=0.2)
    assert len(rates) == 40
    assert rates[:5] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2])
    assert rates[4 + 9] == pytest.approx(0.2 * (1 + math.sqrt(0.5)) / 2)  # a quarter of the fall
    assert rates[4 + 18] == pytest.approx(0.1)  # half of it
    assert rates[-1] == pytest.approx(0.2 * math.sin(math.pi / 72) ** 2)
    assert rates[-1] < 0.002 * 0.2
    assert all(a > b for a, b in pairwise(rates[4:]))


@pytest.mark.parametrize(
    ("count", "batch_size", "steps_of_an_epoch"),
    [(40, 10, 4), (45, 10, 5), (41, 10, 4), (7, 64, 1)],  # 41: a last image alone is left out
)
def test_learning_rate_ends_near_zero_however_the_images_divide(
    count: int, batch_size: int, steps_of_an_epoch: int
) -> None:
    rates = learning_rates(count, epochs=20, batch_size=batch_size)
    assert len(rates) == 20 * steps_of_an_epoch
    steps, warmup = len(rates), round(0.1 * len(rates))
    assert max(rates) == rates[warmup - 1] == pytest.approx(0.1)
    last = (steps - 1 - warmup) / (steps - warmup)
    assert rates[-1] == pytest.approx(0.1 * (1 + math.cos(math.pi * last)) / 2)
    assert rates[-1] < 0.001


def test_a_training_of_one_step_uses_the_peak() -> None:
    assert learning_rates(8, epochs=1, batch_size=8) == [0.1]


def test_the_mean_loss_counts_images_not_batches() -> None:
    class SureOfTheLastBatch(Unlearned):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            sure = 100.0 if len(images) == 3 else 0.0
            return torch.tensor([0.0, sure, 0.0, 0.0]).expand(len(images), 4)

    split = ImageSplit(noise(13).images, torch.ones(13, dtype=torch.int64))
    loss = trainer(SureOfTheLastBatch(), split).train_epoch()  # ten of log 4, three of 0
    assert loss == pytest.approx(10 / 13 * math.log(4))


def test_a_network_that_knows_nothing_has_the_loss_of_a_guess() -> None:
    training = trainer(linear(), noise(40), learning_rate=1e-9)
    assert training.train_epoch() == pytest.approx(math.log(4), abs=1e-6)


def test_the_auxiliary_head_counts_two_fifths() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = linear(), linear()

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.body(images), self.head(images)

    network = TwoHeads()
    loss = trainer(network, noise(40), learning_rate=1e-9, momentum=0.0).train_epoch()
    assert loss == pytest.approx(1.4 * math.log(4), abs=1e-6)
    # The same inputs and the same start: the gradients differ by the factor alone.
    body, head = (part[1].weight for part in (network.body, network.head))  # type: ignore[index]
    torch.testing.assert_close(head, 0.4 * body)


def test_the_gradient_is_clipped() -> None:
    network = linear()
    trainer(
        network,
        noise(10),
        learning_rate=1.0,
        momentum=0.0,
        gradient_clip=0.01,
    ).train_epoch()
    change = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    assert float(change.norm()) == pytest.approx(0.01, rel=1e-3)


def test_weight_decay_shrinks_what_gets_no_gradient() -> None:
    network = linear()
    with torch.no_grad():
        network[1].bias.fill_(2.0)  # type: ignore[index]  # the same for all classes
    labels = torch.arange(12) % 4  # as many of each class
    images = ImageSplit(torch.zeros(12, 1, 4, 4), labels)
    trainer(
        network, images, batch_size=12, learning_rate=0.5, momentum=0.0, weight_decay=0.1
    ).train_epoch()
    torch.testing.assert_close(network[1].bias, torch.full((4,), 2.0 * (1 - 0.5 * 0.1)))  # type: ignore[index]


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_ends_the_training(logit: float) -> None:
    class Broken(Unlearned):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(images), 4)
            logits[:, 0] = logit
            return logits

    with pytest.raises(DivergedError, match=r"the mean training loss of the epoch is (nan|inf)"):
        trainer(Broken(), noise(20)).train_epoch()


def test_a_network_without_parameters_is_left_as_it_is() -> None:
    class Constant(Unlearned):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(images), 4)

    network = Constant()
    assert trainer(network, noise(20)).train_epoch() == pytest.approx(math.log(4))
    torch.testing.assert_close(network.unused, torch.ones(3))


def test_each_epoch_is_shuffled_and_sees_every_image_once() -> None:
    class Recorder(Unlearned):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[float] = []

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.seen += images[:, 0, 0, 0].tolist()
            return torch.zeros(len(images), 4)

    images = torch.arange(30.0).view(30, 1, 1, 1).expand(30, 1, 4, 4)
    network = Recorder()
    training = trainer(network, ImageSplit(images, torch.arange(30) % 4), epochs=2)
    training.train_epoch()
    training.train_epoch()
    first, second = network.seen[:30], network.seen[30:]
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second != list(range(30))


def test_going_on_from_a_state_is_the_same_training() -> None:
    def make() -> tuple[nn.Module, Trainer]:
        network = nn.Sequential(linear(), nn.BatchNorm1d(4))
        task = classifying(Augmentation(flip=True, crop_padding=1, cutout=2))
        return network, trainer(network, noise(33), epochs=4, task=task)

    network, whole = make()
    first_part = make()[1]
    for _ in range(2):
        whole.train_epoch()
        first_part.train_epoch()
    other, second_part = make()
    second_part.load(first_part.state())
    for _ in range(2):
        assert whole.train_epoch() == second_part.train_epoch()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_accuracy_counts_every_image_in_evaluation_mode() -> None:
    class OnlyInTraining(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(images), 4)
            logits[:, 3 if self.training else 1] = 1.0
            return logits

    labels = torch.full((1100,), 2)  # more than two batches of an evaluation
    labels[::11] = 1
    labels[-1] = 1
    split = ImageSplit(torch.zeros(1100, 1, 4, 4), labels)
    assert evaluate(OnlyInTraining().train(), split, ACCURACY).value == 101 / 1100
