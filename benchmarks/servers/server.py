"""What all servers have in common: how they start, are awaited, stop and crash."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.engine import URL

if TYPE_CHECKING:
    from typing_extensions import Self

PASSWORD = "s3cret: p@ss/word%40{x}?"
"""It has every character that an address must quote."""

_WAIT_SECONDS = 60


class Server(ABC):
    """A server that runs as long as the `with` block.

    Args:
        durable: Whether what is written waits for the disk, as it does by default. Tests that lose
            nothing by a power cut go faster without.

    Raises:
        RuntimeError: It cannot run here, or does not start; the message has the reason.
    """

    scheme: ClassVar[str]
    """What an address of it begins with."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    crash_signal: ClassVar[signal.Signals] = signal.SIGKILL
    """After this one it has to recover."""

    def __init__(self, *, durable: bool = True) -> None:
        if reason := self.missing():
            raise RuntimeError(f"There is no {type(self).__name__}: {reason}.")
        self.folder = Path(tempfile.mkdtemp(prefix="server-"))
        self.durable = durable
        self.port = _free_port()
        self.account: Mapping[str, Any] = {}
        self._process: subprocess.Popen[Any] | None = None

    @classmethod
    @abstractmethod
    def missing(cls) -> str:
        """Why there can be no server here; empty if there can."""

    @abstractmethod
    def prepare(self) -> None:
        """What is done once, before the first start."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command that runs the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server is ready."""

    def begin(self) -> None:  # noqa: B027 (optional)
        """What is done once, after the first start."""

    @abstractmethod
    def database(self, name: str) -> str:
        """Make an empty database and return its address, password and all."""

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
            self.begin()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._process is not None:
            self.stop(crash=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: It ends, or does not answer within a minute.
        """
        with (self.folder / "log").open("ab") as log:
            process = self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is not for the server
                **self.account,
            )
        end = time.monotonic() + _WAIT_SECONDS
        while not self.answers():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{type(self).__name__} does not start:\n{self.log[-2000:]}")
            time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server.

        Args:
            crash: Whether it goes down at once and has to recover at its next start; else it ends
                all connections first.
        """
        assert self._process is not None
        self._process.send_signal(self.crash_signal if crash else self.stop_signal)
        try:
            self._process.wait(_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self, *, pause: float = 0.0, crash: bool = False) -> None:
        """Stop the server, and start it again after a pause in seconds."""
        self.stop(crash=crash)
        time.sleep(pause)
        self.start()

    @property
    def log(self) -> str:
        """What the server wrote."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log").read_text(errors="replace")
        return ""

    def address(self, database: str) -> str:
        """The address of a database, with user and password, and without a driver."""
        url = URL.create(self.scheme, "ann", PASSWORD, "127.0.0.1", self.port, database)
        return url.render_as_string(hide_password=False)


def program(name: str) -> str | None:
    """Where a program of the machine is; None if there is none."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")


def missing(modules: Sequence[str], programs: Sequence[str] = ()) -> str:
    """Why a server that needs these cannot run here; empty if it can."""
    if os.name != "posix":
        return "the server is started the POSIX way"
    for module in modules:
        if find_spec(module) is None:
            return f"{module} is not installed"
    absent = [name for name in programs if program(name) is None]
    return f"there is no program {absent[0]}" if absent else ""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
