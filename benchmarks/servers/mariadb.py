"""MariaDB, from the programs of the machine, as `apt-get install mariadb-server` brings them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Sequence

from sqlalchemy import create_engine

from benchmarks.servers.server import PASSWORD, Server, missing, program


class MariaDBServer(Server):
    """A MariaDB server with the user `ann`, who may do anything."""

    scheme = "mysql"

    @classmethod
    def missing(cls) -> str:
        """Why there can be no server here; empty if there can."""
        return missing(["pymysql"], ["mariadbd", "mariadb-install-db"])

    @property
    def _options(self) -> list[str]:
        user = ["--user=root"] if os.geteuid() == 0 else []
        return ["--no-defaults", f"--datadir={self.folder / 'data'}", *user]

    def prepare(self) -> None:
        """Make the files of the server."""
        install = program("mariadb-install-db")
        assert install is not None
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(
            [install, *self._options, *options], check=True, capture_output=True, cwd=self.folder
        )

    def command(self) -> Sequence[str]:
        """The command that runs the server."""
        server = program("mariadbd")
        assert server is not None
        careless = [
            "--innodb-flush-log-at-trx-commit=2",
            "--skip-sync-frm",
            "--innodb-flush-method=nosync",
        ]
        return [
            server,
            *self._options,
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
            *([] if self.durable else careless),
        ]

    def answers(self) -> bool:
        """Whether the server is ready."""
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
        """Make the user."""
        user = "'ann'@'127.0.0.1'"
        self.execute(
            f"CREATE USER {user} IDENTIFIED BY '{PASSWORD.replace('%', '%%')}'",
            f"GRANT ALL ON *.* TO {user}",
        )

    def database(self, name: str) -> str:
        """Make an empty database and return its address."""
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        return self.address(name)
