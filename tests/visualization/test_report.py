from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from optuna_nas.spaces import Architecture, FlatSpace, NASBench201Space, SearchSpace
from optuna_nas.visualization import write_report
from optuna_nas.visualization.description import describe_search, describe_space
from optuna_nas.visualization.formats import MISSING

SPACE = NASBench201Space()
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)><b>&\"' {{7*7}} "


class Page(HTMLParser):
    """A page taken apart.

    Attributes:
        tags: The elements, with their attributes.
        lines: The text outside of scripts, styles and drawings, by lines.
        scripts: The scripts that run.
        figures: The figures, as plotly gets them.
        rows: The cells of the table.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.figures: list[dict[str, Any]] = []
        self.rows: list[list[str]] = []
        self._text = ""
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.lines = [line.strip() for line in self._text.splitlines() if line.strip()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style", "svg"):
            self._inside = "figure" if dict(attrs).get("type") == "application/json" else tag
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self._inside = "cell"
            self.rows[-1].append("")
        elif tag in ("span", "dd"):
            self._text += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "svg", "td", "th"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside == "figure":
            assert not set("<>&") & set(data)  # nothing ends the element, and no entity is read
            self.figures.append(json.loads(data))
        elif self._inside == "cell":
            self.rows[-1][-1] += data.strip()
        elif not self._inside:
            self._text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def chance(architecture: Architecture, rng: np.random.Generator) -> float:
    return float(rng.random())


def by_structure(architecture: Architecture, rng: np.random.Generator) -> float:
    return list(architecture.params.values()).count("nor_conv_3x3") / 6


def searched(
    number: int,
    space: SearchSpace = SPACE,
    epochs: int = 3,
    quality: Callable[[Architecture, np.random.Generator], float] = chance,
    pruned_each: int = 3,
) -> optuna.Study:
    """A study as `CellCNN` leaves it: every third trial pruned."""
    rng = np.random.default_rng(0)
    study = optuna.create_study(study_name="cells", direction="maximize")
    study.set_user_attr("optuna_nas:space", space.to_dict())
    trials = []
    for i in range(number):
        architecture = space.random(rng)
        pruned = i % pruned_each == pruned_each - 1
        curve = {
            epoch: 0.1 * epoch + 0.5 * quality(architecture, rng)
            for epoch in range(epochs - pruned)
        }
        attributes = {"architecture": str(architecture), "parameters": 1000 + i, "seconds": 2.0}
        trials.append(
            create_trial(
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                value=list(curve.values())[-1],
                params=architecture.params,
                distributions=space.distributions,
                intermediate_values=curve,
                user_attrs=attributes if pruned else {**attributes, "test_accuracy": 0.25},
            )
        )
    study.add_trials(trials)
    return study


def report(study: optuna.Study, path: Path, **arguments: Any) -> Page:
    return Page(write_report(study, path, **arguments))


def test_a_search_is_reported(tmp_path: Path) -> None:
    study = searched(24)
    failed = study.ask()
    study.tell(failed, state=TrialState.FAIL)
    stored = {
        "command": "optuna-nas search --trials 24",
        "config": {
            "storage": "postgresql://me:pass@word@host/db",
            "seed": 3,
            "loading": {"image_size": [8, 8], "train_size": None},
            "training": {"epochs": 12},
        },
    }
    study.set_user_attr("optuna_nas:search", stored)
    page = report(study, tmp_path / "report.html")
    best = study.best_trial
    lines = page.lines

    assert {"16 complete", "8 pruned", "1 failed"} <= set(lines)
    assert f"{best.value:.4f} best objective value (trial {best.number})" in lines
    assert "0.2500 its test accuracy" in lines and "48.0 s training, all workers" in lines
    assert f"Parameters {1000 + best.number:,}" in lines
    assert str(SPACE.architecture(best.params)) in lines
    assert "Search space: NASBench201Space" in lines
    assert "15,625 settings of 6 parameters." in lines
    edges = "edge_0_1, edge_0_2, edge_1_2, edge_0_3, edge_1_3, edge_2_3"
    assert f"{edges} none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3" in lines
    assert "optuna-nas search --trials 24" in lines
    assert {"seed 3", "image_size 8, 8", "epochs 12"} <= set(lines)
    assert "storage postgresql://me:***@host/db" in lines
    assert "train_size" not in page.text and "pass@word" not in page.text

    headings = [line for line in lines if line in HEADINGS]
    assert headings == HEADINGS
    assert len(page.figures) == 3
    history = page.figures[0]["data"]
    assert history[1]["y"][-1] == pytest.approx(best.value)
    assert page.count("svg") == 1 + 12  # the best, and the gallery

    header, *rows = page.rows
    assert header == [
        *("Trial", "State", "objective value", "Test accuracy", "Parameters"),
        *("Training", "Epochs", "Architecture", "Remarks"),
    ]
    assert len(rows) == 25
    assert rows[2] == [
        *("2", "pruned", MISSING, MISSING, "1.00 k", "2.0 s", "2"),
        *(study.trials[2].user_attrs["architecture"], "stopped after 2 reports"),
    ]
    assert rows[24] == ["24", "fail", *[MISSING] * 5, "", "failed before its first report"]


HEADINGS = [
    "Best architecture",
    "Optimisation history",
    "Learning curves",
    "Quality and size",
    "The best cells",
    "How to reproduce it",
    "All trials",
]


def test_cells_that_compute_the_same_are_drawn_once(tmp_path: Path) -> None:
    study = optuna.create_study(direction="minimize")
    study.set_user_attr("optuna_nas:space", SPACE.to_dict())
    dead = dict.fromkeys(SPACE.distributions, "none")
    same = {**dead, "edge_0_1": "nor_conv_3x3"}  # leads nowhere
    other = {**dead, "edge_0_3": "nor_conv_3x3"}
    study.add_trial(create_trial(value=0.0))  # from before the space was known
    for value, params in ((0.3, dead), (0.2, same), (0.1, other)):
        study.add_trial(
            create_trial(value=value, params=params, distributions=SPACE.distributions)
        )
    page = report(study, tmp_path / "report.html")
    assert re.findall(r"^Trial (\d+)\n· ([\d.]+)", page.text, re.MULTILINE) == [
        *(("3", "0.1000"), ("2", "0.2000"))
    ]
    assert page.count("svg") == 2  # trial 0 is the best, but no architecture of the space
    assert "0 best objective value (trial 0)" in page.lines


@pytest.mark.parametrize(("number", "shown"), [(19, False), (20, True)])
def test_what_was_learnt_is_shown_from_twenty_trials_on(
    tmp_path: Path, number: int, shown: bool
) -> None:
    study = searched(number, quality=by_structure, pruned_each=10)
    page = report(study, tmp_path / "report.html")
    assert ("Predicted and observed: Spearman's rank correlation" in page.text) == shown
    assert ("Which paths matter: 15 of" in page.text) == shown
    assert ("Parameter importances" in page.lines) == shown
    assert len(page.figures) == (6 if shown else 3)


def test_nothing_is_said_of_what_was_not_learnt(tmp_path: Path) -> None:
    page = report(searched(40), tmp_path / "report.html")
    assert "rank them no better than chance" in page.text
    assert "Which paths matter" not in page.text and len(page.figures) == 3
    assert "Parameter importances" not in page.text


@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize("space", [SPACE, FlatSpace({"x": FloatDistribution(0, 1)})])
def test_few_trials_are_reported(tmp_path: Path, number: int, space: SearchSpace) -> None:
    page = report(searched(number, space), tmp_path / "report.html")
    complete = number - number // 3
    assert len(page.rows) == 1 + number
    assert ("What matters is shown from 20 finished trials on." in page.text) == (complete != 1)
    assert page.count("svg") == (complete + (complete > 0) if space is SPACE else 0)
    assert len(page.figures) == (0, 1, 3, 3)[number]  # of one trial only its learning curve
    assert ("Best architecture" in page.lines) == (complete > 0)


def test_a_study_without_a_finite_value_is_reported(tmp_path: Path) -> None:
    study = optuna.create_study()
    for value in (math.inf, -math.inf):
        study.add_trial(create_trial(value=value))
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.ask()
    study.enqueue_trial({"x": 1})
    page = report(study, tmp_path / "report.html")
    assert "No trial has finished with a finite value yet." in page.text
    assert "1 / 1 running / waiting" in page.lines
    assert [row[2] for row in page.rows[1:]] == ["inf", "-inf", MISSING, MISSING, MISSING]


def test_several_objectives_are_reported(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    for values in ((0.9, 5, 1), (0.8, 4, 2), (0.7, 6, 3), (0.9, 5, 4)):
        study.add_trial(create_trial(values=values))
    study.add_trial(create_trial(state=TrialState.PRUNED))
    page = report(study, tmp_path / "report.html")
    assert "2 trials on the Pareto front" in page.lines
    assert {"0.9000 best objective 0", "4.0000 best objective 1"} <= set(page.lines)
    assert page.lines.count("Pareto front") == 2 and len(page.figures) == 2
    assert page.rows[0][2:5] == ["objective 0", "objective 1", "objective 2"]
    assert page.rows[5][2:5] == [MISSING, MISSING, MISSING]
    winners = [row for row in page.tags if row == ("tr", {"class": "winner"})]
    assert len(winners) == 2


def test_interrupted_trials_say_who_goes_on(tmp_path: Path) -> None:
    study = searched(1)
    attributes = {"seconds": 5.0}
    for state, system in ((TrialState.FAIL, {}), (TrialState.COMPLETE, {"retry_history": [1]})):
        value = 0.5 if state == TrialState.COMPLETE else None
        study.add_trial(
            create_trial(state=state, value=value, user_attrs=attributes, system_attrs=system)
        )
    invalid = create_trial(state=TrialState.PRUNED, user_attrs={"optuna_nas:invalid": "no path"})
    study.add_trial(invalid)
    page = report(study, tmp_path / "report.html")
    assert page.rows[2][-1] == "interrupted; trial 2 goes on with it"
    assert page.rows[4][-1] == "no path"
    assert "7.0 s training, all workers" in page.lines  # what was continued counts once


@pytest.fixture(scope="module")
def hostile() -> optuna.Study:
    study = optuna.create_study(
        study_name=HOSTILE + "study", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study._storage.set_study_system_attr(study._study_id, "study:metric_names", [HOSTILE + "name"])

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_categorical(HOSTILE + "kind", [HOSTILE + "choice", "b"])
        for name in ("architecture", "parameters", "flops", "test_accuracy", "seconds"):
            trial.set_user_attr(name, HOSTILE + name)
        trial.set_user_attr("optuna_nas:invalid", HOSTILE + "reason")
        trial.report(0.5, 0)
        value = trial.suggest_float(HOSTILE + "x", 0, 1)
        if trial.number % 5 == 0:
            trial.set_user_attr("parameters", trial.number + 1)
        if trial.number % 7 == 1:
            raise optuna.TrialPruned(HOSTILE)
        return value

    study.optimize(objective, n_trials=30)
    study.set_user_attr("optuna_nas:search", {"command": HOSTILE + "command", HOSTILE: [HOSTILE]})
    return study


def test_nothing_in_a_study_becomes_markup(hostile: optuna.Study, tmp_path: Path) -> None:
    page = report(hostile, tmp_path / "report.html")
    kinds = [attributes.get("type") for name, attributes in page.tags if name == "script"]
    assert kinds == ["application/json"] * 6 + [None, None]
    tiles = sum("tile" in (attributes.get("class") or "").split() for _, attributes in page.tags)
    assert page.count("img") == 0 and page.count("b") == tiles > 4  # their numbers are bold
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    text = page.text + "".join(cell for row in page.rows for cell in row)
    for name in ("study", "name", "architecture", "reason", "command", "kind", "choice"):
        assert HOSTILE + name in text
    for script in page.scripts:
        assert "alert(" not in script
    # Within figures the text is escaped once more, for plotly's own markup.
    texts = json.dumps(page.figures)
    assert "&lt;img src=x onerror=alert(2)&gt;" in texts
    assert "<img" not in texts and "</script" not in texts and "%{" not in texts
    assert [row[3] for row in page.rows[1:4]] == ["1", MISSING, MISSING]


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    path = write_report(searched(24), tmp_path / "report.html")
    page = Page(path)
    assert not {"link", "iframe", "img", "object", "embed", "base", "form"} & {
        name for name, _ in page.tags
    }
    for _, attributes in page.tags:
        assert not {"src", "href", "srcset", "style", "action"} & attributes.keys()
    text = path.read_text(encoding="utf-8")
    css = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in css and "@import" not in css
    assert text.count("plotly.js v") == 1


def test_the_policy_allows_the_two_scripts_and_no_other(tmp_path: Path) -> None:
    from base64 import b64encode
    from hashlib import sha256

    path = write_report(searched(3), tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    allowed = re.findall(r"&#39;sha256-([^&]*)&#39;", policy)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == len(allowed) == 2
    assert [b64encode(sha256(s.encode()).digest()).decode() for s in scripts] == allowed
    assert policy.startswith("default-src &#39;none&#39;")
    assert "unsafe" not in policy.replace("style-src &#39;unsafe-inline&#39;", "")
    assert text.index("Content-Security-Policy") < text.index("<script")
    # plotly 7 has a button that sends the figure to its makers.
    assert "showSendToCloud: false" in scripts[1]


def test_the_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = searched(3)
    path = write_report(study, tmp_path / "new" / "report.html", title="Title & more")
    assert path == tmp_path / "new" / "report.html"
    before = path.read_bytes()
    assert b"<title>Title &amp; more</title>" in before and b"Study cells &middot;" in before

    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        write_report(study, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    with pytest.raises(ValueError, match="which is a folder"):
        write_report(study, tmp_path)


def test_a_thousand_trials_are_reported_soon(tmp_path: Path) -> None:
    study = searched(1000, epochs=12)
    started = time.process_time()
    page = report(study, tmp_path / "report.html")
    assert time.process_time() - started < 10
    assert len(page.rows) == 1001 and page.count("svg") == 13


def test_a_space_of_another_process_is_named_as_the_problem() -> None:
    study = optuna.create_study()
    study.set_user_attr("optuna_nas:space", {"space": "TheirSpace"})
    study.add_trial(
        create_trial(
            value=1.0,
            params={"a": 1, "b": 2, "c": "x", "d": 0.1},
            distributions={
                "a": IntDistribution(1, 5),
                "b": IntDistribution(1, 5),
                "c": CategoricalDistribution(["x", None]),
                "d": FloatDistribution(0.1, 1, log=True),
            },
        )
    )
    space = describe_space(study)
    assert space.name == "" and "Unknown search space 'TheirSpace'" in space.note
    assert space.parameters == {
        "a, b": "integers from 1 to 5",
        "c": "x, None",
        "d": "numbers from 0.1 to 1.0, on a logarithmic scale",
    }


@pytest.mark.parametrize("stored", [None, "no JSON", "[1]", 3, ["a"]])
def test_what_is_no_search_is_left_out(stored: Any) -> None:
    study = optuna.create_study()
    study.set_user_attr("optuna_nas:search", stored)
    assert describe_search(study) is None


def test_settings_of_the_same_name_keep_their_groups() -> None:
    study = optuna.create_study()
    stored = {"a": {"seed": 1, "x": True}, "b": {"seed": 2}}
    for value in (stored, json.dumps(stored)):
        study.set_user_attr("optuna_nas:search", value)
        search = describe_search(study)
        assert search is not None and search.command == ""
        assert search.settings == {"a.seed": "1", "x": "True", "b.seed": "2"}
