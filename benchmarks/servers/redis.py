"""Redis, from the program of the machine, as `apt-get install redis-server` brings it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import count
from typing import Any

from sqlalchemy.engine import URL

from benchmarks.servers.server import PASSWORD, Server, missing, program


class RedisServer(Server):
    """A Redis server that appends to a file what it is told."""

    scheme = "redis"

    def __init__(self, *, durable: bool = True) -> None:
        super().__init__(durable=durable)
        self._numbers = count()

    @classmethod
    def missing(cls) -> str:
        """Why there can be no server here; empty if there can."""
        return missing(["redis"], ["redis-server"])

    def prepare(self) -> None:
        """Write its configuration."""
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": f'"{PASSWORD}"',
            "databases": 1000,
            "dir": self.folder,
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "always" if self.durable else "no",
        }
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        (self.folder / "redis.conf").write_text(text)

    def command(self) -> Sequence[str]:
        """The command that runs the server."""
        server = program("redis-server")
        assert server is not None
        return [server, str(self.folder / "redis.conf")]

    def address(self, database: str) -> str:
        """The address of a database, which has a number for a name."""
        url = URL.create(self.scheme, "", PASSWORD, "127.0.0.1", self.port, database)
        return url.render_as_string(hide_password=False)

    def client(self, address: str | None = None) -> Any:
        """A client of a database, or of the server."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis.from_url(address or self.address("0"), retry=Retry(NoBackoff(), 0))

    def answers(self) -> bool:
        """Whether the server is ready."""
        import redis

        try:
            with contextlib.closing(self.client()) as client:
                return bool(client.ping())
        except redis.exceptions.AuthenticationError:
            raise
        except redis.exceptions.ConnectionError:
            return False

    def database(self, name: str) -> str:
        """The address of the next database: their names are numbers."""
        return self.address(str(next(self._numbers)))
