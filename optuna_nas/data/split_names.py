"""Which split of a source is which, by name."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import datasets

TRAIN, VALIDATION, TEST = "train", "validation", "test"

_SPLIT_FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
_SPLIT_NAME = re.compile(
    r"(?P<train>train)|(?P<test>test)|(?P<validation>validation|(?:valid|val|dev)(?![a-z]))"
)


def split_role(name: str) -> str | None:
    """Return "train", "validation" or "test" by what a split's name starts with, or None."""
    match = _SPLIT_NAME.match(name.lower())
    return match.lastgroup if match else None


def folder_role(name: str) -> str | None:
    """Return "train", "validation" or "test" if a folder is named just so, or None.

    Folders also stand for classes, so the beginning of a name is not enough here.
    """
    return _SPLIT_FOLDERS.get(name.lower())


def choose_splits(
    splits: Mapping[str, datasets.Dataset],
    *,
    source: str | Path,
    train_split: str | None = None,
    test_split: str | None = None,
) -> tuple[str, str | None]:
    """Choose which of a source's splits to train on and which to test on.

    The training split is the one named like "train", or the only one there is. The test split is
    the one named like "test", else the one named like "validation", else none.

    Args:
        splits: The splits of the source.
        source: The source, for error messages.
        train_split: The name of the training split, instead of the rule.
        test_split: The name of the test split, instead of the rule.

    Returns:
        The names of the training split and of the test split; the latter is None if there is
        none.

    Raises:
        ValueError: If a named split is not there, or if the rule finds none or several.
    """
    for argument, name in (("train_split", train_split), ("test_split", test_split)):
        if name is not None and name not in splits:
            raise ValueError(f"`{argument}`={name!r} is not a split of {source}: {list(splits)}.")
    by_role: dict[str | None, list[str]] = defaultdict(list)
    for name in splits:
        by_role[split_role(name)].append(name)
    if train_split is None:
        candidates = by_role[TRAIN] or (by_role[None] if len(splits) == 1 else [])
        if len(candidates) != 1:
            raise ValueError(
                f"Cannot tell which split of {source} to train on; name it with `train_split`, "
                f"one of {list(splits)}."
            )
        train_split = candidates[0]
    if test_split is None:
        candidates = [name for name in by_role[TEST] or by_role[VALIDATION] if name != train_split]
        if len(candidates) > 1:
            raise ValueError(
                f"Cannot tell which split of {source} to test on; name it with `test_split`, "
                f"one of {candidates}."
            )
        test_split = candidates[0] if candidates else None
    if test_split == train_split:
        raise ValueError(
            f"`train_split` and `test_split` are both {train_split!r}; they must differ."
        )
    return train_split, test_split


def all_or_none(roles: dict[str, str | None], folder: Path) -> dict[str, str]:
    """Check that all names or none are names of splits; if none, everything is one split.

    Args:
        roles: The role of each file or subfolder, by name.
        folder: Where they are, for the error message.

    Returns:
        The role of each; "train" for all if none has one.

    Raises:
        ValueError: If only some have a role.
    """
    other = [name for name, role in roles.items() if role is None]
    if other and len(other) < len(roles):
        raise ValueError(
            f"{folder} mixes names of splits (train, validation, test) with others, "
            f"{sorted(other)[:10]}. Rename these, or move all into one folder called train."
        )
    return {name: role or TRAIN for name, role in roles.items()}
