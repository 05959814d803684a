"""The weights of `RNNSampler`, and what it does on functions that it was not trained on.

    python -m benchmarks.rnn_sampler train                # writes the weights of the package
    python -m benchmarks.rnn_sampler compare              # writes results/rnn_sampler.csv and .md

*train* draws functions from Gaussian processes, lets the network search on them, and
differentiates what it has improved (`optuna_nas.meta.observed_improvement`), on one thread.

*compare* searches ten standard test functions of two to six dimensions. Their boxes are shifted,
so that no minimum is in the middle, where a sampler might look by habit. Values are scaled from
the best, 0, to the median of random points, 1.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import typer
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from optuna_nas.samplers import RNNSampler

RESULTS = Path(__file__).with_name("results")
WEIGHTS = Path(__file__).parents[1] / "optuna_nas" / "samplers" / "rnn_weights.npz"
ITERATIONS, BATCH, HORIZON = 3000, 64, 30
STOP = 2001
"""After them what is reached on held-out draws in 20 points changed little."""
POINTS = (5, 10, 20)

app = typer.Typer(add_completion=False)

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Function:
    """A test function.

    Attributes:
        value: Its value at a point.
        low: The lower end of the box in every dimension.
        high: The upper end.
        dimensions: How many.
        best: Its least value.
    """

    value: Callable[[Point], float]
    low: float
    high: float
    dimensions: int
    best: float = 0.0


def branin(x: Point) -> float:
    """On [-5, 10] x [0, 15], as shifted by the caller."""
    a, b = x[0], x[1] + 5
    inner = b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6
    return float(inner**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10)


def camel(x: Point) -> float:
    """Six humps."""
    a, b = x
    return float((4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (4 * b**2 - 4) * b**2)


def rosenbrock(x: Point) -> float:
    """A curved valley."""
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rastrigin(x: Point) -> float:
    """A bowl with ripples."""
    return float((x**2 - 10 * np.cos(2 * math.pi * x) + 10).sum())


def ackley(x: Point) -> float:
    """A funnel with ripples."""
    root, waves = math.sqrt((x**2).mean()), np.cos(2 * math.pi * x).mean()
    return float(20 - 20 * math.exp(-0.2 * root) + math.e - math.exp(waves))


def levy(x: Point) -> float:
    """Waves on a slope."""
    w = 1 + (x - 1) / 4
    middle = (w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return float(math.sin(math.pi * w[0]) ** 2 + middle.sum() + last)


def styblinski_tang(x: Point) -> float:
    """Two basins in every dimension."""
    return float((x**4 - 16 * x**2 + 5 * x).sum() / 2)


def sphere(x: Point) -> float:
    """A bowl."""
    return float((x**2).sum())


_HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_NARROW_3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
_CENTRES_3 = 1e-4 * np.array(
    [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
)
_NARROW_6 = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_CENTRES_6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(x: Point) -> float:
    """Four wells, in three or six dimensions."""
    narrow, centres = (_NARROW_3, _CENTRES_3) if len(x) == 3 else (_NARROW_6, _CENTRES_6)
    return float(-(_HEIGHTS * np.exp(-(narrow * (x - centres) ** 2).sum(1))).sum())


FUNCTIONS: Mapping[str, Function] = {
    "branin": Function(branin, -5, 10, 2, 0.397887),
    "camel": Function(camel, -1.5, 2.5, 2, -1.031628),
    "rosenbrock": Function(rosenbrock, -2, 3, 3),
    "hartmann3": Function(hartmann, 0, 1, 3, -3.86278),
    "rastrigin": Function(rastrigin, -1.3, 2.9, 3),
    "ackley": Function(ackley, -4, 9, 4),
    "levy": Function(levy, -8, 6, 4),
    "styblinski_tang": Function(styblinski_tang, -5, 4, 5, -39.16617 * 5),
    "hartmann6": Function(hartmann, 0, 1, 6, -3.32237),
    "sphere": Function(sphere, -2, 4, 6),
}
SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "rnn": lambda seed: RNNSampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
}


@app.command()
def train(iterations: int = ITERATIONS, stop: int = STOP, seed: int = 0) -> None:
    """Train the network, and write its weights.

    Args:
        iterations: Batches of functions, for the schedule of the learning rate.
        stop: After how many of them to stop.
        seed: Seed of everything.
    """
    import torch

    from optuna_nas.meta.observed_improvement import meta_train

    torch.set_num_threads(1)
    began = time.process_time()
    training = meta_train(iterations, seed, batch_size=BATCH, horizon=HORIZON)
    for done, (weights, improvement) in enumerate(training, 1):
        if done % 100 == 0:
            print(f"{done}: {improvement:.3f}, {time.process_time() - began:.0f} s", flush=True)
        if done == stop:
            arrays = {name: w.detach().numpy() for name, w in weights.items()}
            np.savez(WEIGHTS, **arrays)  # type: ignore[arg-type]
            break


def search(function: Function, sampler: BaseSampler, trials: int) -> list[float]:
    """The best values after each of so many trials."""

    def objective(trial: optuna.Trial) -> float:
        x = [
            trial.suggest_float(f"x{i}", function.low, function.high)
            for i in range(function.dimensions)
        ]
        return function.value(np.array(x))

    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=trials)
    values = [t.value for t in study.trials if t.value is not None]
    return list(np.minimum.accumulate(values))


@app.command()
def compare(seeds: int = 20) -> None:
    """Search every function with every sampler.

    Args:
        seeds: How often.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = []
    for name, function in FUNCTIONS.items():
        rng = np.random.default_rng(0)
        size = (2000, function.dimensions)
        drawn = [function.value(x) for x in rng.uniform(function.low, function.high, size)]
        scale = float(np.median(drawn)) - function.best
        for sampler, make in SAMPLERS.items():
            for seed in range(seeds):
                best = search(function, make(seed), max(POINTS))
                for point in POINTS:
                    regret = (best[point - 1] - function.best) / scale
                    rows.append((name, sampler, seed, point, regret))
        print(name, flush=True)
    with (RESULTS / "rnn_sampler.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("function", "sampler", "seed", "trials", "regret"))
        writer.writerows((*row[:4], f"{row[4]:.6g}") for row in rows)
    (RESULTS / "rnn_sampler.md").write_text(table(rows, seeds), encoding="utf-8")


def table(rows: list[tuple[str, str, int, int, float]], seeds: int) -> str:
    """The mean regrets with their standard errors, in Markdown."""
    columns = [(sampler, point) for point in POINTS for sampler in SAMPLERS]
    head = " | ".join(f"{sampler}, {point}" for sampler, point in columns)
    lines = [
        f"Mean regret of {seeds} seeds and its standard error; 0 is the minimum, 1 the median of",
        "random points. In the columns are the sampler and the number of trials.",
        "",
        f"| function | {head} |",
        "|---|" + "---|" * len(columns),
    ]
    wins = dict.fromkeys(columns, 0)
    for name, function in FUNCTIONS.items():
        cells = []
        for sampler, point in columns:
            found = [r[4] for r in rows if r[:2] == (name, sampler) and r[3] == point]
            error = np.std(found, ddof=1) / math.sqrt(len(found)) if len(found) > 1 else 0.0
            cells.append(f"{np.mean(found):.3f} ± {error:.3f}")
            rival = [r[4] for r in rows if r[:2] == (name, "random") and r[3] == point]
            wins[sampler, point] += bool(np.mean(found) < np.mean(rival))
        lines.append(f"| {name} ({function.dimensions}) | " + " | ".join(cells) + " |")
    counts = " | ".join(
        "" if sampler == "random" else str(wins[sampler, p]) for sampler, p in columns
    )
    lines.append(f"| better than random on | {counts} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    app()
