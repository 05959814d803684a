"""Which paths matter, as a predictor sees it after a search.

1. The predictor learns from all finished trials.
2. It predicts random architectures of the space.
3. The effect of a path is the mean prediction of those that have it minus that of those that have
   not, for each member of the predictor. Shown are the mean over the members and its standard
   error, in standard deviations of the predictions, and turned so that right is better.

A path is what it computes: one through `none` is no path, and `skip_connect` is left out. In a
space without paths, choices of parameters take their place, and for a number whether it is in the
upper half of its range.

What is shown is what the predictor believes, on average over all that the rest of an architecture
may be; two paths that often come together share their effect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from optuna_nas._checks import checked_integer, checked_share
from optuna_nas._threads import single_blas_thread
from optuna_nas.spaces.values import from_unit, unit
from optuna_nas.visualization.drawing.palette import short_name
from optuna_nas.visualization.evidence import Learner, read_evidence
from optuna_nas.visualization.formats import format_value
from optuna_nas.visualization.style import BEST, COMPLETE, empty_note, new_figure, plain

if TYPE_CHECKING:
    import optuna
    import plotly.graph_objects as go

    from optuna_nas.spaces import Architecture, SearchSpace
    from optuna_nas.surrogates import Encoding, Predictor, TargetTransform

__all__ = ["plot_path_importance"]

_KERNEL = re.compile(r" (?=\d+x\d+$)")
"""The space before the size of a kernel, which makes paths of several words harder to read."""


def plot_path_importance(
    study: optuna.Study,
    *,
    objective: int = 0,
    predictor: str | Predictor = "mlp",
    encoding: str | Encoding | None = None,
    space: SearchSpace | None = None,
    targets: str | TargetTransform = "log_regret",
    num_architectures: int = 2000,
    min_support: float = 0.01,
    num_paths: int = 15,
    seed: int = 0,
) -> go.Figure:
    """Plot how much the presence of a path changes what the predictor expects.

    Args:
        study: The study.
        objective: Which of its objectives.
        predictor: A predictor, or its name as for :class:`optuna_nas.BananasSampler`.
        encoding: What it learns from; None is its own choice.
        space: The space; None is the one that is stored on the study, or its parameters.
        targets: What the predictor learns: `"log_regret"`, `"identity"` or a function.
        num_architectures: How many random architectures are predicted.
        min_support: Shown are paths that at least this share of them have, and at least this
            share have not; from 0 to below 1.
        num_paths: At most so many paths are shown, those with the largest effects.
        seed: Seed of the fit and of the random architectures.

    Raises:
        ValueError: There is no such objective, or a name or number is wrong.
    """
    checked_integer("num_architectures", num_architectures, 2)
    checked_integer("num_paths", num_paths)
    checked_share("min_support", min_support)
    learner = Learner.named(predictor, encoding)
    evidence = read_evidence(study, objective, space, targets)
    figure = new_figure("Which paths matter", "", "", legend=False)
    if isinstance(evidence, str):
        return empty_note(figure, evidence)
    searched = evidence.space
    if not searched.path_blocks:
        figure.update_layout(title_text="Which choices matter")
    learner = learner.prepared(evidence, detailed=True)
    rng = np.random.default_rng(seed)
    drawn = [searched.random(rng) for _ in range(num_architectures)]
    with single_blas_thread():
        learner.predictor.fit(evidence.encoded(learner.encoding), evidence.targets, rng)
        members = learner.predictor.predict(learner.encoding.encode(searched, drawn))  # e m
    traits = _Traits(searched, drawn)
    common = np.flatnonzero(
        (traits.present.mean(axis=0) >= min_support)
        & (traits.present.mean(axis=0) <= 1 - min_support)
        & traits.present.any(axis=0)
        & ~traits.present.all(axis=0)
    )
    scale = float(members.mean(axis=0).std())
    if not len(common) or scale == 0:
        return empty_note(figure, "The predictor does not tell the architectures apart.")
    effects = -_effects(members, traits.present[:, common]) / scale  # e t
    mean = effects.mean(axis=0)
    error = effects.std(axis=0, ddof=1) / np.sqrt(len(effects)) if len(effects) > 1 else 0 * mean
    order = np.argsort(np.abs(mean), kind="stable")[-num_paths:]
    shown = order[np.argsort(mean[order], kind="stable")]
    labels = [traits.labels[common[i]] for i in shown]
    figure.add_bar(
        x=mean[shown].tolist(),
        y=list(range(len(shown))),
        orientation="h",
        marker={"color": [COMPLETE if mean[i] > 0 else BEST for i in shown]},
        error_x={"array": error[shown].tolist(), "color": "#7d8896", "thickness": 1.2, "width": 3},
        hovertext=[
            f"<b>{plain(label, 120)}</b><br>{mean[i]:+.2f} ± {error[i]:.2f} standard deviations"
            f"<br>in {traits.present[:, common[i]].mean():.1%} of random architectures"
            for i, label in zip(shown, labels, strict=True)
        ],
        hoverinfo="text",
    )
    if len(shown) < len(common):
        figure.update_layout(
            title_text=f"{figure.layout.title.text}: {len(shown)} of {len(common)}"
        )
    figure.update_xaxes(title_text="Standard deviations, right is better")
    figure.update_yaxes(
        tickvals=list(range(len(shown))), ticktext=[plain(label, 48) for label in labels]
    )
    return figure


def _effects(members: np.ndarray, present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean prediction with each trait minus that without.

    Args:
        members: Predictions, `e x m`.
        present: Which architectures have which traits, `m x t`.

    Returns:
        The difference for each member and trait, `e x t`.
    """
    counts = present.sum(axis=0)
    having = members @ present / counts
    lacking = members @ ~present / (len(present) - counts)
    return np.asarray(having - lacking)


class _Traits:
    """What architectures may have or lack.

    Args:
        space: The space of the architectures.
        architectures: `m` architectures.

    Attributes:
        labels: The name of each of `t` traits.
        present: Which architectures have which, `m x t`.
    """

    def __init__(self, space: SearchSpace, architectures: Sequence[Architecture]) -> None:
        read = _path_traits if space.path_blocks else _choice_traits
        found = [read(space, architecture) for architecture in architectures]
        self.labels = sorted(set().union(*found))
        places = {label: i for i, label in enumerate(self.labels)}
        self.present = np.zeros((len(architectures), len(places)), dtype=bool)
        for row, labels in enumerate(found):
            self.present[row, [places[label] for label in labels]] = True


def _path_traits(space: SearchSpace, architecture: Architecture) -> set[str]:
    blocks, labels = space.path_blocks, set()
    for name, _, operations in space.paths(architecture):
        block = blocks[name]
        if block.zero in operations:
            continue
        steps = [_KERNEL.sub("", short_name(o)) for o in operations if o != block.identity]
        path = " > ".join(steps) or ("skip" if block.identity else "direct edge")
        labels.add(path if len(blocks) == 1 else f"{name}: {path}")
    return labels


def _choice_traits(space: SearchSpace, architecture: Architecture) -> set[str]:
    labels = set()
    for name, distribution in space.distributions.items():
        if name not in architecture:
            continue
        value = architecture[name]
        if isinstance(distribution, CategoricalDistribution):
            if len(distribution.choices) > 2 or value == distribution.choices[-1]:
                labels.add(f"{name} = {value}")
        elif isinstance(distribution, (FloatDistribution, IntDistribution)):
            middle = from_unit(0.5, distribution)
            if unit(value, distribution) > 0.5:
                labels.add(f"{name} > {format_value(middle)}")
    return labels
