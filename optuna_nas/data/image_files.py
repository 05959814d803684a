"""Image files: which kinds are read, and how one is decoded.

The kinds are those that Pillow decodes itself, or with the libraries in it. Others are not opened,
whatever their names are: that of EPS, for one, is a program that Pillow starts.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import PIL.Image
import PIL.ImageOps

__all__ = ["IMAGE_FORMATS", "decode_image", "is_image_file"]

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""By the names of Pillow; PPM is PGM and PBM too."""

_GREY_MODES = ("1", "L", "LA")
_REDUCED = 2
"""A JPEG is decoded with at least so many times the side that it is resized to."""


def is_image_file(file: Path) -> bool:
    """Whether a file is named as an image of one of these formats."""
    return PIL.Image.registered_extensions().get(file.suffix.lower()) in IMAGE_FORMATS


def decode_image(
    content: bytes, *, size: tuple[int, int] | None = None, mode: str | None = None
) -> PIL.Image.Image:
    """Decode an image file, upright, grey or in colours.

    Args:
        content: The file.
        size: Height and width that it will be resized to, so that a JPEG need not be decoded
            whole; None to decode it whole.
        mode: The mode of Pillow to convert it to first.

    Returns:
        An image of the mode L or RGB, no smaller than `size` if the file is not.

    Raises:
        ValueError: It is no such file, or has more than 8 bits a channel.
        OSError: It is damaged.
        PIL.Image.DecompressionBombError: It has more pixels than Pillow decodes.
    """
    with warnings.catch_warnings():  # beyond twice as many pixels the warning is an error
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        try:
            image: PIL.Image.Image = PIL.Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)
        except PIL.UnidentifiedImageError:
            raise ValueError(f"it is none of {', '.join(IMAGE_FORMATS)}") from None
        if size is not None:
            image.draft(None, (_REDUCED * max(size),) * 2)  # it may have to be turned
        image.load()
    image = PIL.ImageOps.exif_transpose(image)
    return _grey_or_rgb(image if mode is None else image.convert(mode))


def _grey_or_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"mode {image.mode} has more than 8 bits a channel; convert it first")
    if image.mode in _GREY_MODES:
        return image.convert("L")
    if image.mode == "P":  # a palette may carry transparency that RGB alone cannot take over
        image = image.convert("RGBA")
    return image.convert("RGB")
