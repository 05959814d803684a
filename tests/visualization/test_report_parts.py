from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import optuna
import plotly.graph_objects as go
import pytest
from optuna.trial import FrozenTrial, create_trial

from optuna_nas.spaces import LayerDropSpace, SearchSpace
from optuna_nas.visualization.report import write_report
from optuna_nas.visualization.report_layers import plot_kept_layers, plot_layer_map
from optuna_nas.visualization.report_parts import Drawing, ReportParts, attribute_texts

LAYERS = LayerDropSpace(4)


def masks(*trials: tuple[str, float], maximize: bool = True) -> optuna.Study:
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    study.set_user_attr("optuna_nas:space", LAYERS.to_dict())
    for text, value in trials:
        params = LAYERS.parse(text).params
        study.add_trial(
            create_trial(value=value, params=params, distributions=LAYERS.distributions)
        )
    return study


def test_an_objective_has_a_report_of_its_own(tmp_path: Path) -> None:
    drawn: list[int] = []

    def draw(trial: FrozenTrial, space: SearchSpace | None) -> list[Drawing]:
        assert space is None  # what there is to draw need not be in the parameters
        if "genotype" not in trial.user_attrs:
            return []

        def svg() -> str:
            drawn.append(trial.number)
            return f"<svg>{trial.user_attrs['genotype']}</svg>"

        return [Drawing(trial.user_attrs["genotype"], svg)]

    figure = go.Figure(layout={"title": {"text": "Weights <of> operations"}})
    figure.add_scatter(y=[1, 2])
    parts = ReportParts(
        gallery="The best genotypes",
        draw=draw,
        attributes={"entropy": "Entropy", "missing": "Missing"},
        figures=lambda study: [figure],
    )
    study = optuna.create_study()
    for value, genotype in ((0.3, "one"), (0.1, None), (0.2, "one"), (0.4, "two")):
        attributes = {"entropy": 0.25} | ({} if genotype is None else {"genotype": genotype})
        study.add_trial(create_trial(value=value, user_attrs=attributes))
    page = write_report(study, tmp_path / "report.html", parts=parts).read_text()
    assert drawn == [2, 3]  # the best of equal ones, and each once
    assert page.count("<svg>one</svg>") == page.count("<svg>two</svg>") == 1
    assert "The best genotypes" in page and "The best cells" not in page
    assert "Weights &lt;of&gt; operations" in page
    assert "<dt>Entropy</dt><dd>0.2500</dd>" in page and "<dt>Missing</dt>" not in page


def test_attributes_in_words() -> None:
    attributes = {"a": 1234567, "b": 0.5, "c": [0, 3], "d": "text", "e": True, "f": None}
    trial = create_trial(value=0.0, user_attrs=attributes)
    headings = {name: name.upper() for name in (*attributes, "g")}
    assert attribute_texts(trial, headings) == {
        "A": "1,234,567",
        "B": "0.5000",
        "C": "0, 3",
        "D": "text",
        "E": "True",
    }


@pytest.mark.parametrize(("maximize", "best"), [(True, "1010"), (False, "0111")])
def test_how_often_layers_are_kept(maximize: bool, best: str) -> None:
    trials = [("0111", 0.1), ("1000", 0.2), ("1001", 0.3), ("1010", 0.9)]
    study = masks(*trials, ("1111", math.inf), maximize=maximize)
    everyone, few = plot_kept_layers(study).data
    assert everyone.name == "all 4 trials" and list(everyone.y) == [0.75, 0.25, 0.5, 0.5]
    assert few.name == "the best 1" and list(few.y) == [float(digit) for digit in best]
    assert list(few.x) == [0, 1, 2, 3]


def test_shares_need_trials_of_layers() -> None:
    figure = plot_kept_layers(masks(("1000", 0.1), ("1100", 0.2)))
    assert not figure.data
    assert figure.layout.annotations[0].text == "Shares need 4 finished trials; there are 2."
    assert not plot_kept_layers(optuna.create_study()).data


@pytest.mark.parametrize("maximize", [True, False])
def test_the_layers_of_every_trial(maximize: bool) -> None:
    study = masks(("0111", 0.1), ("1000", 0.2), ("1111", math.inf), maximize=maximize)
    figure = plot_layer_map(study)
    (heatmap,) = figure.data
    order = ["1", "0"] if maximize else ["0", "1"]  # the best on top; infinite values are no trial
    assert list(heatmap.y) == order and figure.layout.yaxis.autorange == "reversed"
    rows = dict(zip(heatmap.y, np.isfinite(np.array(heatmap.z, dtype=float)), strict=True))
    assert rows["0"].tolist() == [False, True, True, True]
    assert rows["1"].tolist() == [True, False, False, False]
    assert heatmap.reversescale == (not maximize)
    assert not plot_layer_map(optuna.create_study()).data
    assert not plot_layer_map(masks()).data
