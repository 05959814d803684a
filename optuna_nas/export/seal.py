"""The description of an export, with checksums of its files and of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["sealed_description"]


def sealed_description(description: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Write a description as JSON that tells when a file, or it itself, was changed.

    Args:
        description: JSON values by name.
        files: The other files of the export.

    Returns:
        The description with one more value, `sha256`: the SHA-256 of each file, and as
        `description` that of all the others as `json.dumps(..., sort_keys=True)` writes them.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    sealed = {**description, "sha256": digests}
    text = json.dumps(sealed, sort_keys=True, allow_nan=False)
    digests["description"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(sealed, indent=2, allow_nan=False).encode()
