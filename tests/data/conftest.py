from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def numbered_image(number: int) -> PIL.Image.Image:
    """Draw an image that tells its own number: red is its high byte, green its low byte."""
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = divmod(number, 256)
    pixels[1:, :, 2] = 7 * number % 256
    return PIL.Image.fromarray(pixels)


@pytest.fixture
def numbered() -> Callable[..., datasets.Dataset]:
    """Make a table of numbered images of classes a, b, c..., counts per class given, shuffled."""

    def make(counts: list[int], start: int = 0) -> datasets.Dataset:
        labels = np.random.default_rng(start).permutation(
            np.repeat(np.arange(len(counts)), counts)
        )
        features = datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.ClassLabel(names=list("abcdefgh"[: len(counts)])),
            }
        )
        images = [numbered_image(start + number) for number in range(len(labels))]
        return datasets.Dataset.from_dict(
            {"image": images, "label": labels.tolist()}, features=features
        )

    return make


@pytest.fixture
def png_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write numbered images `root/**/name.png` by a mapping of folder to numbers."""

    def write(folders: dict[str, list[int]], root: str = "pictures") -> Path:
        for folder, numbers in folders.items():
            target = tmp_path / root / folder
            target.mkdir(parents=True, exist_ok=True)
            for number in numbers:
                numbered_image(number).save(target / f"{number}.png")
        return tmp_path / root

    return write
