"""Say which class image files belong to.

    python predict.py picture.png another.jpg

Reads the exported network `model.pt2` and its description `model.json` from this script's folder.
Needs torch, numpy and Pillow, nothing else.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Others are not opened: some of them are decoded by other programs."""


def load_image(path: str, description: dict[str, Any]) -> torch.Tensor:
    """Read an image as the network was trained on them: `1 C H W`, normalised."""
    channels, height, width = description["image_shape"]
    image: PIL.Image.Image = PIL.Image.open(path, formats=FORMATS)
    image.draft(None, (2 * max(height, width),) * 2)  # a large JPEG is not decoded whole
    image = PIL.ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"mode {image.mode} has more than 8 bits a channel; convert it first")
    if image.mode == "P":
        image = image.convert("RGBA")  # a palette may hold transparency
    image = image.convert("L" if channels == 1 else "RGB")
    image = image.resize((width, height), PIL.Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.float32).reshape(height, width, channels) / 255
    pixels = (pixels - np.float32(description["mean"])) / np.float32(description["std"])
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())


def load(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Read the network and its description.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file has changed since it was exported.
    """
    try:
        description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        sums = description["sha256"]
        told = sums.pop("description")
        text = json.dumps(description, sort_keys=True)
        unchanged = hashlib.sha256(text.encode()).hexdigest() == told
    except (AttributeError, LookupError, TypeError, ValueError):
        unchanged = False
    if not unchanged:
        raise ValueError("model.json is damaged: its checksum differs")
    program = (folder / "model.pt2").read_bytes()
    if hashlib.sha256(program).hexdigest() != sums["model.pt2"]:
        raise ValueError("model.pt2 is damaged: its checksum differs")
    return torch.export.load(io.BytesIO(program)).module(), description


def main(paths: list[str]) -> int:
    """Print the class of each image and its probability; return the exit code."""
    if not paths:
        sys.stderr.write(f"usage: python {Path(sys.argv[0]).name} IMAGE [IMAGE ...]\n")
        return 2
    folder = Path(__file__).resolve().parent
    try:
        network, description = load(folder)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    failures = 0
    for path in paths:
        try:
            image = load_image(path, description)
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{path}: cannot be read: {error}\n")
            failures = 1
            continue
        with torch.inference_mode():
            probabilities = torch.softmax(network(image)[0], dim=0)
        if not bool(probabilities.isfinite().all()):
            sys.stderr.write(f"{path}: the network's outputs are not finite\n")
            failures = 1
            continue
        best = int(probabilities.argmax())
        name = description["class_names"][best]
        sys.stdout.write(f"{path}: {name} ({float(probabilities[best]):.1%})\n")
    return failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
