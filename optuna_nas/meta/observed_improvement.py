"""Learning to look for a minimum without gradients, on draws of Gaussian processes.

1. A batch of functions is drawn, in a random number of dimensions: Gaussian processes, each with a
   bowl as its mean, of more or less weight.
2. The network of `RNNSampler` looks at a few random points of each, and then proposes points of
   its own.
3. The loss is what it has not improved, the *observed improvement*
   E Σ_t min(f(x_t) - min_{i<t} f(x_i), 0), differentiated through points, values and states. The
   sum telescopes to min_t f(x_t) - f(x_1).

Reference: Y. Chen et al., "Learning to Learn without Gradient Descent by Gradient Descent", ICML
2017, arXiv:1611.03824, equations 2 to 6.

*Departures*: one network for all dimensions, with its weights shared by the coordinates, where the
paper trains one for each; it starts from random points, which tell the coordinates apart. The
number of steps is drawn anew for each batch, so that it does not matter when a search ends. The
bowls are ours: without them a smooth draw has its minimum in a corner of the box, and the network
learns to look there, which is of no use on functions of practice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_nas.samplers._recurrent import HIDDEN, SHAPES, nothing_yet, observe, propose

_WAVES = 128


@dataclass(frozen=True)
class Functions:
    """Draws of Gaussian processes with a squared-exponential kernel, as sums of random waves.

    Attributes:
        frequencies: `B waves d`.
        phases: `B waves`.
        amplitudes: `B waves`.
        centres: The lowest points of the bowls, `B d`.
        curvatures: How much the bowls rise from there, `B d`.
    """

    frequencies: Tensor
    phases: Tensor
    amplitudes: Tensor
    centres: Tensor
    curvatures: Tensor

    @classmethod
    def draw(
        cls, size: int, dimensions: int, generator: torch.Generator, *, bowls: bool = True
    ) -> Functions:
        """Draw functions on [-1, 1]^d, each with a length scale of its own for every coordinate.

        The scales are between .35 and 3 times the root of d/2. Process and bowl together have
        unit variance; the bowl's share of it is uniform, or 0 without `bowls`.
        """
        low, high = math.log(0.35), math.log(3.0)
        common = low + (high - low) * torch.rand(size, 1, 1, generator=generator)
        own = 0.4 * torch.randn(size, 1, dimensions, generator=generator)
        lengths = (common + own).exp() * math.sqrt(dimensions / 2)
        centres = 1.6 * torch.rand(size, dimensions, generator=generator) - 0.8
        curvatures = (0.5 * torch.randn(size, dimensions, generator=generator)).exp()
        # The variance of (x - c)² is 4/45 + 4c²/3 for x uniform in [-1, 1].
        variances = curvatures.square() * (4 / 45 + 4 / 3 * centres.square())
        share = torch.rand(size, 1, generator=generator) * bowls
        shape = (size, _WAVES)
        return cls(
            torch.randn(*shape, dimensions, generator=generator) / lengths,
            2 * math.pi * torch.rand(shape, generator=generator),
            torch.randn(shape, generator=generator) * ((1 - share) * 2 / _WAVES).sqrt(),
            centres,
            curvatures * (share / variances.sum(1, keepdim=True)).sqrt(),
        )

    def __call__(self, x: Tensor) -> Tensor:
        """The values at one point of each function: `B d` -> `B`."""
        waves = torch.cos((self.frequencies @ x[..., None])[..., 0] + self.phases)
        bowl = self.curvatures * (x - self.centres).square()
        return (self.amplitudes * waves).sum(1) + bowl.sum(1)


def observed_improvements(values: Tensor) -> Tensor:
    """What each point is better than the best before it: `T B` -> `T-1 B`, zero or negative."""
    best = torch.cummin(values, 0).values
    return (values[1:] - best[:-1]).clamp(max=0)


def search(
    weights: Mapping[str, Tensor], functions: Functions, starts: Tensor, steps: int
) -> Tensor:
    """Let the network search.

    Args:
        weights: The network's weights.
        functions: The functions.
        starts: Random points to begin with, `S B d`.
        steps: The number of points in all.

    Returns:
        The values of all points, `steps B`.
    """
    memory = nothing_yet(starts[0], torch)
    values: list[Tensor] = []
    for step in range(steps):
        x = starts[step] if step < len(starts) else propose(weights, memory, torch)
        values.append(functions(x))
        memory = observe(weights, memory, x, values[-1], torch, torch.detach)
    return torch.stack(values)


def initial_weights(generator: torch.Generator) -> dict[str, Tensor]:
    """Draw the weights before the training."""
    weights = {
        name: torch.randn(shape, generator=generator) / math.sqrt(HIDDEN) * (len(shape) > 1)
        for name, shape in SHAPES.items()
    }
    weights["bias"][:HIDDEN] = 1.0  # remember, to begin with
    return weights


def meta_train(
    iterations: int,
    seed: int = 0,
    *,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    largest_dimension: int = 6,
    horizon: int = 40,
    weights: dict[str, Tensor] | None = None,
) -> Iterator[tuple[dict[str, Tensor], float]]:
    """Train the network.

    Args:
        iterations: Batches of functions.
        seed: Seed of everything.
        batch_size: Functions of a batch.
        learning_rate: Learning rate of Adam at the start; it falls to zero along a cosine.
        largest_dimension: Functions have one to so many coordinates.
        horizon: The largest number of points of a search; at least 10.
        weights: What to start from; None for new ones.

    Yields:
        The weights after each batch, and the observed improvement on it.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = initial_weights(generator) if weights is None else weights
    parameters = [w.requires_grad_() for w in weights.values()]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    for _ in range(iterations):
        d, steps, starts = (
            int(torch.randint(low, high + 1, (), generator=generator))
            for low, high in ((1, largest_dimension), (10, horizon), (1, 5))
        )
        functions = Functions.draw(batch_size, d, generator)
        points = 2 * torch.rand(starts, batch_size, d, generator=generator) - 1
        values = search(weights, functions, points, steps)
        loss = observed_improvements(values).sum(0).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        yield weights, float(loss.detach())
