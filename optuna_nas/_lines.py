"""Lines of JSON that carry a checksum, so that damage is noticed.

The checksum is the last field of a line, and is made of all that stands before it. Programs that
do not know it read the line as any other; lines without one cannot be checked and are taken as
they are.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

__all__ = ["read_line", "sealed_line"]

_SEAL = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\s*\Z')


def sealed_line(record: Mapping[str, Any], *, allow_nan: bool = True) -> bytes:
    """Write a record that is not empty as a line that ends in its checksum."""
    text = json.dumps(record, separators=(",", ":"), allow_nan=allow_nan).encode()
    return b'%s,"crc32":"%08x"}\n' % (text[:-1], zlib.crc32(text))


def read_line(line: bytes) -> dict[str, Any]:
    """Read a record back.

    Raises:
        ValueError: The line is damaged, or no record.
    """
    if seal := _SEAL.search(line):
        line = line[: seal.start()].lstrip() + b"}"
        if zlib.crc32(line) != int(seal[1], 16):
            raise ValueError("its checksum differs")
    record = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError(f"it holds a {type(record).__name__}")
    return record
