from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from optuna_nas.data import augment


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _distinct(number: int = 64, channels: int = 2, height: int = 5, width: int = 7) -> Tensor:
    """Images whose values are all different and none is zero."""
    count = number * channels * height * width
    return torch.arange(1.0, count + 1).view(number, channels, height, width)


def test_everything_off_is_the_identity() -> None:
    images = _distinct()
    assert torch.equal(augment(images, _generator(), flip=False, crop_padding=0), images)


def test_the_input_stays_as_it_is_and_the_same_seed_gives_the_same() -> None:
    images = _distinct()
    before = images.clone()
    first = augment(images, _generator(3), crop_padding=2, cutout=3)
    assert torch.equal(images, before)
    assert first.shape == images.shape
    assert torch.equal(first, augment(images, _generator(3), crop_padding=2, cutout=3))
    assert not torch.equal(first, augment(images, _generator(4), crop_padding=2, cutout=3))


def test_flip_mirrors_half_of_the_images() -> None:
    images = _distinct(4000, 1, 2, 3)
    flipped = augment(images, _generator(), crop_padding=0)
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    assert torch.all(same ^ mirrored)
    assert abs(int(mirrored.sum()) - 2000) < 4 * (4000 * 0.25) ** 0.5


def test_crop_is_a_uniform_translation_with_zeros() -> None:
    padding = 2
    images = _distinct(2000, 2, 5, 7)
    cropped = augment(images, _generator(), flip=False, crop_padding=padding)
    seen = torch.zeros(2 * padding + 1, 2 * padding + 1)
    for image, crop in zip(images, cropped, strict=True):
        matches = []
        for down in range(-padding, padding + 1):
            for right in range(-padding, padding + 1):
                moved = torch.zeros_like(image)
                target = moved[
                    :, max(down, 0) : 5 + min(down, 0), max(right, 0) : 7 + min(right, 0)
                ]
                target.copy_(
                    image[:, max(-down, 0) : 5 - max(down, 0), max(-right, 0) : 7 - max(right, 0)]
                )
                if torch.equal(moved, crop):
                    matches.append((down + padding, right + padding))
        assert len(matches) == 1
        seen[matches[0]] += 1
    expected = 2000 / seen.numel()
    assert float(((seen - expected) ** 2 / expected).sum()) < 52  # chi2 of 24: p = 0.001


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_zeroes_one_square_clipped_at_the_borders(side: int) -> None:
    height, width = 6, 9
    images = _distinct(3000, 3, height, width)
    cut = augment(images, _generator(), flip=False, crop_padding=0, cutout=side)
    zero = cut == 0
    assert torch.equal(cut[~zero], images[~zero])
    assert torch.equal(zero, zero[:, :1].expand_as(zero))  # the same square in all channels
    # The square of a centre c covers c - side // 2 .. c - side // 2 + side - 1, inside the image.
    for axis, length in ((2, height), (1, width)):
        lines = zero[:, 0].any(axis)  # n x length
        starts = torch.arange(length) - side // 2
        expected = {(max(start, 0), min(start + side, length)) for start in starts.tolist()}
        found = {(int(line.nonzero().min()), int(line.nonzero().max()) + 1) for line in lines}
        assert found == expected
    areas = zero[:, 0].flatten(1).sum(1)
    full = (height - side + 1) * (width - side + 1) / (height * width)
    assert torch.equal(areas, zero[:, 0].any(1).sum(1) * zero[:, 0].any(2).sum(1))
    assert abs(float((areas == side**2).float().mean()) - full) < 0.04


def test_cutout_of_a_centred_square_has_the_exact_area() -> None:
    images = torch.ones(500, 1, 32, 32)
    cut = augment(images, _generator(), flip=False, crop_padding=0, cutout=16)
    inside = (cut[:, 0, 0] != 0).all(1) & (cut[:, 0, -1] != 0).all(1)
    inside &= (cut[:, 0, :, 0] != 0).all(1) & (cut[:, 0, :, -1] != 0).all(1)
    assert int(inside.sum()) > 50
    assert torch.all((cut[inside] == 0).flatten(1).sum(1) == 256)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_padding": -1}, r"crop_padding must be in 0\.\.4, got -1"),
        ({"crop_padding": 5}, r"crop_padding must be in 0\.\.4, got 5"),
        ({"cutout": -1}, r"cutout must be in 0\.\.5, got -1"),
        ({"cutout": 6}, r"cutout must be in 0\.\.5, got 6"),
    ],
)
def test_wrong_numbers_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        augment(_distinct(), _generator(), **options)


def test_a_single_image_without_a_batch_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="B C H W"):
        augment(torch.ones(3, 8, 8), _generator())
