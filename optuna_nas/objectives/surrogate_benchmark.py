"""A benchmark made of finished trainings: what they teach predicts all the others.

A trial is answered by the median of its prediction (see `surrogates.calibrated`); with `noise`,
by a draw from around it. An architecture of which less is known than of any training when that is
left out is unlike all that was trained: its trial says so, and the log does, once.

Reference: J. Siems et al., "NAS-Bench-301 and the Case for Surrogate Benchmarks for Neural
Architecture Search", 2020, arXiv:2008.09777.

*Departures*: one Gaussian process on our encodings instead of ensembles of graph networks and
trees: it needs hundreds of trainings, not 60,000. It is calibrated on what was left out. The
optimum is that of the predictions: of all architectures of a small space, else the best that a
local search from the best trainings comes to.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection

from optuna_nas._checks import checked_integer, user_path
from optuna_nas._lines import read_line, sealed_line
from optuna_nas._ranking import direction_signs, ranked_trials
from optuna_nas.artifacts.atomic import write_output
from optuna_nas.errors import UserError
from optuna_nas.objectives.tabular.benchmark import TabularBenchmark
from optuna_nas.spaces import Architecture, SearchSpace, recall_space, space_from_dict
from optuna_nas.surrogates.calibrated import CalibratedPredictor, SurrogateQuality

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial


_FORMAT = 1
_FEWEST = 20
_SMALL_SPACE = 20_000
_STARTS = 10
_DRAWS = 100
_LOGGER = optuna.logging.get_logger("optuna_nas")


class SurrogateBenchmark:
    """An objective that predicts what a training would have given.

    Made by :meth:`fit` from finished trainings, or by :meth:`load` from a file.

    Args:
        architectures: What was trained, of one space.
        values: What came out, one finite number for each.
        direction: What is better.
        metric: What the values are called.
        noise: Whether trials get a draw from the noise of trainings beside the prediction.
        seed: Seed of the folds and of the noise.

    Raises:
        UserError: There are fewer than 20 different trainings, or all values are equal.
        ValueError: The numbers of architectures and values differ, or a value is not finite.

    Attributes:
        architectures: What it has learnt from.
    """

    def __init__(
        self,
        architectures: Sequence[Architecture],
        values: Sequence[float],
        *,
        direction: StudyDirection,
        metric: str = "value",
        noise: bool = False,
        seed: int = 0,
    ) -> None:
        if len(architectures) != len(values) or not all(map(math.isfinite, values)):
            raise ValueError(
                f"`values` has {len(values)} entries for {len(architectures)} architectures; "
                "needed is a finite number for each."
            )
        distinct = len({architecture.key for architecture in architectures})
        if distinct < _FEWEST or len(set(values)) < 2:
            raise UserError(
                f"There are {distinct} different architectures with {len(set(values))} different "
                f"values; a surrogate benchmark needs {_FEWEST} or more, and values that differ."
            )
        self.space = architectures[0].space
        self.noise = bool(noise)
        self.seed = checked_integer("seed", seed, 0, 2**31 - 1)
        self.directions = (direction,)
        self.metric_names = (metric,)
        self.architectures = tuple(architectures)
        self._values = np.array(values, dtype=np.float64)
        rng = np.random.default_rng(self.seed)
        self._predictor = CalibratedPredictor(self.architectures, self._values, rng)
        self._said = False

    @classmethod
    def fit(
        cls,
        source: optuna.Study | TabularBenchmark,
        *,
        space: SearchSpace | None = None,
        cells: int = 300,
        noise: bool = False,
        seed: int = 0,
    ) -> SurrogateBenchmark:
        """Make a benchmark of a study's trials, or of some rows of recorded trainings.

        Args:
            source: A study with one objective, of which the complete trials that are feasible and
                finite count; or recorded trainings.
            space: The space of the study's architectures; None is the one stored on the study.
            cells: How many different architectures are drawn from recorded trainings.
            noise: Whether trials get a draw from the noise of trainings beside the prediction.
            seed: Seed of what is drawn.

        Raises:
            UserError: The study has several objectives or no space, or too little to learn from.
        """
        if isinstance(source, TabularBenchmark):
            if len(source.metric_names) > 1:
                raise UserError(
                    f"`source` has the objectives {source.metric_names}; needed is one."
                )
            found = _drawn(source.space, checked_integer("cells", cells, _FEWEST), seed)
            name = source.metric_names[0]
            return cls(
                found,
                [source.record(architecture)[name] for architecture in found],
                direction=source.directions[0],
                metric=name,
                noise=noise,
                seed=seed,
            )
        directions = source.directions
        if len(directions) > 1:
            raise UserError(
                f"The study {source.study_name!r} has {len(directions)} objectives; needed is one."
            )
        space = space or recall_space(source)
        if space is None:
            raise UserError(
                f"The study {source.study_name!r} has no space of architectures; pass `space`."
            )
        trials = ranked_trials(source.get_trials(deepcopy=False), directions)
        trials.sort(key=lambda trial: trial.number)
        read = [(space.read(trial.params), trial.value) for trial in trials]
        pairs = [(a, value) for a, value in read if a is not None and value is not None]
        return cls(
            [architecture for architecture, _ in pairs],
            [value for _, value in pairs],
            direction=directions[0],
            metric=(source.metric_names or ["value"])[0],
            noise=noise,
            seed=seed,
        )

    def save(self, path: str | Path) -> Path:
        """Write the trainings, and what decides the rest, as lines of JSON with checksums.

        Returns:
            The file, absolute.

        Raises:
            OSError: It cannot be written.
        """
        head = {
            "surrogate_benchmark": _FORMAT,
            "space": self.space.to_dict(),
            "direction": self.directions[0].name.lower(),
            "metric": self.metric_names[0],
            "noise": self.noise,
            "seed": self.seed,
            "quality": asdict(self.quality),
        }
        trainings = zip(self.architectures, self._values, strict=True)
        lines = [{"params": a.params, "value": float(value)} for a, value in trainings]
        target = user_path(path).absolute()
        write_output(target, b"".join(map(sealed_line, [head, *lines])))
        return target

    @classmethod
    def load(cls, path: str | Path) -> SurrogateBenchmark:
        """Read what :meth:`save` wrote; nothing in the file is run.

        Raises:
            OSError: It cannot be read.
            ValueError: It is damaged or no such file, or its space is not known here.
        """
        lines = user_path(path).read_bytes().splitlines()
        try:
            head, *rows = map(read_line, lines)
            if head.get("surrogate_benchmark") != _FORMAT:
                raise ValueError("it is no surrogate benchmark of this version")
            if len(rows) != head["quality"]["trainings"]:
                raise ValueError(f"it holds {len(rows)} trainings and should hold more or fewer")
            space = space_from_dict(head["space"])
            return cls(
                [space.architecture(row["params"]) for row in rows],
                [float(row["value"]) for row in rows],
                direction=StudyDirection[str(head["direction"]).upper()],
                metric=str(head["metric"]),
                noise=bool(head["noise"]),
                seed=head["seed"],
            )
        except (ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{str(path)!r} cannot be used: {error}.") from error

    @property
    def name(self) -> str:
        """What the benchmark is called in tables and figures."""
        return f"surrogate of {self.quality.trainings} trainings, {self.space.name}"

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The distributions of the space."""
        return self.space.distributions

    def settings(self) -> dict[str, Any]:
        """What decides the values of trials; JSON values."""
        digest = hashlib.sha256(np.ascontiguousarray(self._values, "<f8").tobytes())
        for architecture in self.architectures:
            digest.update(repr(architecture.identity).encode())
        return {
            "benchmark": type(self).__name__,
            "space": self.space.to_dict(),
            "metric": self.metric_names[0],
            "noise": self.noise,
            "seed": self.seed,
            "trainings": digest.hexdigest()[:16],
        }

    def __call__(self, trial: BaseTrial) -> float:
        """Predict the value of the architecture that the trial suggests.

        Raises:
            optuna.TrialPruned: A foreign sampler proposed what is no architecture.
        """
        architecture = self.space.suggest(trial)
        [predicted] = self._predictor.predict([architecture])
        trial.set_user_attr("architecture", str(architecture))
        trial.set_user_attr("interval", list(self._predictor.interval(predicted)))
        if predicted.unlike:
            trial.set_user_attr("outside", True)
            self._warn(trial.number)
        score = predicted.score
        if self.noise:
            rng = np.random.default_rng((self.seed, trial.number))
            score += self._predictor.noise * rng.standard_normal()
        return float(self._predictor.values([score])[0])

    def evaluate(self, params: Mapping[str, Any]) -> float:
        """The median of the prediction for parameters, outside of any study.

        Raises:
            ValueError: The parameters are no architecture.
        """
        return float(self.predict([self.space.architecture(params)])[0])

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """The medians of the predictions for `n` architectures."""
        predicted = self._predictor.predict(architectures)
        return self._predictor.values([p.score for p in predicted])

    def interval(self, architecture: Architecture) -> tuple[float, float]:
        """What a training's value lies between in nine of ten cases."""
        return self._predictor.interval(*self._predictor.predict([architecture]))

    @property
    def quality(self) -> SurrogateQuality:
        """What the predictions are worth."""
        return self._predictor.quality

    @property
    def optimum(self) -> float:
        """The best prediction; see *Departures*."""
        return self._extremes[0]

    @property
    def worst(self) -> float:
        """The worst prediction that is known; see *Departures*."""
        return self._extremes[1]

    def regret(self, value: float) -> float:
        """How far a value is from the optimum; zero at best."""
        return -self._sign * (self.optimum - value)

    @property
    def _sign(self) -> int:
        return direction_signs(self.directions)[0]

    def _warn(self, number: int) -> None:
        if not self._said:
            self._said = True
            _LOGGER.warning(
                f"Trial {number} asks for an architecture unlike those that this benchmark has "
                "learnt from: its prediction is a guess. Trials of which that holds have the user "
                "attribute `outside`."
            )

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        """The best and the worst prediction."""
        size = self.space.size
        if size is not None and size <= _SMALL_SPACE and (every := _every(self.space)):
            losses = self._sign * self.predict(every)
        else:
            losses = self._climbed()
        return float(self._sign * losses.min()), float(self._sign * losses.max())

    def _climbed(self) -> NDArray[np.float64]:
        """The losses of the trainings, and of what is better than the best of them."""
        losses = self._sign * self.predict(self.architectures)
        found = [*losses]
        for start in np.argsort(losses, kind="stable")[:_STARTS]:
            current, loss = self.architectures[start], losses[start]
            while True:
                around = self.space.neighbors(current)
                below = self._sign * self.predict(around) if around else np.array([np.inf])
                if not below.min() < loss:
                    break
                current, loss = around[int(below.argmin())], below.min()
                found.append(loss)
        return np.array(found)


def _drawn(space: SearchSpace, number: int, seed: int) -> list[Architecture]:
    """Different architectures at random; fewer if there are not so many."""
    rng = np.random.default_rng(seed)
    found: dict[str, Architecture] = {}
    for _ in range(_DRAWS * number):
        if len(found) == number:
            break
        architecture = space.random(rng)
        found.setdefault(architecture.key, architecture)
    return list(found.values())


def _every(space: SearchSpace) -> list[Architecture]:
    """All architectures of a space of choices; none of a space with other parameters."""
    choices = []
    for distribution in space.distributions.values():
        if not isinstance(distribution, CategoricalDistribution):
            return []
        choices.append(distribution.choices)
    read = (
        space.read(dict(zip(space.distributions, chosen, strict=True)))
        for chosen in product(*choices)
    )
    return [architecture for architecture in read if architecture is not None]
