from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from sklearn.datasets import load_digits

from optuna_nas.data import ImageData, ImageSplit, load_images
from optuna_nas.data.labels import read_labels

Numbered = Callable[..., datasets.Dataset]
PngFolder = Callable[..., Path]
SPLITS = ("train", "validation", "test")


def _pixels(data: ImageData, split: ImageSplit) -> torch.Tensor:
    """Undo the normalisation: bytes, `N C H W`."""
    shape = (1, -1, 1, 1)
    std, mean = torch.tensor(data.std).view(shape), torch.tensor(data.mean).view(shape)
    return ((split.images * std + mean) * 255).round().to(torch.uint8)


def _numbers(data: ImageData, name: str) -> list[int]:
    """Read off which numbered images a split holds."""
    corner = _pixels(data, getattr(data, name))[:, :, 0, 0].to(torch.int64)
    return (corner[:, 0] * 256 + corner[:, 1]).tolist()


def _all_numbers(data: ImageData) -> list[int]:
    return [number for name in SPLITS for number in _numbers(data, name)]


def _save(tmp_path: Path, **splits: datasets.Dataset) -> Path:
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def _table(images: list[Any], labels: list[Any], **features: Any) -> datasets.Dataset:
    return datasets.Dataset.from_dict(
        {"image": images, "label": labels},
        features=datasets.Features(
            {"image": datasets.Image(), "label": datasets.Value("int64")} | features
        ),
    )


def _grey(value: int, size: tuple[int, int] = (4, 4)) -> PIL.Image.Image:
    return PIL.Image.new("L", size, value)


def test_digits() -> None:
    data = load_images("digits")
    assert [len(data.train), len(data.validation), len(data.test)] == [1150, 288, 359]
    assert data.class_names == tuple("0123456789")
    assert (data.num_classes, data.in_channels, data.image_size) == (10, 1, (8, 8))
    # Together they are scikit-learn's digits, up to the order.
    pixels = torch.cat([_pixels(data, getattr(data, name)) for name in SPLITS]).flatten(1)
    labels = torch.cat([getattr(data, name).labels for name in SPLITS])
    digits = load_digits()
    found = sorted(map(tuple, torch.cat([labels[:, None], pixels], 1).tolist()))
    expected = np.column_stack([digits.target, digits.data * 15]).astype(int)
    assert found == sorted(map(tuple, expected.tolist()))


def test_the_source_splits_are_kept_apart(tmp_path: Path, numbered: Numbered) -> None:
    train, test = numbered([60, 40]), numbered([6, 4], start=1000)
    source = _save(tmp_path, train=train, validation=numbered([5, 5], start=2000), test=test)
    data = load_images(source, validation_fraction=0.25)
    assert [len(data.train), len(data.validation), len(data.test)] == [75, 25, 10]
    assert sorted(_numbers(data, "train") + _numbers(data, "validation")) == list(range(100))
    assert _numbers(data, "test") == list(range(1000, 1010))
    assert data.test.labels.tolist() == test["label"][:]
    for split in (data.train, data.validation):
        assert int(split.labels.sum()) == 0.4 * len(split)
        assert split.labels.dtype == torch.int64
        assert split.images.dtype == torch.float32
    # Every image still has its own label.
    labels = train["label"][:]
    assert data.train.labels.tolist() == [labels[number] for number in _numbers(data, "train")]


def test_test_images_are_drawn_first_from_a_single_split(
    tmp_path: Path, numbered: Numbered
) -> None:
    source = _save(tmp_path, everything=numbered([60, 40]))
    data = load_images(source, test_size=20)
    assert [len(data.train), len(data.validation), len(data.test)] == [64, 16, 20]
    assert sorted(_all_numbers(data)) == list(range(100))
    smaller = load_images(source, test_size=20, train_size=8, validation_size=4)
    assert _numbers(smaller, "test") == _numbers(data, "test")


def test_the_validation_split_is_the_test_if_there_is_no_other(
    tmp_path: Path, numbered: Numbered
) -> None:
    source = _save(tmp_path, train=numbered([6, 4]), validation=numbered([2, 2], start=500))
    assert _numbers(load_images(source), "test") == [500, 501, 502, 503]


def test_the_seed_decides(tmp_path: Path, numbered: Numbered) -> None:
    source = _save(tmp_path, train=numbered([60, 40]), test=numbered([6, 4], start=1000))
    sizes: dict[str, Any] = {"train_size": 20, "validation_size": 10, "test_size": 5}
    one, same, other = (load_images(source, **sizes, seed=seed) for seed in (1, 1, 2))
    for name in SPLITS:
        assert torch.equal(getattr(one, name).images, getattr(same, name).images)
        assert torch.equal(getattr(one, name).labels, getattr(same, name).labels)
        assert _numbers(one, name) != _numbers(other, name)
    assert torch.bincount(one.train.labels).tolist() == [12, 8]


def test_normalisation_uses_the_training_images_alone(tmp_path: Path, numbered: Numbered) -> None:
    dark = [_grey(value) for value in range(10, 50)]
    bright = [_grey(value) for value in range(200, 204)]
    source = _save(tmp_path, train=_table(dark, [0, 1] * 20), test=_table(bright, [0, 1, 0, 1]))
    data = load_images(source)
    values = _pixels(data, data.train).double() / 255
    assert data.mean == pytest.approx([float(values.mean())])
    assert data.std == pytest.approx([float(values.std(unbiased=False))])
    assert float(data.train.images.mean()) == pytest.approx(0, abs=1e-6)
    assert float(data.train.images.std(unbiased=False)) == pytest.approx(1, abs=1e-6)
    assert float(data.validation.images.mean()) != pytest.approx(0, abs=1e-3)
    expected = (torch.arange(200, 204) / 255 - data.mean[0]) / data.std[0]
    assert torch.allclose(data.test.images[:, 0, 0, 0], expected)


def test_a_constant_channel_becomes_zero(tmp_path: Path) -> None:
    images = [PIL.Image.new("RGB", (4, 4), (77, value, 0)) for value in range(20)]
    data = load_images(_save(tmp_path, train=_table(images, [0, 1] * 10)))
    assert data.mean[0] == pytest.approx(77 / 255)
    assert (data.std[0], data.std[2]) == (1, 1)
    for name in SPLITS:
        images_ = getattr(data, name).images
        assert torch.allclose(images_[:, [0, 2]], torch.zeros(1), atol=1e-6)


def test_only_chosen_images_are_decoded(tmp_path: Path, numbered: Numbered) -> None:
    table = numbered([50, 50])
    chosen = load_images(_save(tmp_path, train=table), train_size=4, test_size=2)
    used = set(_all_numbers(chosen))
    assert len(used) == 7
    broken = _table(
        [table[number]["image"] if number in used else b"broken" for number in range(100)],
        table["label"][:],
    )
    broken.save_to_disk(str(tmp_path / "broken"))
    again = load_images(tmp_path / "broken", train_size=4, test_size=2)
    assert torch.equal(again.train.images, chosen.train.images)


def test_columns_with_bytes_and_other_names(tmp_path: Path, numbered: Numbered) -> None:
    table = numbered([10, 10]).cast_column("image", datasets.Image(decode=False))
    files = [file["bytes"] for file in table["image"][:]]
    labels = ["xy"[label] for label in table["label"][:]]
    plain = datasets.Dataset.from_dict({"id": range(20), "img": files, "fine_label": labels})
    structs = datasets.Dataset.from_dict(
        {
            "picture": [{"bytes": file, "path": None} for file in files],
            "kind": labels,
            "label": [3] * 20,
        }
    )
    plain.to_parquet(tmp_path / "plain.parquet")
    structs.to_parquet(tmp_path / "structs.parquet")
    expected = load_images(_save(tmp_path, train=numbered([10, 10])))
    cases: list[tuple[str, dict[str, Any]]] = [
        ("plain", {}),
        ("plain", {"image_column": "img", "label_column": "fine_label"}),
        ("structs", {"label_column": "kind"}),
    ]
    for name, columns in cases:
        data = load_images(tmp_path / f"{name}.parquet", **columns)
        assert torch.equal(data.train.images, expected.train.images)
        assert torch.equal(data.train.labels, expected.train.labels)
        assert data.class_names == ("x", "y")


@pytest.mark.parametrize(
    ("values", "class_names"),
    [
        (["dog", "ant", "cat"], ("ant", "cat", "dog")),
        ([10, 9, 2], ("2", "9", "10")),
        ([True, False, True], ("False", "True")),
    ],
)
def test_labels_are_numbered_in_sorted_order(
    tmp_path: Path, values: list[Any], class_names: tuple[str, ...]
) -> None:
    images = [_grey(value) for value in range(30)]
    table = datasets.Dataset.from_dict(
        {"image": images, "label": values * 10},
        features=datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.Dataset.from_dict({"l": values}).features["l"],
            }
        ),
    )
    data = load_images(_save(tmp_path, train=table))
    assert data.class_names == class_names
    for pixel, label in zip(_pixels(data, data.train)[:, 0, 0, 0], data.train.labels, strict=True):
        assert class_names[label] == str(values[int(pixel) % 3])


def test_test_labels_are_matched_by_class_name(tmp_path: Path, numbered: Numbered) -> None:
    test = _table([_grey(0)] * 3, [0, 1, 1], label=datasets.ClassLabel(names=["b", "a"]))
    numbered([5, 5, 5]).to_parquet(tmp_path / "train.parquet")
    folder = tmp_path / "dict"
    for name, table in (("train", numbered([5, 5, 5])), ("test", test)):
        table.save_to_disk(str(folder / name))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    data = load_images(folder)
    assert data.class_names == ("a", "b", "c")
    assert data.test.labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_images_keep_one_channel(tmp_path: Path, mode: str) -> None:
    images = [_grey(255 * (value % 2)).convert(mode) for value in range(20)]
    data = load_images(_save(tmp_path, train=_table(images, [0, 1] * 10)))
    assert data.in_channels == 1
    assert torch.equal(_pixels(data, data.train)[:, 0, 0, 0] / 255, data.train.labels.float())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_grey_images_among_coloured_ones_get_three_channels(tmp_path: Path, mode: str) -> None:
    colour = PIL.Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode)
    train = _table([_grey(100)] * 10 + [colour] * 10, [0] * 10 + [1] * 10)
    data = load_images(_save(tmp_path, train=train, test=_table([_grey(100), _grey(7)], [0, 1])))
    assert data.in_channels == 3
    for pixel, label in zip(_pixels(data, data.train), data.train.labels, strict=True):
        assert pixel[:, 1, 1].tolist() == ([255, 0, 0] if label else [100] * 3)
    assert torch.all(_pixels(data, data.test)[1] == 7)


def test_palettes_may_be_transparent(tmp_path: Path) -> None:
    colour = PIL.Image.new("RGB", (4, 4), (255, 0, 0)).quantize(2)
    file = io.BytesIO()
    colour.save(file, "png", transparency=bytes([3, 9]))
    data = load_images(_save(tmp_path, train=_table([file.getvalue()] * 20, [0, 1] * 10)))
    assert data.mean == pytest.approx((1, 0, 0))  # and no warning of Pillow's


def test_colour_in_one_split_makes_all_splits_coloured(tmp_path: Path) -> None:
    train = _table([_grey(value) for value in range(20)], [0, 1] * 10)
    test = _table([PIL.Image.new("RGB", (4, 4), (1, 2, 3))] * 2, [0, 1])
    data = load_images(_save(tmp_path, train=train, test=test))
    assert data.in_channels == len(data.mean) == 3
    assert _pixels(data, data.test)[0, :, 0, 0].tolist() == [1, 2, 3]
    assert torch.equal(data.train.images[:, 0], data.train.images[:, 2])


def test_resizing_is_bilinear(tmp_path: Path) -> None:
    wide, square = PIL.Image.new("L", (8, 4)), _grey(200)
    wide.putpixel((3, 2), 255)
    source = _save(tmp_path, train=_table([wide, square] * 10, [0, 1] * 10))
    with pytest.raises(
        ValueError, match=r"4 x [48] pixels .* others have 4 x [48]\. Pass `image_size`"
    ):
        load_images(source)
    data = load_images(source, image_size=(3, 6))
    assert data.image_size == (3, 6)
    resized = np.asarray(wide.resize((6, 3), PIL.Image.Resampling.BILINEAR))
    for pixel, label in zip(_pixels(data, data.train), data.train.labels, strict=True):
        assert np.array_equal(pixel[0].numpy(), np.full((3, 6), 200) if label else resized)
    assert load_images(source, image_size=5).image_size == (5, 5)


def test_image_folders_end_to_end(png_folder: PngFolder) -> None:
    source = png_folder(
        {"train/a": list(range(10)), "train/b": list(range(10, 30)), "test/b": [99]}
    )
    data = load_images(str(source))
    assert data.class_names == ("a", "b")
    for number, label in zip(_numbers(data, "train"), data.train.labels, strict=True):
        assert int(label) == (number >= 10)
    assert _numbers(data, "test") == [99]
    assert data.test.labels.tolist() == [1]


def test_the_description_is_plain_json() -> None:
    description = load_images("digits", train_size=40, validation_size=20, test_size=30).describe()
    assert json.loads(json.dumps(description)) == description
    assert description["name"] == "digits"
    assert [description[name] for name in SPLITS] == [40, 20, 30]
    assert description["image_size"] == [8, 8]


def _data(**changed: Any) -> ImageData:
    """Two thousand and some images; parts of it are changed by name."""
    generator = torch.Generator().manual_seed(0)
    parts: dict[str, Any] = {"class_names": ("a", "b"), "name": "photos"}
    for name, count in zip(SPLITS, (2100, 3, 4), strict=True):
        images = torch.randn(count, 2, 3, 3, generator=generator)
        parts[name] = ImageSplit(images, torch.arange(count) % 2)
    return ImageData(mean=(0.0, 0.0), std=(1.0, 1.0), **parts | changed)


def test_the_digest_is_that_of_the_contents() -> None:
    data = _data()
    assert data.describe()["digest"] == data.digest == _data().digest
    assert len(data.digest) == 16
    strided = data.train.images.to(memory_format=torch.channels_last)
    assert _data(train=ImageSplit(strided, data.train.labels)).digest == data.digest
    assert _data(name="moved").digest == data.digest


def test_the_digest_changes_with_anything_that_is_learnt_from() -> None:
    data = _data()
    digests = {data.digest}
    for name in SPLITS:
        split = getattr(data, name)
        images, labels = split.images.clone(), split.labels.clone()
        images[-1, -1, -1, -1] += 1e-3
        labels[-1] = 1 - labels[-1]
        digests.add(_data(**{name: ImageSplit(images, split.labels)}).digest)
        digests.add(_data(**{name: ImageSplit(split.images, labels)}).digest)
    digests.add(_data(class_names=("b", "a")).digest)
    digests.add(_data(class_names=("ab", "")).digest)
    digests.add(_data(validation=data.test, test=data.validation).digest)
    turned = ImageSplit(data.test.images.view(4, 2, 1, 9), data.test.labels)
    digests.add(_data(test=turned).digest)
    assert len(digests) == 11


def test_images_beyond_the_memory_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 1797 * 64 * 5
    load_images("digits", memory_limit=needed)
    with pytest.raises(
        ValueError, match=rf"need {needed:,} bytes .*`memory_limit`={needed - 1:,}"
    ):
        load_images("digits", memory_limit=needed - 1)
    with pytest.raises(ValueError, match="1797 images of 1 x 90000 x 90000"):
        load_images("digits", image_size=90_000)


def test_a_broken_image_is_named_with_its_row_and_cause(
    tmp_path: Path, png_folder: PngFolder
) -> None:
    images: list[Any] = [_grey(value) for value in range(20)]
    source = _save(tmp_path, train=_table([*images[:7], b"no image", *images[8:]], [0, 1] * 10))
    with pytest.raises(ValueError, match=r"image in row 7 of split 'train' .*none of PNG, JPEG"):
        load_images(source)
    folder = png_folder({"a": [0, 1, 2], "b": [3, 4, 5]})
    file = folder / "b" / "4.png"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"image in row 4 .*b/4\.png.*truncated"):
        load_images(folder)
    deep = PIL.Image.new("I;16", (4, 4), 4000)
    _table([*images[:7], None, *images[8:]], [0, 1] * 10).save_to_disk(str(tmp_path / "null"))
    _table([*images[:7], deep, *images[8:]], [0, 1] * 10).save_to_disk(str(tmp_path / "deep"))
    with pytest.raises(ValueError, match=r"row 7 .*null"):
        load_images(tmp_path / "null")
    with pytest.raises(ValueError, match=r"row 7 .*more than 8 bits"):
        load_images(tmp_path / "deep")


def test_missing_and_ambiguous_columns_are_refused(tmp_path: Path) -> None:
    image = datasets.Image()
    names = {
        "left": [_grey(1)] * 4,
        "right": [_grey(2)] * 4,
        "kind": [0, 1, 0, 1],
        "score": [0.5] * 4,
    }
    features = {"left": image, "right": image, "kind": datasets.Value("int64")}
    table = datasets.Dataset.from_dict(
        names, features=datasets.Features(features | {"score": datasets.Value("float32")})
    )
    source = _save(tmp_path, train=table)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, r"several image columns, \['left', 'right'\],.*image_column`: .*'kind': 'int64'"),
        (
            {"image_column": "middle"},
            r"`image_column`='middle' is not a column of split 'train'.*right",
        ),
        ({"image_column": "score"}, "`image_column`='score' .* holds no images"),
        ({"image_column": "left"}, "no label column in split 'train' .*label_column`: .*left"),
        ({"image_column": "left", "label_column": "score"}, "no classes in column 'score'"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            load_images(source, **arguments)
    assert load_images(source, image_column="left", label_column="kind").num_classes == 2


def test_columns_with_common_names_are_preferred(tmp_path: Path, numbered: Numbered) -> None:
    table = numbered([5, 5])
    table = table.add_column("coarse", [0] * 10, feature=datasets.ClassLabel(names=["z"]))
    table = table.add_column("mask", [b"no image"] * 10)
    assert load_images(_save(tmp_path, train=table)).class_names == ("a", "b")


def test_a_test_split_needs_the_same_columns(tmp_path: Path, numbered: Numbered) -> None:
    folder = tmp_path / "dict"
    numbered([5, 5]).save_to_disk(str(folder / "train"))
    numbered([5, 5]).remove_columns("label").save_to_disk(str(folder / "test"))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    with pytest.raises(ValueError, match="`label_column`='label' is not a column of split 'test'"):
        load_images(folder)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([0, 1, -1, 1] * 3, [0, 1], r"split 'train' .* in 3 of its 12 rows, first in row 2"),
        ([0, 1] * 6, [-1, -1], r"split 'test' .* 2 of its 2 rows, .* `test_split`"),
        ([0, 1, 1, None] * 3, [0, 1], "3 of its 12 rows, first in row 3"),
        ([1] * 12, [1], "only one class, '1'"),
        ([0, 1] * 6, [0, 1, 2], r"split 'test' .* 1 classes without a training example: \['2'\]"),
    ],
)
def test_wrong_labels_are_refused(
    tmp_path: Path, train: list[int | None], test: list[int], message: str
) -> None:
    tables = {
        name: _table([_grey(9)] * len(labels), labels)
        for name, labels in (("train", train), ("test", test))
    }
    with pytest.raises(ValueError, match=message):
        load_images(_save(tmp_path, **tables))


@pytest.mark.parametrize("empty", ["train", "test"])
def test_empty_splits_are_refused(tmp_path: Path, numbered: Numbered, empty: str) -> None:
    for name in ("train", "test"):
        counts = [0, 0] if name == empty else [5, 5]
        numbered(counts).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match=rf"Cannot read .*{empty}\.parquet .* a split empty"):
        load_images(tmp_path)
    with pytest.raises(ValueError, match=r"split 'x' is empty"):
        read_labels(numbered([0, 0]), "label", where="split 'x'")


def test_a_class_named_in_the_training_split_but_without_images_is_refused_in_the_test(
    tmp_path: Path, numbered: Numbered
) -> None:
    source = _save(tmp_path, train=numbered([5, 5, 0]), test=numbered([1, 1, 1]))
    with pytest.raises(ValueError, match=r"without a training example: \['c'\]"):
        load_images(source)


def test_training_images_must_cover_the_classes(tmp_path: Path, numbered: Numbered) -> None:
    source = _save(tmp_path, train=numbered([97, 1, 2]), test=numbered([1, 1, 1]))
    with pytest.raises(
        ValueError, match=r"The 10 training images .* none of the classes \['b', 'c'\]"
    ):
        load_images(source, train_size=10)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
        ({"seed": 0.5}, TypeError, "`seed` must be an integer, got 0.5"),
        ({"memory_limit": 0}, ValueError, "`memory_limit` must be at least 1"),
        ({"image_size": 0}, ValueError, "`image_size` must be at least 1, got 0"),
        ({"image_size": (8, -8)}, ValueError, "`image_size` must be at least 1, got -8"),
        ({"image_size": "8x8"}, TypeError, "`image_size` must be a side, or"),
        ({"validation_fraction": 1}, ValueError, "`validation_fraction` must be between 0 and 1"),
        ({"train_size": 0}, ValueError, "`train_size` must be at least 1"),
        ({"train_size": 5000}, ValueError, "has 1438 examples .* 5000 to train and 1250"),
        ({"test_size": 2000}, ValueError, "`test_size`=2000, but there are 1797"),
        ({"test_split": "exam"}, ValueError, "`test_split`='exam' is not a split of digits"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_images("digits", **arguments)
