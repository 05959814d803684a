from __future__ import annotations

import pytest
import torch

from optuna_nas.data import ImageSplit, batches


def _split(size: int) -> ImageSplit:
    labels = torch.arange(size)
    return ImageSplit(labels.view(-1, 1, 1, 1).expand(-1, 1, 2, 2).to(torch.float32), labels)


def test_training_batches_are_one_shuffled_epoch_of_matching_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = list(batches(_split(20), 8, generator))
    assert [len(labels) for _, labels in pairs] == [8, 8, 4]
    for images, labels in pairs:
        assert torch.equal(images[:, 0, 1, 1], labels.to(torch.float32))
    epoch = torch.cat([labels for _, labels in pairs])
    assert sorted(epoch.tolist()) == list(range(20))
    assert epoch.tolist() != list(range(20))
    following = torch.cat([labels for _, labels in batches(_split(20), 8, generator)])
    assert not torch.equal(epoch, following)
    again = batches(_split(20), 8, torch.Generator().manual_seed(0))
    assert torch.equal(epoch, torch.cat([labels for _, labels in again]))


def test_a_last_training_batch_of_one_image_is_left_out() -> None:
    pairs = list(batches(_split(17), 8, torch.Generator().manual_seed(0)))
    assert [len(labels) for _, labels in pairs] == [8, 8]
    network = torch.nn.BatchNorm1d(1)
    for images, _ in pairs:
        network(images.mean((2, 3)))  # raises for a batch of one


def test_evaluation_batches_are_all_images_in_order() -> None:
    pairs = list(batches(_split(17), 8, device="cpu"))
    assert [len(images) for images, _ in pairs] == [8, 8, 1]
    assert torch.cat([labels for _, labels in pairs]).tolist() == list(range(17))
    assert len(list(batches(_split(1), 1))) == 1


def test_a_split_on_its_device_is_itself() -> None:
    split = _split(3)
    assert split.to("cpu") is split
    moved = split.to("meta")
    assert moved.images.device.type == moved.labels.device.type == "meta"


def test_wrong_batch_sizes_are_refused_at_once() -> None:
    generator = torch.Generator()
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        batches(_split(4), 0)
    with pytest.raises(ValueError, match="batch_size must be at least 2, got 1"):
        batches(_split(4), 1, generator)
    with pytest.raises(ValueError, match="at least 2 examples, it has 1"):
        batches(_split(1), 8, generator)
