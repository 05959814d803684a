"""Which columns of a table hold the images or texts, and the labels.

A column is found by its type and its name: among the columns of a fitting type, the one with a
common name, or else the only one. Where that leaves a doubt, nothing is guessed and the error
lists the columns.
"""

from __future__ import annotations

from typing import Any

import datasets

IMAGE_NAMES = ("image", "images", "img", "picture", "pixels")
TEXT_NAMES = (
    *("text", "sentence", "content", "review", "question", "document"),
    *("comment", "tweet", "headline", "title", "utterance", "message"),
)
LABEL_NAMES = ("label", "labels", "fine_label", "class", "target", "category", "y")

_FLOATS = ("float", "double")


def find_image_column(dataset: datasets.Dataset, *, name: str | None, where: str) -> str:
    """Find the column of images.

    Images are `datasets.Image` columns, structs with `bytes` (and `path`), or encoded image
    files in a binary column.

    Args:
        dataset: The table to look in.
        name: The column's name, or None to find it.
        where: What the table is, for error messages.

    Returns:
        The column's name.

    Raises:
        ValueError: If there is no such column, it holds no images, or several could be meant.
    """
    fitting = [column for column, feature in dataset.features.items() if _is_image(feature)]
    return _choose(dataset, fitting, IMAGE_NAMES, name=name, role="image", where=where)


def find_text_column(
    dataset: datasets.Dataset, *, name: str | None, label_column: str, where: str
) -> str:
    """Find the column of texts.

    Args:
        dataset: The table to look in.
        name: The column's name, or None to find it.
        label_column: The column of labels, which may hold strings too.
        where: What the table is, for error messages.

    Returns:
        The column's name.

    Raises:
        ValueError: If there is no such column, it holds no texts, or several could be meant.
    """
    fitting = [
        column
        for column, feature in dataset.features.items()
        if column != label_column and _is_value(feature, "string", "large_string")
    ]
    return _choose(dataset, fitting, TEXT_NAMES, name=name, role="text", where=where)


def find_label_column(dataset: datasets.Dataset, *, name: str | None, where: str) -> str:
    """Find the column of class labels.

    Labels are `datasets.ClassLabel`, integer, boolean or string columns; of the latter three only
    those with a common name are found, any can be named. A column of floats, which are whole
    numbers where a program stored some as missing, is found only if there is no other.

    Args:
        dataset: The table to look in.
        name: The column's name, or None to find it.
        where: What the table is, for error messages.

    Returns:
        The column's name.

    Raises:
        ValueError: If there is no such column, it holds no labels, or several could be meant.
    """
    features = dataset.features
    floats = [column for column, feature in features.items() if _is_value(feature, *_FLOATS)]
    fitting = [column for column, feature in features.items() if _is_label(feature)]
    if name is None:
        common = [column for column in features if column.strip().lower() in LABEL_NAMES]
        fitting = [
            column
            for column in fitting
            if isinstance(features[column], datasets.ClassLabel) or column in common
        ] or [column for column in floats if column in common]
    else:
        fitting += floats
    return _choose(dataset, fitting, LABEL_NAMES, name=name, role="label", where=where)


def _choose(
    dataset: datasets.Dataset,
    fitting: list[str],
    common: tuple[str, ...],
    *,
    name: str | None,
    role: str,
    where: str,
) -> str:
    columns = {column: _type_name(feature) for column, feature in dataset.features.items()}
    if name is not None:
        if name not in columns:
            raise ValueError(f"`{role}_column`={name!r} is not a column of {where}: {columns}.")
        if name not in fitting:
            raise ValueError(f"`{role}_column`={name!r} of {where} holds no {role}s: {columns}.")
        return name
    candidates = [column for column in fitting if column.strip().lower() in common] or fitting
    if len(candidates) != 1:
        found = f"several {role} columns, {candidates}," if candidates else f"no {role} column"
        raise ValueError(f"Found {found} in {where}; name one with `{role}_column`: {columns}.")
    return candidates[0]


def _is_image(feature: Any) -> bool:
    if isinstance(feature, dict):
        return _is_value(feature.get("bytes"), "binary", "large_binary")
    return isinstance(feature, datasets.Image) or _is_value(feature, "binary", "large_binary")


def _is_label(feature: Any) -> bool:
    return isinstance(feature, datasets.ClassLabel) or _is_value(
        feature, "int", "uint", "bool", "string", "large_string"
    )


def _is_value(feature: Any, *kinds: str) -> bool:
    return isinstance(feature, datasets.Value) and feature.dtype.startswith(kinds)


def _type_name(feature: Any) -> str:
    return str(feature.dtype) if isinstance(feature, datasets.Value) else type(feature).__name__
