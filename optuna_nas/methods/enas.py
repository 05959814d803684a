"""ENAS: a controller that draws architectures, and is rewarded for their shared weights.

1. The controller is an LSTM: it makes the choices of the space one after the other, and each
   choice, as an embedding, is what it reads before the next one. Logits z become
   C·tanh(z / T), with a smaller C for choices of operations.
2. In each step of the network's weights the controller draws an architecture, and only that is
   computed.
3. The controller climbs the accuracy on batches of held-out images (see `reinforce`), with the
   entropy as a part of the reward.
4. In the end the controller draws candidates, which are measured on one batch of held-out images;
   the best of them on all. The best one is kept.

It works on every space that has a supernet and whose parameters are choices: cells (micro), or
whole networks with their skip connections (macro).

Reference: H. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing",
ICML 2018, arXiv:1802.03268; settings of the published code for micro.

*Departures*: the controller has a step with every ninth batch, which makes the 30 steps of an
epoch that are published to come after it. Its choices of inputs are a linear layer's, where they
are an attention to earlier nodes as published; and its first choices are not biased towards
convolutions. The learning rate of the weights falls once, not with restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_positive
from optuna_nas._options import check_options, option
from optuna_nas.methods.execution import SampledOperations
from optuna_nas.methods.method import Method
from optuna_nas.methods.random_ws import BestOfRandom
from optuna_nas.methods.reinforce import Reinforce
from optuna_nas.methods.schedule import Schedule

if TYPE_CHECKING:
    import torch

    from optuna_nas.methods.controller import Controller
    from optuna_nas.methods.engine import Engine
    from optuna_nas.methods.shared_weights import SharedWeights
    from optuna_nas.spaces import Architecture
    from optuna_nas.supernets import Supernet


@dataclass(frozen=True, kw_only=True)
class LSTMPolicy:
    """The controller's size and how its logits are bounded.

    Attributes:
        controller_units: Units of the LSTM.
        tanh_constant: The bound C of logits.
        tanh_reduction: What C is divided by for choices of operations.
        logit_temperature: What logits are divided by before.

    Raises:
        ValueError: A number is not positive.
    """

    controller_units: int = option(64, "Units of the controller.", minimum=1)
    tanh_constant: float = option(
        1.1, "Bound of the controller's logits.", tunable=True, check=checked_positive
    )
    tanh_reduction: float = option(
        2.5, "What the bound is divided by for operations.", check=checked_positive
    )
    logit_temperature: float = option(
        1.0, "What the controller's logits are divided by.", check=checked_positive
    )

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(
        self, method: Method, supernet: Supernet, generator: torch.Generator
    ) -> Controller:
        """Build the controller of a supernet."""
        from optuna_nas.methods.controller import Controller

        return Controller(
            supernet,
            units=self.controller_units,
            bound=self.tanh_constant,
            operations_bound=self.tanh_constant / self.tanh_reduction,
            temperature=self.logit_temperature,
            generator=generator,
        )


@dataclass(frozen=True)
class BestOfPolicy(BestOfRandom):
    """The best of what the controller draws, with the shared weights."""

    def drawn(self, search: Engine, shared: SharedWeights) -> list[Architecture]:
        """The candidates."""
        import torch

        generator = torch.Generator().manual_seed(int(shared.rng.integers(2**31)))
        found: list[Architecture] = search.architecture.architectures(generator, self.candidates)
        return found


ENAS = Method(
    name="enas",
    summary="an LSTM that draws architectures and is rewarded for them",
    architecture=LSTMPolicy(),
    step=Reinforce(),
    execution=SampledOperations(),
    selection=BestOfPolicy(candidates=100),
    schedule=Schedule(
        epochs=150,
        batch_size=160,
        learning_rate=0.05,
        final_learning_rate=0.0005,
        nesterov=True,
        weight_decay=1e-4,
        architecture_learning_rate=0.0035,
        architecture_weight_decay=0.0,
        betas=(0.0, 0.999),
        architecture_every=9,
    ),
    small={"epochs": 40, "batch_size": 32, "architecture_every": 2, "samples": 5},
)
