from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import random
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import PIL.Image
import pytest
import torch
from optuna.trial import TrialState
from safetensors.torch import load_file, save_file
from torch import nn

from optuna_nas.artifacts import ArtifactFolder
from optuna_nas.artifacts.atomic import write_atomically
from optuna_nas.data import ImageData, load_images
from optuna_nas.errors import UserError
from optuna_nas.export import export_model, export_trial, predict
from optuna_nas.networks import build_network
from optuna_nas.objectives import CellCNN
from optuna_nas.spaces import DARTSSpace, NASBench201Space, SearchSpace, space_from_dict

SPACE = NASBench201Space()

# Runs with `python -I`, without this package's folder on the path and with its name refused.
WITHOUT_US = """
import runpy, sys, warnings
warnings.simplefilter("error")
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("optuna_nas", "optuna"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import torch
from pathlib import Path
from safetensors.torch import load_file, save_file
batches = load_file(sys.argv[1])
for folder in map(Path, sys.argv[2:]):
    network = torch.export.load(folder / "model.pt2").module()
    logits = {name: network(images).detach() for name, images in batches.items()}
    save_file(logits, folder / "logits")
    runpy.run_path(str(folder / "predict.py"), run_name="not main")
"""


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images("digits", train_size=700, validation_size=150, test_size=150)


@pytest.fixture(scope="module")
def searched(
    data: ImageData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CellCNN, optuna.Study]:
    """Four trials, of which three keep their weights."""
    folder = tmp_path_factory.mktemp("search")
    objective = CellCNN(SPACE, data, epochs=3, channels=4, cells=1, seed=3, artifacts=folder)
    study = optuna.create_study(
        study_name="cells", direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1)
    )
    study.optimize(objective, n_trials=4)
    return objective, study


def random_network(space: SearchSpace, channels: int, cells: int) -> tuple[nn.Module, Any]:
    architecture = space.random(np.random.default_rng(0))
    generator = torch.Generator().manual_seed(0)
    network = build_network(
        architecture,
        num_classes=3,
        in_channels=1,
        channels=channels,
        cells=cells,
        auxiliary=isinstance(space, DARTSSpace),
        generator=generator,
    )
    for module in network.modules():  # statistics that a mistaken training mode would show
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.uniform_(-1, 1, generator=generator)
    return network, architecture


def small_network() -> tuple[nn.Module, Any]:
    """A network that is exported fast, and an architecture it was not built from."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    return network, SPACE.random(np.random.default_rng(0))


def about_images() -> dict[str, Any]:
    return {
        "image_shape": (1, 8, 8),
        "class_names": ("a", "b", "c"),
        "mean": (0.25,),
        "std": (0.5,),
        "metrics": {"accuracy": 0.5},
    }


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_program_is_the_network_without_this_package(tmp_path: Path) -> None:
    networks: dict[Path, nn.Module] = {}
    for space, cells in ((SPACE, 1), (DARTSSpace(), 2)):
        network, architecture = random_network(space, 4, cells)
        network.train()
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        folder = export_model(
            network, tmp_path / space.name, architecture=architecture, **about_images()
        )
        assert network.training  # neither the mode nor the weights were touched
        assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
        networks[folder] = network.eval()

    generator = torch.Generator().manual_seed(1)
    batches = {str(n): torch.randn(n, 1, 8, 8, generator=generator) for n in (1, 7)}
    save_file(batches, tmp_path / "images")
    ran = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_US, tmp_path / "images", *networks],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == ran.stderr == ""
    for folder, network in networks.items():
        logits = load_file(folder / "logits")
        for size, images in batches.items():
            with torch.no_grad():
                expected = network(images)
            assert expected.std() > 0.01 and logits[size].shape == (int(size), 3)
            torch.testing.assert_close(logits[size], expected, atol=1e-5, rtol=0)


def test_a_dead_cell_is_exported(tmp_path: Path) -> None:
    dead = SPACE.architecture(dict.fromkeys(SPACE.distributions, "none"))
    network = build_network(dead, num_classes=3, in_channels=1, channels=4, cells=1)
    folder = export_model(network, tmp_path / "out", architecture=dead, **about_images())
    logits = torch.export.load(folder / "model.pt2").module()(torch.zeros(5, 1, 8, 8))
    assert logits.shape == (5, 3)


def test_an_exported_trial_is_the_trained_one(
    searched: tuple[CellCNN, optuna.Study], tmp_path: Path
) -> None:
    objective, study = searched
    trial, data = study.best_trial, objective.data
    folder = export_trial(objective, study, trial, tmp_path / "deep" / "out")
    assert folder == tmp_path / "deep" / "out"
    names = ["model.json", "model.pt2", "predict.py", "weights.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [path.name for path in folder.parent.iterdir()] == ["out"]  # no temporary folder

    about = json.loads((folder / "model.json").read_text())
    space = space_from_dict(about["space"])
    architecture = space.architecture(about["params"])
    assert str(architecture) == about["architecture"] == trial.user_attrs["architecture"]
    assert (about["study"], about["trial"], about["trained_again"]) == (
        "cells",
        trial.number,
        False,
    )
    assert about["image_shape"] == [1, 8, 8] and about["class_names"] == list("0123456789")
    assert about["mean"] == list(data.mean) and about["std"] == list(data.std)
    assert about["metrics"]["validation accuracy"] == trial.value
    assert about["metrics"]["test_accuracy"] == trial.user_attrs["test_accuracy"]
    assert about["metrics"]["parameters"] == trial.user_attrs["parameters"]
    assert about["versions"]["torch"] == torch.__version__

    # The program reaches the accuracies that were measured in the search.
    program = torch.export.load(folder / "model.pt2").module()
    for split, value in (
        (data.validation, trial.value),
        (data.test, trial.user_attrs["test_accuracy"]),
    ):
        correct = (program(split.images).argmax(1) == split.labels).float().mean()
        assert float(correct) == pytest.approx(value)

    # The weights rebuild the network with this package.
    network = objective.build(architecture).eval()
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    torch.testing.assert_close(
        network(data.test.images), program(data.test.images), atol=1e-5, rtol=0
    )


def test_a_trial_without_weights_is_trained_again_in_the_same_way(
    searched: tuple[CellCNN, optuna.Study], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    objective, study = searched
    kept = {path.name for path in Path(str(objective.artifacts)).rglob("trial-*")}
    [worst] = [t for t in study.trials if f"trial-{t.number}.safetensors" not in kept]
    optuna.logging.enable_propagation()
    try:
        folder = export_trial(objective, study, worst, tmp_path / "out")
    finally:
        optuna.logging.disable_propagation()
    assert f"Trial {worst.number} is trained again." in caplog.text
    about = json.loads((folder / "model.json").read_text())
    assert about["trained_again"] is True and about["trial"] == worst.number
    # The same seed and settings: the very accuracies of the search come out.
    assert about["metrics"]["validation accuracy"] == worst.value
    assert about["metrics"]["test_accuracy"] == worst.user_attrs["test_accuracy"]
    # Nothing of it shows in the study or its folder.
    assert len(study.trials) == 4
    assert {path.name for path in Path(str(objective.artifacts)).rglob("trial-*")} == kept


def test_training_again_gives_the_kept_weights(
    searched: tuple[CellCNN, optuna.Study], tmp_path: Path
) -> None:
    objective, study = searched
    retried = study.best_trial
    run = retried.system_attrs["optuna_nas:run"]
    # Then the number is not the seed.
    retried.system_attrs = {"failed_trial": retried.number, "optuna_nas:run": run}
    retried.number = 99
    first = export_trial(objective, study, study.best_trial, tmp_path / "kept")
    again = export_trial(objective, study, retried, tmp_path / "again")
    kept, trained = (load_file(folder / "weights.safetensors") for folder in (first, again))
    assert kept.keys() == trained.keys()
    assert all(torch.equal(kept[name], trained[name]) for name in kept)


def test_predict_classifies_image_files(
    searched: tuple[CellCNN, optuna.Study],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    objective, study = searched
    data = objective.data
    folder = export_trial(objective, study, study.best_trial, tmp_path / "out")
    program = torch.export.load(folder / "model.pt2").module()
    expected, paths = [], []
    for i in range(6):
        pixels = (data.test.images[i, 0] * data.std[0] + data.mean[0]) * 255
        image = PIL.Image.fromarray(pixels.round().byte().numpy())
        paths.append(tmp_path / f"{i}.png")
        (image if i % 2 else image.convert("RGB")).save(paths[-1])  # grey is read from both
        expected.append(str(int(program(data.test.images[i : i + 1]).argmax())))
    large = tmp_path / "large.png"
    PIL.Image.open(paths[1]).resize((64, 64), PIL.Image.Resampling.BICUBIC).save(large)
    (tmp_path / "broken.png").write_bytes(b"no image")

    images = [*paths, large, tmp_path / "broken.png"]
    monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, images)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(folder / "predict.py"), run_name="__main__")
    assert ended.value.code == 1
    out, errors = capsys.readouterr()
    assert errors.count("\n") == 1 and "broken.png: cannot be read" in errors
    lines = out.splitlines()
    assert len(lines) == 7 and len(set(expected)) > 2
    for path, name, line in zip(paths, expected, lines[:6], strict=True):
        assert line.startswith(f"{path}: {name} (") and line.endswith("%)")


def test_predict_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main([]) == 2
    assert capsys.readouterr().err.endswith(" IMAGE [IMAGE ...]\n")


def test_only_an_earlier_export_is_overwritten(tmp_path: Path) -> None:
    network, architecture = small_network()
    arguments: dict[str, Any] = {"architecture": architecture, **about_images()}
    folder = export_model(network, tmp_path / "out", **arguments)
    before = hashes(folder)
    with pytest.raises(FileExistsError, match=r"out' exists; choose another, or `overwrite"):
        export_model(network, folder, **arguments)
    arguments["class_names"] = ("x", "y", "z")
    assert export_model(network, folder, overwrite=True, **arguments) == folder
    after = hashes(folder)
    assert {name for name in after if before[name] != after[name]} >= {"model.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"not an earlier export .* \['thesis.tex'\]"):
        export_model(network, folder, overwrite=True, **arguments)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="not an earlier export"):
        export_model(network, tmp_path / "file", overwrite=True, **arguments)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="exists"):
        export_model(network, tmp_path / "link", **arguments)
    assert (folder / "thesis.tex").read_text() == "years of work"
    assert {**hashes(folder), **after} == hashes(folder)


def test_what_fails_leaves_the_earlier_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, architecture = small_network()
    arguments: dict[str, Any] = {"architecture": architecture, **about_images()}
    folder = export_model(network, tmp_path / "out", **arguments)
    before = hashes(folder)
    rename = Path.rename

    def full_disk(path: Path, content: bytes) -> None:
        if path.name == "predict.py":
            raise OSError(28, "No space left on device")
        write_atomically(path, content)

    def no_rename(path: Path, target: Path) -> Path:
        if path.suffix == ".new":
            raise OSError(13, "Permission denied")
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr("optuna_nas.export.folder.write_atomically", full_disk)
        export_model(network, folder, overwrite=True, **arguments)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="Permission denied"):
        patch.setattr(Path, "rename", no_rename)
        export_model(network, folder, overwrite=True, **arguments)
    assert hashes(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_shape": (8, 8)}, "`image_shape` is"),
        ({"image_shape": (2, 8, 8)}, "2 channels"),
        ({"image_shape": (3, 8, 8), "mean": (0,) * 3, "std": (1,) * 3}, "takes no images"),
        ({"mean": (0.1, 0.2)}, "`mean` is"),
        ({"std": ()}, "`std` is"),
        ({"class_names": ("a", "b")}, r"returns \(2, 3\) for two images; needed are .*\(2, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    network, architecture = small_network()
    arguments = {**about_images(), **change}
    with pytest.raises(ValueError, match=message):
        export_model(network, tmp_path / "out", architecture=architecture, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_of_other_settings_is_refused(
    searched: tuple[CellCNN, optuna.Study], data: ImageData, tmp_path: Path
) -> None:
    objective, study = searched
    wider = CellCNN(SPACE, data, epochs=1, channels=8, cells=1, artifacts=objective.artifacts)
    with pytest.raises(ValueError, match="do not fit the network that `objective` builds"):
        export_trial(wider, study, study.best_trial, tmp_path / "out")
    other = optuna.trial.create_trial(state=TrialState.PRUNED, value=0.1)
    with pytest.raises(ValueError, match="`params` lacks 'edge_0_1'"):
        export_trial(objective, study, other, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    network, architecture = small_network()
    metrics = {"loss": float("nan"), "accuracy": np.float64(0.5)}
    arguments = {**about_images(), "metrics": metrics}
    folder = export_model(network, tmp_path / "out", architecture=architecture, **arguments)
    about = json.loads((folder / "model.json").read_text())
    assert about["metrics"] == {"loss": None, "accuracy": 0.5}


def test_a_network_of_another_accuracy_than_told_is_not_written(
    searched: tuple[CellCNN, optuna.Study], tmp_path: Path
) -> None:
    objective, study = searched
    trial = study.best_trial
    told = copy.deepcopy(trial)
    told.value = study.best_value - 0.0625  # a bit of the number in a database
    with pytest.raises(UserError, match=r"the validation accuracy was .*, and is .* on 150"):
        export_trial(objective, study, told, tmp_path / "out")
    told = copy.deepcopy(trial)
    told.user_attrs["test_accuracy"] += 0.1
    with pytest.raises(UserError, match=r"Nothing is written: the test accuracy was"):
        export_trial(objective, study, told, tmp_path / "out")

    # Weights of a version that wrote no checksums, with a bit of an exponent flipped.
    folder = tmp_path / "artifacts"
    shutil.copytree(str(objective.artifacts), folder)
    damaged = copy.copy(objective)
    damaged.artifacts = folder
    file = Path(str(ArtifactFolder(folder).weights(study.study_name, trial.number)))
    content = bytearray(file.read_bytes().replace(b"optuna_nas_sha256", b"optuna_nas_sha255"))
    content[-1] ^= 1 << 6
    content[-9] ^= 1 << 6
    file.write_bytes(content)
    with contextlib.suppress(UserError):  # the last weights need not decide a class
        about = json.loads(
            (export_trial(damaged, study, trial, tmp_path / "out") / "model.json").read_text()
        )
        assert about["measured_again"]["validation accuracy"] == pytest.approx(trial.value)
    content[-2000:] = bytes(2000)
    file.write_bytes(content)
    with pytest.raises(UserError, match="Nothing is written"):
        export_trial(damaged, study, trial, tmp_path / "zeroed")
    assert not (tmp_path / "zeroed").exists()


def test_an_export_says_what_was_measured_again(
    searched: tuple[CellCNN, optuna.Study], tmp_path: Path
) -> None:
    objective, study = searched
    folder = export_trial(objective, study, study.best_trial, tmp_path / "out")
    about = json.loads((folder / "model.json").read_text())
    again = about["measured_again"]
    assert again["validation accuracy"] == pytest.approx(study.best_value)
    assert again["test_accuracy"] == pytest.approx(study.best_trial.user_attrs["test_accuracy"])
    there = hashes(folder)
    del there["model.json"]
    told = about["sha256"].pop("description")
    assert about["sha256"] == there
    assert told == hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def test_predict_refuses_damaged_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, architecture = small_network()
    folder = export_model(network, tmp_path / "out", architecture=architecture, **about_images())
    script = runpy.run_path(str(folder / "predict.py"))
    PIL.Image.new("L", (8, 8), 90).save(tmp_path / "a.png")
    assert script["main"]([str(tmp_path / "a.png")]) == 0
    told = capsys.readouterr().out
    generator = random.Random(0)
    for name in ("model.pt2", "model.json"):
        content = (folder / name).read_bytes()
        places = [generator.randrange(len(content)) for _ in range(40)]
        changed = [
            content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
            for place in places
        ]
        changed += [content[: len(content) // 2], b"", content[:99] + bytes(99) + content[198:]]
        for damaged in changed:
            (folder / name).write_bytes(damaged)
            code = script["main"]([str(tmp_path / "a.png")])
            out, err = capsys.readouterr()
            if code:  # else what is damaged are blanks between values
                assert err == f"{name} is damaged: its checksum differs\n" and not out
            else:
                assert name == "model.json" and out == told
                assert json.loads(damaged) == json.loads(content)
        (folder / name).write_bytes(content)
