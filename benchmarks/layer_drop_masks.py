"""Fine-tune a model with every choice of its layers, once: the table behind docs/layer_drop.md.

    python -m benchmarks.layer_drop_masks --model MINILM --data TREC --name trec

Each mask is trained like a trial of `optuna-nas search --objective layer-drop-bert` with the same
options, all with the same seed. Written is `layer_drop_<name>.csv` in the folder of results, a row
for each mask as soon as it is finished: a second call goes on with those that are missing. What
they were trained with is in `layer_drop_<name>.json`, and other settings are refused.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import optuna
import torch

from benchmarks import tables
from optuna_nas.data import load_text
from optuna_nas.objectives import LayerDropBert
from optuna_nas.spaces import LayerDropSpace

COLUMNS = (
    "mask",
    "layers",
    "parameters",
    "validation_accuracy",
    "test_accuracy",
    "latency_ms",
    "seconds",
)


def masks(space: LayerDropSpace) -> Iterator[str]:
    """Every valid mask, the full one first."""
    for digits in product("10", repeat=space.num_layers):
        text = "".join(digits)
        if space.min_layers <= text.count("1") <= space.max_layers:
            yield text


def finished(path: Path) -> set[str]:
    """The masks that a file has."""
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {row["mask"] for row in csv.DictReader(file)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing."""
    parser = tables.parser(__doc__)
    parser.add_argument("--model", required=True, help="folder of a model, or a hub id")
    parser.add_argument("--data", required=True, help="folder of texts, or a hub id")
    parser.add_argument("--name", required=True, help="name of the table")
    parser.add_argument("--masks", type=tables.several(str), help="only these, not all")
    parser.add_argument("--train-size", type=int, default=2000)
    parser.add_argument("--validation-size", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--cold", action="store_true", help="without a warm start")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sizes = {"train_size": chosen.train_size, "validation_size": chosen.validation_size}
    objective = LayerDropBert(
        chosen.model,
        load_text(chosen.data, seed=chosen.seed, **sizes),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        max_length=chosen.max_length,
        goals="accuracy",
        warm_start=not chosen.cold,
        seed=chosen.seed,
        artifacts=None,
    )
    chosen.results.mkdir(parents=True, exist_ok=True)
    path = chosen.results / f"layer_drop_{chosen.name}.csv"
    settings = json.loads(json.dumps(objective.settings()))
    noted = path.with_suffix(".json")
    if noted.exists() and json.loads(noted.read_text(encoding="utf-8")) != settings:
        parser.error(f"{path} was made with other settings ({noted}); choose another --name")
    noted.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    done = finished(path)
    for mask in chosen.masks or masks(objective.space):
        if mask in done:
            continue
        trial = optuna.trial.FixedTrial(objective.space.parse(mask).params)
        accuracy = objective(trial)
        found = trial.user_attrs
        row = (
            mask,
            mask.count("1"),
            found["parameters"],
            accuracy,
            found["test_accuracy"],
            found["latency"],
            round(found["seconds"], 1),
        )
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerow(row)
        print(*row, flush=True)


if __name__ == "__main__":
    main()
