r"""What a search for layers found, beside the usual choices made by hand and random ones.

    optuna-nas search --objective layer-drop-bert --study trec-layers \
        --storage sqlite:///trec.db ...
    python -m benchmarks.layer_drop_masks --name trec_choices --masks 111111,111000,... ...
    python -m benchmarks.layer_drop_choices --storage sqlite:///trec.db --study trec-layers \
        --masks trec_choices --name trec

Both commands before need the same training options. Of the masks of `layer_drop_masks`, the full
one is what others are compared with; those that keep the first half, the last half and every other
layer are the choices by hand; all others with half of the layers count as random. Written are
`layer_drop_search_<name>.csv` (all trials) and `layer_drop_choices_<name>.csv` and `.md`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import optuna
from optuna.trial import TrialState

from benchmarks import tables

Row = dict[str, object]


def by_hand(layers: int) -> dict[str, str]:
    """The usual choices of half of the layers, and their names."""
    half = layers // 2
    return {
        "1" * half + "0" * (layers - half): "the first half",
        "0" * (layers - half) + "1" * half: "the last half",
        ("10" * layers)[:layers]: "every other, with the first",
        ("01" * layers)[:layers]: "every other, with the last",
    }


def trained(path: Path) -> dict[str, Mapping[str, str]]:
    """The rows of a table of masks, by their mask."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["mask"]: row for row in csv.DictReader(file)}


def trials(study: optuna.Study) -> list[Row]:
    """A row for each trial of a search."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        attributes = trial.user_attrs
        mask = attributes.get("architecture", "")
        found.append(
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "mask": mask,
                "layers": mask.count("1"),
                "parameters": attributes.get("parameters"),
                "score": trial.value if trial.state == TrialState.COMPLETE else None,
                "validation_accuracy": attributes.get("validation_accuracy"),
                "test_accuracy": attributes.get("test_accuracy"),
                "latency_ms": attributes.get("latency"),
                "seconds": attributes.get("seconds"),
            }
        )
    return found


def compared(searched: Sequence[Row], masks: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """The full model, what the search found, and the choices that were not searched."""
    layers = len(next(iter(masks)))
    done = [row for row in searched if row["state"] == "complete"]
    small = [row for row in done if int(str(row["layers"])) <= layers // 2]
    best = max(done, key=lambda row: float(str(row["score"])))
    best_small = max(small, key=lambda row: float(str(row["score"])))
    rows = [_row("all layers", masks["1" * layers])]
    rows.append(_row(f"search: best score (trial {best['trial']})", best))
    if best_small is not best:
        title = f"search: best score of at most half (trial {best_small['trial']})"
        rows.append(_row(title, best_small))
    hands = by_hand(layers)
    rows += [_row(title, masks[mask]) for mask, title in hands.items() if mask in masks]
    others = [
        row for mask, row in masks.items() if mask.count("1") == layers // 2 and mask not in hands
    ]
    if others:
        average = {
            column: mean(float(row[column]) for row in others)
            for column in ("validation_accuracy", "test_accuracy")
        }
        random = {**others[0], **{c: str(v) for c, v in average.items()}, "mask": ""}
        rows.append(_row(f"{len(others)} random halves, mean", random))
        best_random = max(others, key=lambda row: float(row["validation_accuracy"]))
        rows.append(_row(f"the best of these {len(others)}", best_random))
    return rows


def lacking(searched: Sequence[Row], masks: Mapping[str, Mapping[str, str]]) -> str | None:
    """What there has to be for a comparison and is not; None if nothing is missing."""
    layers = len(next(iter(masks), ""))
    done = [row for row in searched if row["state"] == "complete"]
    if not layers or "1" * layers not in masks:
        return f"the mask of all layers is not among those trained: {sorted(masks)}"
    if not done:
        return f"none of the {len(searched)} trials of the search is complete"
    if not any(int(str(row["layers"])) <= layers // 2 for row in done):
        return f"none of the {len(done)} complete trials keeps at most half of the {layers} layers"
    return None


def counted(searched: Sequence[Row]) -> str:
    """How many trials there are, and of each state: `3 trials of the search (2 complete, ...)`."""
    states = Counter(str(row["state"]) for row in searched)
    parts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return f"{len(searched)} trials of the search ({parts})"


def _row(title: str, row: Mapping[str, object]) -> Row:
    return {
        "choice": title,
        "mask": row["mask"] or "-",
        "layers": int(str(row["layers"])),
        "parameters": f"{int(str(row['parameters'])):,}",
        "validation": f"{float(str(row['validation_accuracy'])):.3f}",
        "test": f"{float(str(row['test_accuracy'])):.3f}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the search and the masks, and write the tables."""
    parser = tables.parser(__doc__)
    parser.add_argument("--storage", required=True, help="URL of the search's database")
    parser.add_argument("--study", required=True, help="name of the search")
    parser.add_argument("--masks", required=True, help="the --name of layer_drop_masks")
    parser.add_argument("--name", required=True, help="name of the tables")
    chosen = parser.parse_args(arguments)
    study = optuna.load_study(study_name=chosen.study, storage=chosen.storage)
    searched = trials(study)
    masks = trained(chosen.results / f"layer_drop_{chosen.masks}.csv")
    if problem := lacking(searched, masks):
        parser.error(f"--study {chosen.study}, --masks {chosen.masks}: {problem}")
    tables.write_csv(chosen.results, f"layer_drop_search_{chosen.name}", searched)
    tables.save(
        chosen.results,
        f"layer_drop_choices_{chosen.name}",
        f"Choices of layers, {chosen.name}",
        f"{counted(searched)}; validation and test accuracy.",
        compared(searched, masks),
    )


if __name__ == "__main__":
    main()
