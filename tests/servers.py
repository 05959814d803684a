"""The servers of the tests: a database of each kind, where the machine has its programs."""

from __future__ import annotations

import contextlib
from itertools import count

import pytest

from benchmarks.servers import KINDS, Server

__all__ = ["SharedServers", "start"]


def start(kind: str, stack: contextlib.ExitStack) -> Server:
    """Start a server that ends with a stack; skip the test if there can be none."""
    if reason := KINDS[kind].missing():
        pytest.skip(f"No {kind} server: {reason}.")
    return stack.enter_context(KINDS[kind](durable=False))


class SharedServers:
    """A server of each kind, started when it is first asked for."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._numbers = count()
        self._servers: dict[str, Server] = {}

    def server(self, kind: str) -> Server:
        """The server of a kind, which must not be stopped."""
        if kind not in self._servers:
            self._servers[kind] = start(kind, self._stack)
        return self._servers[kind]

    def database(self, kind: str) -> str:
        """Make an empty database and return its address, password and all."""
        return self.server(kind).database(f"studies_{next(self._numbers)}")
