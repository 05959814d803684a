"""REINFORCE: the architecture as a policy that is rewarded for what it draws.

In each step of the architecture

1. some architectures are drawn from the policy, and each has a reward: its score on a batch of
   held-out images, with the shared weights, plus a multiple of the entropy of the draw;
2. the baseline b moves towards each reward r in turn, b ← b - (1 - decay)·(b - r), from zero;
3. the policy takes a step along the mean of (r - b)·∇ log P(architecture).

References: R. Williams, "Simple statistical gradient-following algorithms for connectionist
reinforcement learning", Machine Learning 8, 1992; as used by H. Pham et al., "Efficient Neural
Architecture Search via Parameter Sharing", ICML 2018, arXiv:1802.03268.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from optuna_nas._checks import checked_share
from optuna_nas._options import check_options, option

if TYPE_CHECKING:
    import torch

    from optuna_nas.methods.engine import Batch, Engine
    from optuna_nas.supernets import Weights


class Draws(NamedTuple):
    """Architectures that a policy drew.

    Attributes:
        weights: The weights that are each of them.
        log_probabilities: The logarithm of the probability of each; gradients flow through them.
        entropies: The sum of the entropies of the choices that each was made by; no gradients.
    """

    weights: list[Weights]
    log_probabilities: torch.Tensor
    entropies: torch.Tensor


class Policy(Protocol):
    """An architecture that draws."""

    def draw(self, generator: torch.Generator, count: int) -> Draws:
        """Draw some architectures."""


@dataclass(frozen=True, kw_only=True)
class Reinforce:
    """The architecture's step by rewards.

    Attributes:
        samples: Architectures of a step.
        baseline_decay: How slowly the baseline follows the rewards.
        entropy_weight: What a unit of entropy adds to a reward.

    Raises:
        ValueError: A number is out of range.
    """

    samples: int = option(10, "Architectures that are rewarded in a step.", minimum=1)
    baseline_decay: float = option(
        0.99, "How slowly the baseline follows rewards.", check=checked_share
    )
    entropy_weight: float = option(
        1e-4, "What a unit of entropy adds to a reward.", tunable=True, check=checked_share
    )

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, search: Engine, batch: Batch) -> None:
        """Draw, measure, and move the policy."""
        import torch

        from optuna_nas.methods.bilevel import gradients_of

        generator = torch.Generator().manual_seed(search.draw_noise())
        drawn = search.architecture.draw(generator, self.samples)
        advantages = []
        for weights, entropy in zip(drawn.weights, drawn.entropies.tolist(), strict=True):
            reward = self.reward(search, weights) + self.entropy_weight * entropy
            baseline = search.memory.get("baseline", 0.0)
            baseline -= (1 - self.baseline_decay) * (baseline - reward)
            search.memory["baseline"] = baseline
            advantages.append(reward - baseline)
        factors = torch.tensor(advantages).to(drawn.log_probabilities)
        loss = -(factors * drawn.log_probabilities).mean()
        search.move(gradients_of(loss, search.alphas))

    def reward(self, search: Engine, weights: Weights) -> float:
        """How good an architecture is, on a batch of held-out images."""
        return search.merit(search.draw_held_out(), weights)
