"""The Hugging Face hub: asked only for what can be there, without noise, and once.

1. A word that is near the name of a local file or folder, or is written as a path, is mistyped.
   It is not asked for: the hub's client would try for most of a minute, and blame the network.
2. Whether the hub can be reached is asked first. If it cannot, only what was fetched before is
   looked for, which takes no time.
3. No code of a hub is run: that is for whoever loads to say (`trust_remote_code=False`).
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from optuna_nas._checks import user_path
from optuna_nas._text import one_line

__all__ = ["asking_hub", "in_words", "is_hub_id", "near_local"]

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_FILES = (
    *(".parquet", ".arrow", ".csv", ".tsv", ".json", ".jsonl", ".txt", ".zip", ".gz", ".tar"),
    *(".npz", ".npy", ".pt", ".pth", ".pkl", ".bin", ".safetensors"),
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
)
_NEAR = 0.75
"""Two letters of six that changed places have .83, and one of four that is another .75."""

_SECONDS = 10
_LONGEST = 300


def is_hub_id(name: str) -> bool:
    """Whether a text has the form of a hub id, `name` or `owner/name`, and not that of a file."""
    return bool(_HUB_ID.fullmatch(name)) and not name.lower().endswith(_FILES)


def near_local(name: str | Path, *, known: tuple[str, ...] = ()) -> str | None:
    """The local file or folder that a path which is none was meant for, if one has a like name.

    Args:
        name: The path.
        known: Other words that may have been meant.
    """
    path = user_path(name)
    if not path.name:
        return None
    found = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if not (found / part).exists():
            there = {entry.name.lower(): entry.name for entry in _entries(found)}
            words = {**there, **({} if found.parts else {word: word for word in known})}
            near = difflib.get_close_matches(part.lower(), words, n=1, cutoff=_NEAR)
            if not near:
                return None
            part = words[near[0]]
        found /= part
    return str(found)


def in_words(error: BaseException) -> str:
    """What an error is and says, in one line that is not too long."""
    return f"{type(error).__name__}: {one_line(error, _LONGEST)}"


@contextmanager
def asking_hub(kind: Literal["dataset", "model"], name: str) -> Iterator[str]:
    """Let what runs within ask the hub quietly, or not at all if it cannot be reached.

    Args:
        kind: What is asked for.
        name: Its hub id.

    Yields:
        Why the hub cannot be reached; empty if it can, or need not be.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else ""
    if not why:
        try:
            api = HfApi()
            (api.dataset_info if kind == "dataset" else api.model_info)(name, timeout=_SECONDS)
        except HfHubHTTPError:
            pass  # it answers; what it says of the name, whoever loads will hear
        except Exception as error:  # of whichever client it uses
            why = in_words(error)
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with _offline(bool(why)):
            yield why
    finally:
        logger.setLevel(level)


@contextmanager
def _offline(offline: bool) -> Iterator[None]:
    """Let the clients look in their caches only."""
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    if offline:
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return []
