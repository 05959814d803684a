"""SmoothDARTS: the network's weights learn at perturbed weights of the operations.

1. In each step of the network's weights, the weights of the operations are perturbed by at most ε,
   which grows linearly; each edge's are then clipped to [0, 1] and scaled to their former sum.
2. The perturbation is random, uniform from -ε to ε; or it is searched for by projected gradient
   ascent of the loss from such a start, and is dropped if the loss is not above the clean one.
3. The parameters of the architecture stay as they are in this step. All else is as in DARTS.

What is learnt so is a network whose loss changes little between the relaxed and the derived
architecture.

Reference: X. Chen, C.-J. Hsieh, "Stabilizing Differentiable Architecture Search via
Perturbation-based Regularization", ICML 2020, arXiv:2002.05283.

*Departures*: ε grows with every step, not with every epoch. An edge whose weights are all clipped
to zero keeps those it had, where the published code gives all to the former largest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optuna_nas._checks import checked_positive
from optuna_nas._options import check_options, option
from optuna_nas.methods.darts import DARTS

if TYPE_CHECKING:
    import torch

    from optuna_nas.supernets import Weights


@dataclass(frozen=True)
class RandomPerturbation:
    """A uniform perturbation of each weight.

    Attributes:
        epsilon: The largest change of a weight in the beginning.
        final_epsilon: That in the end.

    Raises:
        ValueError: A number is not positive.
    """

    epsilon: float = option(
        0.03, "Largest change of a weight in the beginning.", tunable=True, check=checked_positive
    )
    final_epsilon: float = option(
        0.3, "What it grows to linearly.", tunable=True, check=checked_positive
    )

    def __post_init__(self) -> None:
        check_options(self)

    def epsilon_at(self, progress: float) -> float:
        """The largest change after this share of the training, from 0 to 1."""
        return self.epsilon + (self.final_epsilon - self.epsilon) * progress

    def __call__(
        self,
        weights: Weights,
        loss: Callable[[Weights], torch.Tensor],
        generator: torch.Generator,
        progress: float,
    ) -> Weights:
        """The perturbed weights."""
        return moved(weights, self.noise(weights, generator, progress))

    def noise(self, weights: Weights, generator: torch.Generator, progress: float) -> Weights:
        """Uniform changes, in the shapes of the weights."""
        import torch

        epsilon = self.epsilon_at(progress)
        drawn = {kind: torch.rand(w.shape, generator=generator) for kind, w in weights.items()}
        return {kind: epsilon * (2 * drawn[kind].to(w) - 1) for kind, w in weights.items()}


@dataclass(frozen=True)
class AdversarialPerturbation(RandomPerturbation):
    """The perturbation with the largest loss that projected gradient ascent finds.

    Attributes:
        attack_steps: Steps of the ascent, each of 2ε / `attack_steps` in every weight.

    Raises:
        ValueError: There are no steps.
    """

    attack_steps: int = option(7, "Steps that look for the worst perturbation.", minimum=1)

    def __call__(
        self,
        weights: Weights,
        loss: Callable[[Weights], torch.Tensor],
        generator: torch.Generator,
        progress: float,
    ) -> Weights:
        """The perturbed weights, or those that were given if no perturbation is worse."""
        import torch

        epsilon = self.epsilon_at(progress)
        length = 2 * epsilon / self.attack_steps
        changes = dict(self.noise(weights, generator, progress))
        for _ in range(self.attack_steps):
            tried = {k: w.requires_grad_() for k, w in moved(weights, changes).items()}
            gradients = torch.autograd.grad(
                loss(tried), list(tried.values()), materialize_grads=True
            )
            for (kind, w), gradient in zip(tried.items(), gradients, strict=True):
                change = w.detach() - weights[kind] + length * gradient.sign()
                changes[kind] = change.clamp(-epsilon, epsilon)
        found = moved(weights, changes)
        with torch.no_grad():
            worse = bool(loss(found) > loss(weights))
        return found if worse else weights


def moved(weights: Weights, changes: Weights) -> dict[str, torch.Tensor]:
    """Weights after a change, each edge's in [0, 1] and with the sum that they had."""
    import torch

    found = {}
    for kind, w in weights.items():
        clipped = (w.detach() + changes[kind]).clamp(0, 1)
        totals = clipped.sum(dim=-1, keepdim=True)
        scaled = clipped * (w.sum(dim=-1, keepdim=True) / totals)
        found[kind] = torch.where(totals > 0, scaled, w).detach()
    return found


SMOOTH_DARTS = replace(
    DARTS,
    name="smooth_darts",
    summary="DARTS whose network learns at randomly perturbed weights of operations",
    perturbation=RandomPerturbation(),
)
SMOOTH_DARTS_ADVERSARIAL = replace(
    DARTS,
    name="smooth_darts_adversarial",
    summary="DARTS whose network learns at the worst weights of operations nearby",
    perturbation=AdversarialPerturbation(),
)
