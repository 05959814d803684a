from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from torch import nn

from optuna_nas._extras import MissingPackageError
from optuna_nas.data import ImageData, load_images
from optuna_nas.errors import UserError
from optuna_nas.export import export_model, export_trial
from optuna_nas.networks import EnsembleNetwork, build_network
from optuna_nas.objectives import CellCNN
from optuna_nas.spaces import Architecture, NASBench201Space

SPACE = NASBench201Space()
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
installed = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in PACKAGES),
    reason="pip install 'optuna-nas[onnx]'",
)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images("digits", train_size=100, validation_size=100, test_size=100)


def made(seed: int, data: ImageData) -> tuple[nn.Module, Architecture]:
    architecture = SPACE.random(np.random.default_rng(seed))
    generator = torch.Generator().manual_seed(seed)
    network = build_network(
        architecture, num_classes=10, in_channels=1, channels=4, cells=1, generator=generator
    )
    network.train()(data.train.images)  # statistics that are not those of a new network
    return network.eval(), architecture


def exported(network: nn.Module, architecture: Any, data: ImageData, folder: Path) -> Path:
    return export_model(
        network,
        folder,
        architecture=architecture,
        image_shape=(1, 8, 8),
        class_names=data.class_names,
        mean=data.mean,
        std=data.std,
        metrics={},
        onnx_images=data.validation.images,
    )


def session(folder: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])


@installed
@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 3])
def test_the_file_computes_what_the_network_does(
    members: int, data: ImageData, tmp_path: Path
) -> None:
    networks, architectures = zip(*(made(seed, data) for seed in range(members)), strict=True)
    network = EnsembleNetwork(networks).eval() if members > 1 else networks[0]
    several = list(architectures) if members > 1 else architectures[0]
    folder = exported(network, several, data, tmp_path / "out")
    run = session(folder)
    mean, std = data.mean[0], data.std[0]
    for size in (1, 2, 33, 100):
        normalised = data.test.images[:size]
        pixels = (normalised * std + mean).numpy()
        assert pixels.min() >= -1e-6 and pixels.max() <= 1 + 1e-6
        with torch.no_grad():
            expected = network(normalised)
        assert expected.std() > 0.01
        np.testing.assert_allclose(
            run.run(["logits"], {"images": pixels})[0], expected.numpy(), atol=1e-4, rtol=0
        )
    about = run.get_modelmeta().custom_metadata_map
    assert json.loads(about["class_names"]) == list(data.class_names)
    assert "pixel values in 0..1, not normalised" in about["input"]
    [images] = run.get_inputs()
    assert images.shape == ["batch", 1, 8, 8]
    described = json.loads((folder / "model.json").read_text())["onnx"]
    assert described["bytes"] == (folder / "model.onnx").stat().st_size
    assert described["largest_difference"] <= 1e-4 and described["compared"] == 64 + 32 + 1
    assert described["milliseconds"] > 0 and described["torch_milliseconds"] > 0
    assert {path.name for path in folder.iterdir()} >= {"model.pt2", "model.onnx", "predict.py"}


@installed
@pytest.mark.slow
def test_a_file_that_computes_something_else_is_not_written(
    data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = torch.onnx.export

    def write_wrongly(traced: torch.export.ExportedProgram, **options: Any) -> Any:
        batch = ({0: torch.export.Dim.DYNAMIC},)
        wrong = nn.Sequential(traced.module(), nn.Softmax(dim=-1))
        args, _ = traced.example_inputs
        return write(torch.export.export(wrong, args, dynamic_shapes=batch), **options)

    monkeypatch.setattr(torch.onnx, "export", write_wrongly)
    with pytest.raises(UserError, match="its logits differ from torch's by"):
        exported(*made(0, data), data, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_said_before_anything_is_trained(
    data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    monkeypatch.setattr(CellCNN, "__call__", lambda *_: pytest.fail("trained"))
    objective = CellCNN(SPACE, data, epochs=1, channels=4, cells=1, artifacts=None)
    study = optuna.create_study(direction="maximize")
    architecture = SPACE.random(np.random.default_rng(0))
    study.add_trial(
        optuna.create_trial(
            value=0.5, params=architecture.params, distributions=SPACE.distributions
        )
    )
    with pytest.raises(MissingPackageError) as error:
        export_trial(objective, study, study.best_trial, tmp_path / "out", onnx=True)
    words = str(error.value)
    assert words.endswith("pip install 'optuna-nas[onnx]'") and "\n" not in words
    assert isinstance(error.value, ImportError) and not list(tmp_path.iterdir())
