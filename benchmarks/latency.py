"""How well a table of what operations cost predicts the latency of whole networks.

    python -m benchmarks.latency                       # NAS-Bench-201, 50 networks, a minute
    python -m benchmarks.latency --space darts --channels 8 --cells 6

1. Each operation of the space is measured alone in each of its places (`optuna-nas cost-table`).
2. Networks of random architectures are measured as a whole, in turns.
3. The rank correlation of the two, the slope of a line through them, and the mean error are
   printed, and written as a table of Markdown.

Run it alone on the machine: another program meets operations and networks unequally.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from optuna_nas.cli.objectives.images import make_space
from optuna_nas.measures import MEASURES, time_networks
from optuna_nas.measures.tabulation import network_cost, network_of, tabulate
from optuna_nas.supernets import build_supernet

RESULTS = Path(__file__).parent / "results"
_TOGETHER = 10
"""Networks that are timed in turns; those of all groups are compared."""


def predicted_and_measured(
    space: str, channels: int | None, cells: int | None, side: int, networks: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of `networks` networks, by the table and by the clock.

    Args:
        space: The name of the space.
        channels: The width; None for the published one.
        cells: The depth; None for the published one.
        side: The side of the images.
        networks: How many networks.
        seed: Seed of the architectures.
    """
    made = make_space({"space": space})
    supernet = build_supernet(made, num_classes=10, channels=channels, cells=cells)
    table = tabulate(supernet, (3, side, side), MEASURES["latency"], seed=seed)
    rng = np.random.default_rng([seed, 1])
    chosen = [made.random(rng) for _ in range(networks)]
    image = torch.zeros(1, 3, side, side)
    measured: list[float] = []
    for first in range(0, networks, _TOGETHER):
        group = [network_of(supernet, a) for a in chosen[first : first + _TOGETHER]]
        measured += [1000 * timing.median for timing in time_networks(group, image)]
    predicted = [network_cost(table, supernet, a) for a in chosen]
    return np.array(predicted), np.array(measured)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--space", default="nasbench201")
    parser.add_argument("--channels", type=int)
    parser.add_argument("--cells", type=int)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS / "latency.md")
    given = parser.parse_args(arguments)
    predicted, measured = predicted_and_measured(
        given.space, given.channels, given.cells, given.side, given.networks, given.seed
    )
    slope = float(np.polyfit(predicted, measured, 1)[0])
    error = float(np.abs(predicted / measured - 1).mean())
    rows = [
        ("rank correlation (Spearman)", f"{float(spearmanr(predicted, measured)[0]):.3f}"),
        ("rank correlation (Kendall)", f"{float(kendalltau(predicted, measured)[0]):.3f}"),
        ("slope of measured against predicted", f"{slope:.2f}"),
        ("mean relative error", f"{error:.3f}"),
        ("fastest and slowest, ms", f"{measured.min():.2f}, {measured.max():.2f}"),
    ]
    lines = [f"| {given.networks} networks of {given.space} | |", "|---|---|"]
    text = "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows)]) + "\n"
    print(text)
    given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
