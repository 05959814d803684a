"""Names that are harmless in any file system."""

from __future__ import annotations

import hashlib
import re

__all__ = ["folder_name", "safe_name"]


def safe_name(name: str, *, length: int = 80) -> str:
    """Return `name` as one harmless file name of at most `length` ASCII characters."""
    stem, dot, suffix = re.sub(r"[^A-Za-z0-9._ -]+", "_", name).strip(". ").rpartition(".")
    if not dot or len(suffix) > 16:
        stem, suffix = stem + dot + suffix, ""
    ending = f".{suffix}" if suffix else ""
    return (stem[: length - len(ending)].rstrip(". ") or "_") + ending


def folder_name(study_name: str) -> str:
    """Return the folder name of a study: readable, harmless, and different for every study."""
    digest = hashlib.sha256(study_name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe_name(study_name.replace('.', '_'), length=64)}-{digest}"
