"""Folders and files of images as people have them."""

from __future__ import annotations

import io
import struct
import subprocess
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optuna_nas.data import ImageData, load_images
from optuna_nas.data.image_files import IMAGE_FORMATS, decode_image
from optuna_nas.export import predict

PngFolder = Callable[..., Path]
Numbered = Callable[..., datasets.Dataset]


def count(data: ImageData) -> int:
    return len(data.train) + len(data.validation) + len(data.test)


def photo(height: int, width: int) -> PIL.Image.Image:
    """A picture without sharp edges, which no kind of file changes much."""
    y, x = np.mgrid[:height, :width]
    planes = [y * 255 / height, x * 255 / width, (y + x) * 255 / (height + width)]
    return PIL.Image.fromarray(np.stack(planes, 2).astype(np.uint8))


def encoded(image: PIL.Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def difference(found: PIL.Image.Image, expected: PIL.Image.Image) -> float:
    """The largest difference of two pixels."""
    pair = [np.asarray(image.convert("RGB"), dtype=int) for image in (found, expected)]
    return float(np.abs(pair[0] - pair[1]).max())


@pytest.mark.parametrize(
    "hidden",
    [
        *("cat/.ipynb_checkpoints/0-checkpoint.png", "cat/__MACOSX/0.png", "cat/._0.png"),
        *(".cache/cat/0.png", "__MACOSX/cat/0.png", "cat/@eaDir/0.png", ".git/0.png"),
        *("cat/Thumbs.db", "desktop.ini", "cat/.DS_Store", "cat/deep/.trash/0.png"),
    ],
)
def test_hidden_entries(
    png_folder: PngFolder, hidden: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = png_folder({"cat": list(range(10)), "dog": list(range(10, 20))})
    (folder / hidden).parent.mkdir(parents=True, exist_ok=True)
    (folder / hidden).write_bytes((folder / "cat/0.png").read_bytes())
    data = load_images(folder)
    assert count(data) == 20 and data.class_names == ("cat", "dog")
    assert not caplog.text


def test_files_that_are_left_out_are_named(
    png_folder: PngFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder = png_folder({"cat": list(range(10)), "dog": list(range(10, 20))})
    for name in ("labels.csv", "cat/film.mp4", "dog/vector.eps", "dog/weights.pt"):
        (folder / name).write_text("x")
    assert count(load_images(folder)) == 20
    assert "4 files (cat/film.mp4, dog/vector.eps, dog/weights.pt, ...)" in caplog.text


@pytest.mark.parametrize("name", ["valid", "val", "dev", "validation", "Valid"])
def test_names_of_the_validation_split(png_folder: PngFolder, name: str) -> None:
    data = load_images(
        png_folder(
            {
                "train/cat": list(range(10)),
                "train/dog": list(range(10, 20)),
                f"{name}/cat": [20],
                f"{name}/dog": [21, 22],
            }
        )
    )
    assert len(data.test) == 3 and len(data.train) + len(data.validation) == 20


def test_files_of_one_name_and_suffixes_in_any_case(png_folder: PngFolder) -> None:
    folder = png_folder({"cat/a": [0, 1], "cat/b": [0, 1], "dog": [2, 3, 4]})
    (folder / "dog/2.png").rename(folder / "dog/2.PNG")
    assert count(load_images(folder)) == 7


def test_an_empty_class_folder_is_named(png_folder: PngFolder) -> None:
    folder = png_folder({"cat": [0, 1, 2], "dog": [3, 4], "eel": []})
    with pytest.raises(ValueError, match=r"class folder .*eel holds no images of PNG, .* remove"):
        load_images(folder)


@pytest.mark.parametrize("kind", IMAGE_FORMATS)
def test_every_kind_that_is_read(kind: str) -> None:
    image = photo(32, 48)
    assert difference(decode_image(encoded(image, kind)), image) < 40


def test_other_kinds_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*arguments: object, **options: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    image = photo(8, 8)
    bad = encoded(image, "EPS")
    with pytest.raises(ValueError, match=f"none of {', '.join(IMAGE_FORMATS)}"):
        decode_image(bad)
    images = [{"bytes": bad if i == 3 else encoded(image, "PNG"), "path": None} for i in range(20)]
    labels = [i % 2 for i in range(20)]
    table = datasets.Dataset.from_dict({"image": images, "label": labels})
    table.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"row 3 of split 'train' .*none of PNG"):
        load_images(tmp_path / "a.parquet")


def test_an_image_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    places = [{"bytes": None, "path": f"https://example.org/{i}.png"} for i in range(20)]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {"image": pa.array(places, kind), "label": pa.array([i % 2 for i in range(20)])}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"row .* FileNotFoundError"):
        load_images(tmp_path / "a.parquet")


def test_an_exported_network_opens_the_same_kinds() -> None:
    assert predict.FORMATS == IMAGE_FORMATS


def test_palettes_cmyk_and_turned_images() -> None:
    image = photo(32, 48)
    palette = image.quantize(64)
    assert difference(decode_image(encoded(palette, "PNG")), palette) == 0
    assert difference(decode_image(encoded(palette, "GIF")), palette) == 0
    cmyk = image.convert("CMYK")
    assert difference(decode_image(encoded(cmyk, "JPEG", quality=95)), cmyk) < 30
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = decode_image(encoded(image, "JPEG", quality=95, exif=exif))
    assert turned.size == (32, 48)
    assert difference(turned, image.transpose(PIL.Image.Transpose.ROTATE_270)) < 30
    assert decode_image(encoded(image.convert("LA"), "PNG")).mode == "L"
    assert decode_image(encoded(image.convert("RGBA"), "PNG")).mode == "RGB"
    with pytest.raises(ValueError, match=r"mode I;16 has more than 8 bits a channel"):
        decode_image(encoded(PIL.Image.new("I;16", (4, 4), 4000), "PNG"))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_photo_is_not_decoded_whole(orientation: int) -> None:
    image = photo(1200, 1600)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, "JPEG", quality=95, exif=exif)
    whole, reduced = decode_image(content), decode_image(content, size=(60, 80))
    assert min(reduced.size) >= 160 and max(reduced.size) <= 400
    assert min(whole.size) == 1200
    small = [i.resize((80, 60), PIL.Image.Resampling.BILINEAR) for i in (whole, reduced)]
    assert difference(*small) < 12
    assert decode_image(content, size=(700, 700)).size == whole.size


def huge(side: int) -> bytes:
    """A PNG that says to be of this side, and ends there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )


def test_decompression_bombs(png_folder: PngFolder) -> None:
    folder = png_folder({"cat": list(range(10)), "dog": list(range(10, 20))})
    (folder / "cat/3.png").write_bytes(huge(60_000))
    with pytest.raises(ValueError, match=r"cat/3\.png\): .*\(3600000000 pixels\) exceeds limit"):
        load_images(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(OSError, match=r"truncated|broken|incomplete"):
            decode_image(huge(10_000))
