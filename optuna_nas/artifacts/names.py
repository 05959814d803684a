"""Names that become paths: harmless in any file system, and different for different names.

What a storage or an artifact folder says is somebody else's word. It becomes a path only through
one of these functions.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["checked_path", "folder_name", "safe_name"]

_PLAIN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._ -]{0,62}[A-Za-z0-9_-])?")
_HASHED = re.compile(r".*-[0-9a-f]{8}(\.[^.]*)?")
_PART = re.compile(r"\.?[A-Za-z0-9_ -]([A-Za-z0-9._ -]*[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names of devices in Windows, with whatever suffix."""


def safe_name(name: str, *, any_case: bool = False) -> str:
    """Return a file name that is harmless in any file system, and different for every name.

    Short names of western letters, digits and `._ -` stay as they are. Others are made so, and get
    eight digits of their hash; so do names that look as if they had some already.

    Args:
        name: The name; a suffix stays one.
        any_case: Whether large letters stay too: where two names that differ in nothing else are
            never files of one folder.
    """
    plain = _PLAIN.fullmatch(name) and not _RESERVED.fullmatch(name)
    if plain and not _HASHED.fullmatch(name) and (any_case or name == name.lower()):
        return name
    stem, suffix = _readable(name, length=64)
    return f"{stem}-{_digest(name)}{suffix}"


def folder_name(study_name: str) -> str:
    """Return the folder name of a study: readable, harmless, and different for every study."""
    readable, _ = _readable(study_name.replace(".", "_"), length=64)
    return f"{readable}-{_digest(study_name)}"


def checked_path(name: str) -> list[str]:
    """Split a name with slashes into those of folders and a file, none of which leads elsewhere.

    Raises:
        ValueError: It is no text, or one of them is none that this package or Optuna gives a file.
    """
    parts = name.split("/") if isinstance(name, str) else []
    if not parts or not all(_PART.fullmatch(p) and not _RESERVED.fullmatch(p) for p in parts):
        raise ValueError(f"{name!r} is no name of a file of a search.")
    return parts


def _readable(name: str, *, length: int) -> tuple[str, str]:
    """What of a name is harmless, as a stem and a suffix of together at most `length` letters."""
    stem, dot, suffix = re.sub(r"[^A-Za-z0-9._ -]+", "_", name).strip(". ").rpartition(".")
    if not dot or len(suffix) > 16:
        stem, suffix = stem + dot + suffix, ""
    ending = f".{suffix}" if suffix else ""
    return stem[: length - len(ending)].rstrip(". ") or "_", ending


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
