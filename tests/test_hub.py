"""The OptunaHub packages at the top of the repository load, and say what is true."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import runpy
import shutil
import sys
from pathlib import Path

import optuna
import optunahub
import pytest

import optuna_nas.objectives
import optuna_nas.samplers

REPOSITORY = Path(__file__).parents[1]
PACKAGES = {
    "samplers/bananas": optuna_nas.samplers.BananasSampler,
    "samplers/regularized_evolution": optuna_nas.samplers.RegularizedEvolutionSampler,
    "objectives/cell_cnn": optuna_nas.objectives.CellCNN,
    "objectives/darts": optuna_nas.objectives.Darts,
    "objectives/edge_nes": optuna_nas.objectives.EdgeNES,
    "objectives/layer_drop_bert": optuna_nas.objectives.LayerDropBert,
}
CATEGORY_TAGS = {"samplers": "sampler", "objectives": "benchmark"}
CELL = r"^\|\w+~[01]\|\+"
ARCHITECTURES = {"objectives/layer_drop_bert": r"^[01]{4} "}
"""What the examples print, if it is no cell."""

HUB = {"google-bert/bert-base-uncased": "bert", "stanfordnlp/sst2": "reviews.csv"}
"""What stands for the models and the texts of the Hugging Face hub here."""

FIELDS = ("author", "title", "description", "tags", "optuna_versions", "license")


def readme(package: str) -> str:
    return (REPOSITORY / package / "README.md").read_text()


def front_matter(package: str) -> dict[str, str]:
    opening, matter, _ = readme(package).split("---\n", 2)
    assert opening == ""
    return dict(line.split(": ", 1) for line in matter.splitlines())


def listed(text: str) -> list[str]:
    assert text[0] == "[" and text[-1] == "]"
    return [item.strip() for item in text[1:-1].split(",")]


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def write_model_and_texts(folder: Path) -> None:
    """Write what an example would have downloaded, only smaller."""
    path = REPOSITORY / "tests" / "objectives" / "tiny_bert.py"
    spec = importlib.util.spec_from_file_location("tiny_bert_of_the_hub", path)
    assert spec is not None and spec.loader is not None
    tiny_bert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny_bert)
    tiny_bert.save_model(folder / HUB["google-bert/bert-base-uncased"])
    split = tiny_bert.texts(120, 0)
    lines = [f"{text},{label}" for text, label in zip(split.texts, split.labels, strict=True)]
    (folder / HUB["stanfordnlp/sst2"]).write_text("\n".join(["text,label", *lines, ""]))


def test_every_package_is_tested() -> None:
    found = [path for folder in CATEGORY_TAGS for path in (REPOSITORY / folder).glob("*/")]
    names = {str(path.relative_to(REPOSITORY)) for path in found if (path / "README.md").exists()}
    assert names == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
class TestPackage:
    def test_loads_from_a_local_registry(self, package: str) -> None:
        module = optunahub.load_local_module(package, registry_root=str(REPOSITORY))
        expected = PACKAGES[package]
        assert module.__all__ == [expected.__name__]
        assert getattr(module, expected.__name__) is expected

    def test_front_matter(self, package: str) -> None:
        matter = front_matter(package)
        assert tuple(matter) == FIELDS
        assert all(value.strip() == value != "" for value in matter.values())
        assert CATEGORY_TAGS[package.split("/")[0]] in listed(matter["tags"])
        versions = listed(matter["optuna_versions"])
        assert versions and all(re.fullmatch(r"5\.\d+\.\d+", version) for version in versions)
        # What YAML would read otherwise than as these plain texts.
        assert not any(re.search(r": |[{}&*#?|<>%@`]", value) for value in matter.values())

    def test_licence(self, package: str) -> None:
        licence = (REPOSITORY / package / "LICENSE").read_text()
        assert licence == (REPOSITORY / "LICENSE").read_text()
        assert front_matter(package)["license"] == licence.splitlines()[0]

    def test_sections_and_markup(self, package: str) -> None:
        text = readme(package)
        sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert sections[:4] == ["Abstract", "APIs", "Installation", "Example"]
        assert set(sections[4:]) <= {"Others"}
        assert not re.search(r"</?[a-z]+[ >]", text)  # OptunaHub allows no HTML
        requirements = (REPOSITORY / package / "requirements.txt").read_text()
        assert f"pip install {requirements.strip()}" in code_blocks(text, "shell")[0]

    def test_the_signature_is_the_real_one(self, package: str) -> None:
        call = re.search(r"^- `(\w+)(\(.*\))`$", readme(package), re.MULTILINE)
        assert call is not None
        expected = PACKAGES[package]
        assert call[1] == expected.__name__
        function = ast.parse(f"def f{call[2]}: ...").body[0]
        assert isinstance(function, ast.FunctionDef)
        said = function.args
        real = list(inspect.signature(expected).parameters.values())
        positional = [p for p in real if p.kind is p.POSITIONAL_OR_KEYWORD]
        keyword = [p for p in real if p.kind is p.KEYWORD_ONLY]
        assert [a.arg for a in said.args] == [p.name for p in positional]
        assert [a.arg for a in said.kwonlyargs] == [p.name for p in keyword]
        defaults = [ast.literal_eval(d) for d in said.defaults]
        assert defaults == [p.default for p in positional if p.default is not p.empty]
        for argument, default in zip(keyword, said.kw_defaults, strict=True):
            assert default is not None and ast.literal_eval(default) == argument.default

    def test_the_example_of_the_readme_runs(
        self,
        package: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        [code] = code_blocks(readme(package), "python")
        assert f'optunahub.load_module("{package}")' in code
        code = re.sub(r"n_trials=\d+", "n_trials=12", code)
        if package.startswith("objectives"):
            code = code.replace("epochs=5", "epochs=1").replace("n_trials=12", "n_trials=2")
        if package in ARCHITECTURES:
            write_model_and_texts(tmp_path)
            for name, local in HUB.items():
                assert f'"{name}"' in code
                code = code.replace(name, local)

        def load(name: str) -> object:
            return optunahub.load_local_module(name, registry_root=str(REPOSITORY))

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(optunahub, "load_module", load)
        names: dict[str, object] = {"__name__": "example"}
        exec(compile(code, f"{package}/README.md", "exec"), names)
        study = names["study"]
        assert isinstance(study, optuna.Study)
        assert study.best_value > 0
        if package.startswith("samplers"):
            assert type(study.sampler) is PACKAGES[package]
            assert re.search(CELL, capsys.readouterr().out, re.MULTILINE)

    @pytest.mark.slow
    def test_the_example_runs(
        self,
        package: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for folder in CATEGORY_TAGS:
            shutil.copytree(REPOSITORY / folder, tmp_path / folder)
        arguments: list[str] = []
        if package in ARCHITECTURES:
            write_model_and_texts(tmp_path)
            arguments = list(HUB.values())
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["example.py", *arguments])
        runpy.run_path(f"{package}/example.py", run_name="__main__")
        expected = ARCHITECTURES.get(package, CELL)
        assert re.search(expected, capsys.readouterr().out, re.MULTILINE)
