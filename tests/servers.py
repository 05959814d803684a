"""Servers of the tests' own: PostgreSQL, MariaDB and Redis.

The programs of the latter two are those of the machine, as `apt-get install redis-server
mariadb-server` brings them; its services, ports and users are not touched. A server listens on a
free port, wants a password, keeps its data when it restarts, and is gone with its folder in the
end.
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
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import URL

from benchmarks import postgres
from benchmarks.postgres import PASSWORD, PostgresServer

__all__ = ["KINDS", "MariaDBServer", "RedisServer", "Server", "SharedServers", "start"]

_WAIT_SECONDS = 60


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")


def _missing(module: str, *programs: str) -> str:
    if os.name != "posix":
        return "the server is started the POSIX way"
    if find_spec(module) is None:
        return f"{module} is not installed"
    absent = [name for name in programs if _program(name) is None]
    return f"there is no program {absent[0]}" if absent else ""


class Server(ABC):
    """A server that runs as long as the `with` block."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="server-"))
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        self._process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Server:
        try:
            self.prepare()
            self.start()
            self.begin()
        except BaseException:
            self._clear()
            raise
        return self

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
        shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def prepare(self) -> None:
        """What is done once, before the first start."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command that runs the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server is ready."""

    def begin(self) -> None:  # noqa: B027
        """What is done once, after the first start."""

    @abstractmethod
    def database(self, name: str) -> str:
        """Make an empty database and return its address, password and all."""

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            process = self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is not for the server
            )
        end = time.monotonic() + _WAIT_SECONDS
        while not self.answers():
            if process.poll() is not None or time.monotonic() > end:
                log_text = (self.folder / "log").read_text(errors="replace")
                raise RuntimeError(f"{type(self).__name__} does not start:\n{log_text[-2000:]}")
            time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server, or let it crash."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL if crash else signal.SIGTERM)
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


class MariaDBServer(Server):
    """A MariaDB server with the user `ann`, who may do anything."""

    @staticmethod
    def missing() -> str:
        """Why there can be no server here; empty if there can."""
        return _missing("pymysql", "mariadbd", "mariadb-install-db")

    @property
    def _options(self) -> list[str]:
        user = ["--user=root"] if os.geteuid() == 0 else []
        return ["--no-defaults", f"--datadir={self.folder / 'data'}", *user]

    def prepare(self) -> None:
        program = _program("mariadb-install-db")
        assert program is not None
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(
            [program, *self._options, *options], check=True, capture_output=True, cwd=self.folder
        )

    def command(self) -> Sequence[str]:
        program = _program("mariadbd")
        assert program is not None
        return [
            program,
            *self._options,
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            # Tests lose nothing by a power cut.
            "--innodb-flush-log-at-trx-commit=2",
            "--skip-sync-frm",
            "--innodb-flush-method=nosync",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
        ]

    def answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 5) as one,
        ):
            return bool(one.recv(1))  # the server speaks first
        return False

    def execute(self, *statements: str) -> None:
        """Do statements as the user who may do anything."""
        url = f"mysql+pymysql://root@localhost/mysql?unix_socket={self.folder / 'socket'}"
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def begin(self) -> None:
        user = "'ann'@'127.0.0.1'"
        self.execute(
            f"CREATE USER {user} IDENTIFIED BY '{PASSWORD.replace('%', '%%')}'",
            f"GRANT ALL ON *.* TO {user}",
        )

    def address(self, database: str) -> str:
        """The address of a database, without a driver."""
        url = URL.create("mysql", "ann", PASSWORD, "127.0.0.1", self.port, database)
        return url.render_as_string(hide_password=False)

    def database(self, name: str) -> str:
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        return self.address(name)


class RedisServer(Server):
    """A Redis server that appends to a file what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count()

    @staticmethod
    def missing() -> str:
        """Why there can be no server here; empty if there can."""
        return _missing("redis", "redis-server")

    def prepare(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": f'"{PASSWORD}"',
            "databases": 1000,
            "dir": self.folder,
            "save": '""',
            "appendonly": "yes",
        }
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        (self.folder / "redis.conf").write_text(text)

    def command(self) -> Sequence[str]:
        program = _program("redis-server")
        assert program is not None
        return [program, str(self.folder / "redis.conf")]

    def client(self, address: str | None = None) -> Any:
        """A client of a database, or of the server."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis.from_url(address or self._address(0), retry=Retry(NoBackoff(), 0))

    def _address(self, number: int) -> str:
        url = URL.create("redis", "", PASSWORD, "127.0.0.1", self.port, str(number))
        return url.render_as_string(hide_password=False)

    def answers(self) -> bool:
        import redis

        try:
            with contextlib.closing(self.client()) as client:
                return bool(client.ping())
        except redis.exceptions.AuthenticationError:
            raise
        except redis.exceptions.ConnectionError:
            return False

    def database(self, name: str) -> str:
        """The address of the next database; Redis has numbers for them."""
        return self._address(next(self._numbers))


KINDS: dict[str, Callable[[], Any]] = {
    "POSTGRESQL": lambda: PostgresServer(durable=False),
    "MYSQL": MariaDBServer,
    "REDIS": RedisServer,
}
_REASONS = {
    "POSTGRESQL": postgres.missing,
    "MYSQL": MariaDBServer.missing,
    "REDIS": RedisServer.missing,
}


def start(kind: str, stack: contextlib.ExitStack) -> Any:
    """Start a server that ends with a stack; skip the test if there is none."""
    if reason := _REASONS[kind]():
        pytest.skip(f"No server for {kind}: {reason}.")
    return stack.enter_context(KINDS[kind]())


class SharedServers:
    """A server of each kind, started when it is first asked for."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._numbers = count()
        self._servers: dict[str, Any] = {}

    def server(self, kind: str) -> Any:
        """The server of a kind, which must not be stopped."""
        if kind not in self._servers:
            self._servers[kind] = start(kind, self._stack)
        return self._servers[kind]

    def database(self, kind: str) -> str:
        """Make an empty database and return its address, password and all."""
        return str(self.server(kind).database(f"studies_{next(self._numbers)}"))
