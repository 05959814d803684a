"""Tell the target of the rows of a CSV file.

    python predict.py table.csv > predictions.csv

Reads the exported network `model.pt2` and its description `model.json` from this script's folder.
Needs torch and numpy, nothing else. The file has the columns that the network was trained on,
under their names; others are left alone. An empty field is a missing value.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch


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


def read_rows(path: str) -> list[dict[str, str]]:
    """Read a CSV file, its fields between commas, semicolons or tabs, as its first line has them.

    Raises:
        ValueError: It has no rows.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        separator = next((mark for mark in (",", ";", "\t") if mark in first), ",")
        rows = list(csv.DictReader(file, delimiter=separator))
    if not rows:
        raise ValueError("it has no rows")
    return rows


def encode(rows: list[dict[str, str]], description: dict[str, Any]) -> torch.Tensor:
    """Encode rows as the network was trained on them, `n d`.

    Raises:
        ValueError: A column is missing, or a field is no number.
    """
    parts = []
    for column in description["columns"]:
        name = column["name"]
        if name not in rows[0]:
            raise ValueError(f"it has no column {name!r}")
        fields = [(row[name] or "").strip() for row in rows]
        fields = ["" if field in description["missing"] else field for field in fields]
        if column["kind"] == "categorical":
            places = {text or "": place for place, text in enumerate(column["categories"])}
            encoded = np.zeros((len(rows), len(places)), dtype=np.float32)
            for row, field in enumerate(fields):
                if field in places:
                    encoded[row, places[field]] = 1
        else:
            numbers = np.array([_number(field, name, n) for n, field in enumerate(fields, 2)])
            missing = np.isnan(numbers)
            scaled = np.where(missing, 0, (numbers - column["mean"]) / column["std"])
            told = [scaled, missing] if column["tells_missing"] else [scaled]
            encoded = np.stack(told, axis=1).astype(np.float32)
        parts.append(encoded)
    return torch.from_numpy(np.concatenate(parts, axis=1))


def _number(field: str, name: str, line: int) -> float:
    words = {"": float("nan"), "true": 1.0, "false": 0.0}
    try:
        return words[field.lower()] if field.lower() in words else float(field)
    except ValueError:
        raise ValueError(f"line {line} has {field!r} in the column {name!r} of numbers") from None


def main(arguments: list[str]) -> int:
    """Print the target of each row, as CSV; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write(f"usage: python {Path(sys.argv[0]).name} TABLE.csv\n")
        return 2
    try:
        network, description = load(Path(__file__).resolve().parent)
        inputs = encode(read_rows(arguments[0]), description)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{arguments[0]}: {error}\n")
        return 1
    with torch.no_grad():
        outputs = network(inputs)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if description["class_names"]:
        writer.writerow([description["target"], "probability"])
        for shares in outputs.softmax(1):
            best = int(shares.argmax())
            writer.writerow([description["class_names"][best], f"{float(shares[best]):.4f}"])
        return 0
    writer.writerow([description["target"]])
    for output in outputs[:, 0].double().tolist():
        writer.writerow([f"{output * description['target_std'] + description['target_mean']:.6g}"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
