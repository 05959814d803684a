"""Addresses of storages: read, checked, and shown without their passwords."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

__all__ = ["ALLOWED", "is_journal", "local_file", "parse", "public_address", "without_passwords"]

ALLOWED = (
    "allowed are database addresses such as sqlite:///optuna-nas.db and "
    "postgresql://user:password@host/name, journal files such as optuna-nas.journal, "
    "redis://host:6379 and grpc://host:13000"
)

_JOURNAL_SUFFIXES = (".journal", ".log")
_PASSWORD_OPTION = re.compile(r"([?&]\w*passw(?:or)?d=)[^&\s]*", re.IGNORECASE)


def is_journal(address: str) -> bool:
    """Whether the address is the path of a journal file."""
    return "://" not in address and address.endswith(_JOURNAL_SUFFIXES)


def parse(address: str) -> URL:
    """Read an address that is no journal file.

    Raises:
        ValueError: It is malformed, or in memory.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ValueError(f"`storage` is {public_address(address)!r}; {ALLOWED}.") from None
    if url.get_backend_name() == "sqlite" and _in_memory(url):
        raise ValueError(
            f"`storage` is {public_address(address)!r}, in memory, where no other process sees "
            f"it; {ALLOWED}."
        )
    return url


def _in_memory(url: URL) -> bool:
    name = url.database or ""
    return name in ("", ":memory:", "file::memory:") or url.query.get("mode") == "memory"


def local_file(address: str) -> Path | None:
    """The file that a storage is in; None for a server.

    Raises:
        ValueError: The address is malformed.
    """
    if is_journal(address):
        return Path(address)
    url = parse(address)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def public_address(address: str) -> str:
    """The address with its password hidden, also if it is malformed."""
    text = _PASSWORD_OPTION.sub(r"\1***", address)
    if "://" in text:
        # Users may have any of @ and / in their names, so all up to the last @ is hidden.
        return re.sub(r"(://[^:]*):.*@", r"\1:***@", text, count=1)
    return re.sub(r":.*@", ":***@", text)


def without_passwords(text: str) -> str:
    """A text, such as a driver's error, with the passwords of all addresses in it hidden."""
    hidden = re.sub(r"(\w://[^:\s]*):\S*@", r"\1:***@", text)
    return _PASSWORD_OPTION.sub(r"\1***", hidden)
