"""Encoded image files to arrays of bytes.

Only the chosen rows are decoded, a few files at a time, each straight into its place in one
uint8 array: apart from this array, memory stays bounded.

Grey images (modes 1, L, LA) have one channel, all others become RGB; transparency is dropped, a
palette is looked up. If any of the rows is in colour, the grey ones are repeated over
three channels. A JPEG that will be resized to far less is not decoded whole. Images of more than
8 bits a channel are refused, as there is no one right way to shorten them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import PIL.Image

from optuna_nas._interrupts import check_interrupted
from optuna_nas.data.image_files import decode_image

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ_ROWS = 64


def decode_images(
    dataset: datasets.Dataset,
    column: str,
    rows: np.ndarray,
    *,
    size: tuple[int, int] | None,
    resize: bool,
    where: str,
) -> np.ndarray:
    """Decode the images of some rows.

    Args:
        dataset: The table to read.
        column: The image column.
        rows: The row numbers, length n, in any order.
        size: Height and width in pixels, or None to take those of the first image.
        resize: Whether to resize other images (bilinear) rather than to refuse them.
        where: What the table is, for error messages.

    Returns:
        A uint8 array `n x C x H x W`, C is 1 or 3, in the order of `rows`.

    Raises:
        ValueError: If an image cannot be read (the message names its row and the cause), or if
            it has another size and `resize` is false.
    """
    images = np.empty((0, 1, 0, 0), dtype=np.uint8)
    for index, row, image in _read(
        dataset, column, rows, size=size if resize else None, where=where
    ):
        height, width = size = size or (image.height, image.width)
        if (image.height, image.width) != size:
            if not resize:
                raise ValueError(
                    f"The image in row {row} of {where} has {image.height} x {image.width} "
                    f"pixels (height x width), others have {height} x {width}. Pass `image_size` "
                    "to resize all."
                )
            image = image.resize((width, height), PIL.Image.Resampling.BILINEAR)
        pixels = np.asarray(image)  # H W or H W 3
        if not len(images):
            images = np.empty((len(rows), 1, height, width), dtype=np.uint8)
        if pixels.ndim == 3 and images.shape[1] == 1:
            images = np.repeat(images, 3, axis=1)
        images[index] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return images


def _read(
    dataset: datasets.Dataset,
    column: str,
    rows: np.ndarray,
    *,
    size: tuple[int, int] | None,
    where: str,
) -> Iterator[tuple[int, int, PIL.Image.Image]]:
    """Read rows in the table's order; yield the position in `rows`, the row, its 8-bit image."""
    feature = dataset.features[column]
    mode = feature.mode if isinstance(feature, datasets.Image) else None
    order = np.argsort(rows)
    files = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    position = 0
    for batch in files.select(rows[order]).iter(batch_size=_READ_ROWS):
        check_interrupted()
        for file in batch[column]:
            index = int(order[position])
            try:
                image = decode_image(_content(file), size=size, mode=mode)
            except Exception as error:
                path = f" ({file['path']})" if file and file["path"] else ""
                raise ValueError(
                    f"Cannot read the image in row {rows[index]} of {where}{path}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            yield index, int(rows[index]), image
            position += 1


def _content(file: dict[str, Any] | None) -> bytes:
    """The bytes of an image file, which may lie on this machine; nothing is fetched."""
    if file is None:
        raise ValueError("it is null")
    content: bytes | None = file["bytes"]
    return Path(file["path"] or "").read_bytes() if content is None else content
